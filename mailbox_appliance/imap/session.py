"""One connection's state: what is known of the peer, what it has selected and enabled, and how to reach it.

``imap/conversation`` drives it; the files of ``imap/commands`` read and change it. Octets come in here, time-outs and
the end are decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred

from mailbox_appliance.channel import Channel
from mailbox_appliance.imap import capabilities
from mailbox_appliance.imap.capabilities import Moment
from mailbox_appliance.imap.compression import Compression
from mailbox_appliance.imap.deflate import BadStream
from mailbox_appliance.imap.house import Ended, House
from mailbox_appliance.imap.notify import Notices
from mailbox_appliance.imap.outlet import ConnectionGone, Outlet
from mailbox_appliance.imap.table import ANY, Done, State
from mailbox_appliance.imap.troubles import hidden_and_behaviours
from mailbox_appliance.journal.events.imap import ImapEnded
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.ports.store import Mailstore
from mailbox_appliance.ports.users import Principal
from mailbox_appliance.wire import scram
from mailbox_appliance.wire.imap import responses
from mailbox_appliance.wire.imap.grammar import BadSyntax
from mailbox_appliance.wire.imap.server import LineTooLong, Reader
from mailbox_appliance.wire.mechanisms import mechanisms

if TYPE_CHECKING:
    from mailbox_appliance.imap.elsewhere import Elsewhere

T = TypeVar("T")
BUFFERED = 131_072  # octets that may wait unread before we stop taking more
MOST_BAD = 50  # times ``bad_commands``, once somebody has logged in


class Session:
    """One connection's state. The command files reach through it to the store and to the client."""

    __slots__ = (
        "__weakref__",
        "_bad",
        "_began",
        "_compression",
        "_hidden",
        "_reading_paused",
        "_stranger_since",
        "_timer",
        "_transport",
        "_waiting",
        "_written",
        "account",
        "behaves",
        "cancellable",
        "client_name",
        "closing",
        "commands",
        "enabled",
        "failed_logins",
        "house",
        "notifying",
        "outlet",
        "peer",
        "principal",
        "reader",
        "saved",
        "secure",
        "selected",
        "service",
        "spoilt",
        "state",
        "store",
        "tag",
        "utf8",
    )

    def __init__(self, house: House, transport: Any, peer: IPAddress, service: str, *, secure: bool) -> None:
        self.house = house
        self._transport = transport
        self.peer = peer
        self.service = service
        self.secure = secure
        self.outlet = Outlet(transport, house.clock)
        self.reader = Reader(house.settings.before_login)
        self.state = State.GREETED
        self.account: Address | None = None
        self.principal: Principal | None = None
        self.store: Mailstore
        self.selected: Notices | None = None
        self.saved: list[int] = []  # SEARCHRES (RFC 5182)
        self.enabled: frozenset[str] = frozenset()
        self._hidden: frozenset[str] = frozenset()
        self.behaves: frozenset[str] = frozenset()
        self.client_name = ""
        self.failed_logins = 0
        self.tag = b""
        self.utf8 = False  # are names UTF-8 (UTF8=ACCEPT, IMAP4rev2) and not modified UTF-7?
        self.notifying: Elsewhere | None = None  # NOTIFY
        self.spoilt = False  # a response was broken off: the client can understand nothing after it
        self._began = house.clock.seconds()
        self._bad = 0
        self.commands = 0
        self.closing: Ended | None = None
        self._waiting: Deferred[None] | None = None
        self.cancellable: Deferred[Any] | None = None  # work that ends when the peer goes (imap.patience)
        self._reading_paused = False
        self._written = 0
        self._stranger_since = house.clock.seconds()
        self._timer: Timer | None = None
        self._compression: Compression | None = None

    # ------------------------------------------------------------ the listener's side

    def received(self, octets: bytes) -> None:
        """The peer sent something."""
        self.touch()
        if self._compression is None:
            self.reader.feed(octets)
        else:
            self._hear(self._compression, octets)
        if self._waiting is None and self.reader.buffered > BUFFERED and not self._reading_paused:
            self._reading_paused = True
            self._transport.pauseProducing()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _hear(self, compression: Compression, octets: bytes) -> None:
        try:
            compression.hear(octets)
        except BadStream:
            self.end(Ended("abuse", "The compressed stream is broken."))

    def lost(self) -> None:
        """The connection is gone."""
        self.end(Ended("closed"))
        self.outlet.close()
        if self.cancellable is not None:
            self.cancellable.cancel()

    def end(self, reason: Ended) -> None:
        """Make the conversation end as soon as its current command is done (drain, time-outs)."""
        if self.closing is None:
            self.closing = reason
        self.wake()

    def touch(self) -> None:
        """The peer lives: the wait for it begins anew; but a log-in is waited for once, whatever is said meanwhile."""
        settings = self.house.settings
        stranger = self.account is None
        limit = settings.login_timeout if stranger else settings.idle_timeout
        seconds = max(self._stranger_since + limit - self.house.clock.seconds(), 0.0) if stranger else limit
        if not limit:
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
        elif self._timer is not None and self._timer.active():
            self._timer.reset(seconds)
        elif not self.outlet.closed:
            self._timer = self.house.clock.callLater(seconds, self._silent)

    def _silent(self) -> None:
        """The peer has said nothing for too long, and read nothing either."""
        if self._waiting is None and self.outlet.written != self._written:
            self._written = self.outlet.written
            self.touch()  # a long answer, slowly read
            return
        reason = "login timeout" if self.account is None else "idle"
        self.closing = self.closing or Ended(reason, "You were idle for too long.")
        if self._waiting is None:  # in the middle of a command: it does not read what we say
            self._transport.abortConnection()
        self.wake()

    def wake(self) -> None:
        """There is something to look at: news of the mailbox, or the end."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            # In a turn of its own: the store must not find itself in our code in the middle of its own.
            self.house.clock.callLater(0, waiting.callback, None)

    # ------------------------------------------------------------ waiting

    async def more(self) -> None:
        """Write what was said and wait for the peer, or for news. Raises ConnectionGone, Ended."""
        self.outlet.flush()
        if self.closing is None:
            if self._compression is not None and self._compression.has_more:
                self._hear(self._compression, b"")
                await self.outlet.room()
                return
            if self._reading_paused and self.reader.buffered <= BUFFERED:
                self._reading_paused = False
                self._transport.resumeProducing()
            self._waiting = Deferred()
            await self._waiting
        self.outlet.begin()
        if self.outlet.closed:
            raise ConnectionGone
        if self.closing is not None:
            raise self.closing
        if self.selected is not None and self.selected.lost:
            raise Ended("mailbox", self.selected.lost)

    async def line(self, most: int = 12_288) -> bytes | None:
        """The next line, when the peer is asked for one (SASL); None when it is too long. Raises as ``more``."""
        while True:
            try:
                line = self.reader.line(most)
            except LineTooLong:
                return None
            if line is not None:
                return line
            await self.more()

    # ------------------------------------------------------------ what commands use

    def bad(self, tag: bytes, text: str, code: bytes = b"") -> None:
        """The tagged BAD; too many of them end the session. Raises Ended."""
        self.outlet.say(responses.tagged(tag, b"BAD", text[:1].upper() + text[1:], code))
        self._bad += 1
        most = self.house.settings.bad_commands
        if self._bad >= (most if self.account is None else MOST_BAD * most):
            raise Ended("abuse", "Too many bad commands.")

    def say(self, octets: bytes) -> None:
        """Say it with the next write."""
        self.outlet.say(octets)

    async def room(self) -> None:
        """See Outlet.room."""
        await self.outlet.room()

    def capability_code(self) -> bytes:
        """CAPABILITY as it is now."""
        if self.account is not None:
            moment = Moment.LOGGED_IN
        else:
            moment = Moment.SECURE if self.secure else Moment.CLEAR
        hidden = self.hidden
        if moment is Moment.SECURE:
            hidden = hidden.union(f"AUTH={name}" for name in (scram.NAME, scram.PLUS) if name not in self.mechanisms)
        return responses.capability(capabilities.offered(moment, self.house.settings, hidden))

    @property
    def channel(self) -> Channel:
        """What SCRAM may bind to."""
        return Channel(getattr(self._transport, "getHandle", lambda: None)() if self.secure else None)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What AUTHENTICATE is offered with, under TLS."""
        hides = self.hides(f"AUTH={scram.PLUS}")
        scram_too = self.house.users.offers_scram(str(self.peer)) and not self.hides(f"AUTH={scram.NAME}")
        return mechanisms(scram_too=scram_too, bindable=self.channel.is_bindable and not hides)

    def hides(self, capability: str) -> bool:
        """Is it hidden, from everybody or from this client?"""
        return capability in self.hidden or capability in self.house.settings.hidden

    def start_tls(self) -> None:
        """Forget all that was said in clear, and begin TLS (RFC 3501 §6.2.1)."""
        self.outlet.flush()
        self.reader.reset()
        self.client_name = ""
        self._hidden = self.behaves = frozenset()
        self.secure = True
        if self._timer is not None and self._timer.active():
            self._timer.reset(self.house.settings.handshake_timeout)
        self.house.start_tls(self._transport)

    def logged_in(self, principal: Principal, store: Mailstore) -> None:
        """From here on the session is the principal's."""
        self.principal = principal
        self.account = principal.account
        self.store = store
        self.state = State.AUTHENTICATED
        self.reader.limits = self.house.settings.after_login
        self.reader.most_swallowed = max(4 * self.house.settings.message_size, 1 << 26)
        self._bad = 0
        self.touch()

    def notify_ends(self) -> None:
        """NOTIFY is over."""
        notifying, self.notifying = self.notifying, None
        if notifying is not None:
            notifying.end()

    async def unasked(self) -> None:
        """Tell what NOTIFY asked for, if anything."""
        if self.notifying is not None:
            await self.notifying.tell(self)

    def logged_out(self) -> None:
        """Back to where the greeting left us; compression stays (RFC 8437 §3)."""
        self.notify_ends()
        self.deselect()
        if self.account is not None:
            self.house.log_out(self.account)
        self.account = self.principal = None
        self._stranger_since = self.house.clock.seconds()
        del self.store
        self.state = State.GREETED
        self.enabled = frozenset()
        self.utf8 = False
        self.reader.limits = self.house.settings.before_login
        self.touch()

    @property
    def tls_version(self) -> str:
        """ "TLSv1.3", or "" in clear."""
        version = getattr(self._transport, "getHandle", lambda: None)()
        name = getattr(version, "get_protocol_version_name", None)
        return str(name()) if self.secure and name is not None else ""

    @property
    def box(self) -> Notices:
        """The selected mailbox."""
        if self.selected is None:
            raise BadSyntax("select a mailbox first")
        if self.selected.lost:
            raise Ended("mailbox", self.selected.lost)
        return self.selected

    def deselect(self) -> bool:
        """Leave the selected mailbox, if any; True when there was one."""
        selected, self.selected = self.selected, None
        self.saved = []
        if self.account is not None:
            self.state = State.AUTHENTICATED
        if selected is None:
            return False
        selected.mailbox.release(selected)
        return True

    def enable(self, *names: str) -> None:
        """CONDSTORE, QRESYNC, …: from now on for every mailbox (RFC 5161, RFC 7162 §3.1)."""
        new = "CONDSTORE" in names and "CONDSTORE" not in self.enabled
        self.enabled = self.enabled.union(names)
        self.utf8 = not self.enabled.isdisjoint(("UTF8=ACCEPT", "IMAP4REV2"))
        if self.selected is not None:
            self.selected.modes(self.enabled)
            if new:  # RFC 7162 §3.1.2: whatever turned it on, the client hears from where to count
                highest = b"HIGHESTMODSEQ %d" % self.selected.mailbox.highest_modseq
                self.say(responses.condition(b"OK", "Highest.", highest))

    def name(self, mailbox: str) -> bytes:
        """A mailbox name as this client reads it."""
        return responses.mailbox(mailbox, utf8=self.utf8)

    @property
    def compressed(self) -> bool:
        """Is COMPRESS on?"""
        return self._compression is not None

    def compress(self) -> None:
        """From now on both directions are compressed (RFC 4978)."""
        self._compression = Compression(self.house.clock, self.reader, self.outlet, BUFFERED)
        self._hear(self._compression, self.reader.take_rest())

    def rest(self) -> None:
        """The client idles: keep no window for it."""
        if self._compression is not None:
            self._compression.rest()

    def client_is(self, name: str, version: str) -> None:
        """The client told its name: hide from it what it cannot live with, and say so when the list changes by it."""
        before = self.capability_code()
        self.client_name = name
        self._hidden, self.behaves = hidden_and_behaviours(self.house.settings.troubles, name, version)
        if self.capability_code() != before:  # ID often comes after CAPABILITY
            self.say(responses.untagged(self.capability_code()))

    @property
    def hidden(self) -> frozenset[str]:
        """What neither this client nor this account is to be shown."""
        return self._hidden | self.principal.hidden if self.principal is not None else self._hidden

    # ------------------------------------------------------------ the end

    def abort(self) -> None:
        """Close at once: a response was broken off."""
        self.outlet.flush()
        self._transport.abortConnection()

    def leave(self, ended: Ended) -> None:
        try:
            self.notify_ends()
            self.deselect()
        except Exception as error:  # noqa: BLE001 - the connection is closed all the same
            self.house.journal.broken("imap", error)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        gone = self.outlet.closed
        self.outlet.flush()
        if self._compression is not None:
            self._compression.stop()
        self.outlet.close()
        self.house.journal.tell(
            ImapEnded(
                peer=str(self.peer),
                service=self.service,
                reason=ended.reason,
                account=str(self.account or ""),
                commands=self.commands,
                seconds=int(self.house.clock.seconds() - self._began),
            )
        )
        if not gone:
            self._transport.unregisterProducer()
            if self._reading_paused:
                self._transport.resumeProducing()
            self._transport.loseConnection()


__all__ = ["ANY", "Done", "Ended", "House", "Session"]
