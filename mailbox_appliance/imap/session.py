"""One conversation in IMAP: pull a command, look it up in the table, do it, tell what happened meanwhile, answer.

Bytes become commands in ``wire/imap/server``; the table of ``imap/commands`` says what may be said when; ``notify``
keeps what other sessions and programs did until it may be told. An unexpected exception costs one command its answer
(NO) and a line in the journal, never the session, unless half a literal was already said.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred

from mailbox_appliance.imap import capabilities
from mailbox_appliance.imap.capabilities import Moment
from mailbox_appliance.imap.house import Ended, House
from mailbox_appliance.imap.notify import Notices
from mailbox_appliance.imap.outlet import ConnectionGone, Outlet
from mailbox_appliance.imap.table import ANY, Done, Refused, Row, State, refusal
from mailbox_appliance.journal.events.imap import ImapEnded
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.ports.store import Mailstore, StoreError
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.wire.imap import responses
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.parse import UseNotKnown
from mailbox_appliance.wire.imap.search import CHARSETS, UnknownCharset
from mailbox_appliance.wire.imap.server import Command, LineTooLong, MessageAhead, Reader, Signal, Unreadable

T = TypeVar("T")
BUFFERED = 131_072  # octets that may wait unread before we stop taking more
_BYE = b"BYE"


class Session:
    """One connection's state. The command files reach through it to the store and to the client."""

    __slots__ = (
        "__weakref__",
        "_bad",
        "_began",
        "_cancellable",
        "_closing",
        "_commands",
        "_reading_paused",
        "_timer",
        "_transport",
        "_waiting",
        "_written",
        "account",
        "client_name",
        "enabled",
        "failed_logins",
        "hidden",
        "house",
        "outlet",
        "peer",
        "reader",
        "saved",
        "secure",
        "selected",
        "service",
        "spoilt",
        "state",
        "store",
        "tag",
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
        self.store: Mailstore
        self.selected: Notices | None = None
        self.saved: list[int] = []  # SEARCHRES (RFC 5182)
        self.enabled: frozenset[str] = frozenset()
        self.hidden: frozenset[str] = frozenset()
        self.client_name = ""
        self.failed_logins = 0
        self.tag = b""
        self.spoilt = False  # a response was broken off: the client can understand nothing after it
        self._began = house.clock.seconds()
        self._bad = 0
        self._commands = 0
        self._closing: Ended | None = None
        self._waiting: Deferred[None] | None = None
        self._cancellable: Deferred[Any] | None = None
        self._reading_paused = False
        self._written = 0
        self._timer: Timer | None = None

    # ------------------------------------------------------------ the listener's side

    def received(self, octets: bytes) -> None:
        """The peer sent something."""
        self.touch()
        self.reader.feed(octets)
        if self._waiting is None and self.reader.buffered > BUFFERED and not self._reading_paused:
            self._reading_paused = True
            self._transport.pauseProducing()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def lost(self) -> None:
        """The connection is gone."""
        self.end(Ended("closed"))
        self.outlet.close()
        if self._cancellable is not None:
            self._cancellable.cancel()

    def end(self, reason: Ended) -> None:
        """Make the conversation end as soon as its current command is done (drain, time-outs)."""
        if self._closing is None:
            self._closing = reason
        self.wake()

    def touch(self) -> None:
        """The peer lives: the wait for it begins anew."""
        settings = self.house.settings
        seconds = settings.login_timeout if self.account is None else settings.idle_timeout
        if not seconds:
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
        self._closing = self._closing or Ended(reason, "You were idle for too long.")
        if self._waiting is None:  # in the middle of a command: it does not read what we say
            self._transport.abortConnection()
        self.wake()

    def wake(self) -> None:
        """There is something to look at: news of the mailbox, or the end."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            # In a turn of its own: the store must not find itself in our code in the middle of its own.
            self.house.clock.callLater(0, waiting.callback, None)

    # ------------------------------------------------------------ the conversation

    async def converse(self) -> None:
        """Greet and talk until it is over. Never raises."""
        ended = Ended("broken")
        try:
            self.touch()
            self.outlet.say(responses.condition(b"OK", "mailappliance ready.", self.capability_code()))
            while True:
                await self._turn()
        except Ended as reason:
            ended = reason
            if str(reason):
                self.outlet.say(responses.condition(_BYE, str(reason)))
        except ConnectionGone:
            ended = self._closing or Ended("closed")
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this session only
            self.house.journal.broken("imap", error)
            self.outlet.say(responses.condition(_BYE, "Something went wrong here."))
        self._leave(ended)

    async def _turn(self) -> None:
        """One event."""
        event = self.reader.next()
        if event is None or self._closing is not None:
            await self.more()
            return
        if isinstance(event, Command):
            self._commands += 1
            await self._obey(event.tag, event.verb, event)
        elif isinstance(event, MessageAhead):
            self._commands += 1
            await self._obey(event.tag, event.verb, event)
        elif event is Signal.CONTINUE:
            self.outlet.say(responses.CONTINUE)
        elif isinstance(event, Unreadable):
            self.bad(event.tag, event.text, event.code)
            if event.fatal:
                raise Ended("abuse", "That was too much.")
        await self.outlet.room()

    async def more(self) -> None:
        """Write what was said and wait for the peer, or for news. Raises ConnectionGone, Ended."""
        self.outlet.flush()
        if self._closing is None:
            if self._reading_paused and self.reader.buffered <= BUFFERED:
                self._reading_paused = False
                self._transport.resumeProducing()
            self._waiting = Deferred()
            await self._waiting
        self.outlet.begin()
        if self.outlet.closed:
            raise ConnectionGone
        if self._closing is not None:
            raise self._closing
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

    async def _obey(self, tag: bytes, verb: str, event: Command | MessageAhead) -> None:
        """Look the command up, do it, answer it."""
        row = self.house.table.get(verb)
        if row is None or self.state not in row.states:
            if isinstance(event, MessageAhead) and not self.reader.refuse():
                raise Ended("abuse", "That was too much.")
            self.bad(tag, "Unknown command." if row is None else self._not_now(row))
            return
        self.tag = tag
        word = b"NO"
        after = None
        try:
            if isinstance(event, Command):
                done = await row.do(self, row.parse(Cursor(event.octets, event.at)))
            else:
                done = await row.do(self, event)
            word, text, code, after = b"OK", done.text, done.code, done.after
        except UnknownCharset as error:
            text, code = str(error), b"BADCHARSET (%b)" % b" ".join(CHARSETS)
        except UseNotKnown as error:
            text, code = str(error), b"USEATTR"
        except BadSyntax as error:
            self.bad(tag, f"{error}.")
            return
        except Refused as refused:
            text, code = str(refused), refused.code
        except StoreError as error:
            refusing = refusal(error)
            text, code = str(refusing), refusing.code
        except Busy:
            text, code = "Too busy, try again later.", b"UNAVAILABLE"
        except (Ended, ConnectionGone):
            raise
        except CancelledError:
            self._check_gone()
            text, code = "Cancelled.", b""
        except Exception as error:  # noqa: BLE001 - the session lives on
            self._check_gone()
            self.house.journal.broken("imap", error)
            text, code = "Something went wrong here; it has been written down.", b"SERVERBUG"
        if self.spoilt:
            self.outlet.flush()
            self._transport.abortConnection()
            raise Ended("broken")
        if self.selected is not None:
            await self.selected.tell(self.outlet, expunges=row.expunges)
        self.outlet.say(responses.tagged(tag, word, text, code))
        if after is not None:
            after()

    def _check_gone(self) -> None:
        if self.outlet.closed:
            raise ConnectionGone

    def _not_now(self, row: Row) -> str:
        if self.state is State.GREETED:
            return "Log in first."
        if self.state is State.AUTHENTICATED and row.states is State.SELECTED:
            return "Select a mailbox first."
        return "Not now."

    def bad(self, tag: bytes, text: str, code: bytes = b"") -> None:
        """The tagged BAD; too many of them end the session. Raises Ended."""
        self.outlet.say(responses.tagged(tag, b"BAD", text[:1].upper() + text[1:], code))
        self._bad += 1
        if self._bad >= self.house.settings.bad_commands and self.account is None:
            raise Ended("abuse", "Too many bad commands.")
        if self._bad >= 50 * self.house.settings.bad_commands:
            raise Ended("abuse", "Too many bad commands.")

    # ------------------------------------------------------------ what commands use

    def say(self, octets: bytes) -> None:
        """Say it with the next write."""
        self.outlet.say(octets)

    async def room(self) -> None:
        """See Outlet.room."""
        await self.outlet.room()

    async def cancellable(self, awaitable: Awaitable[T]) -> T:
        """Await work that is cancelled when the peer goes away (a search); never something that changes the store."""

        async def work() -> T:
            return await awaitable

        self._cancellable = ensureDeferred(work())
        try:
            result: T = await self._cancellable
            return result
        finally:
            self._cancellable = None

    def capability_code(self) -> bytes:
        """CAPABILITY as it is now."""
        if self.account is not None:
            moment = Moment.LOGGED_IN
        else:
            moment = Moment.SECURE if self.secure else Moment.CLEAR
        return responses.capability(capabilities.offered(moment, self.house.settings, self.hidden))

    def start_tls(self) -> None:
        """Forget all that was said in clear, and begin TLS (RFC 3501 §6.2.1)."""
        self.outlet.flush()
        self.reader.reset()
        self.client_name = ""
        self.hidden = frozenset()
        self.secure = True
        if self._timer is not None and self._timer.active():
            self._timer.reset(self.house.settings.handshake_timeout)
        self.house.start_tls(self._transport)

    def logged_in(self, account: Address, store: Mailstore) -> None:
        """From here on the session is ``account``'s."""
        self.account = account
        self.store = store
        self.state = State.AUTHENTICATED
        self.reader.limits = self.house.settings.after_login
        self.reader.most_swallowed = max(4 * self.house.settings.message_size, 1 << 26)
        self._bad = 0
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
        """CONDSTORE, QRESYNC: from now on for every mailbox (RFC 5161, RFC 7162 §3.1)."""
        self.enabled = self.enabled.union(names)
        if self.selected is not None:
            self.selected.tell_modseq = "CONDSTORE" in self.enabled
            self.selected.tell_vanished = "QRESYNC" in self.enabled

    def client_is(self, name: str) -> None:
        """The client told its name: hide from it what it cannot live with."""
        self.client_name = name
        self.hidden = capabilities.hidden_from(name, self.house.settings)

    # ------------------------------------------------------------ the end

    def _leave(self, ended: Ended) -> None:
        try:
            self.deselect()
        except Exception as error:  # noqa: BLE001 - the connection is closed all the same
            self.house.journal.broken("imap", error)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        gone = self.outlet.closed
        self.outlet.flush()
        self.outlet.close()
        self.house.journal.tell(
            ImapEnded(
                peer=str(self.peer),
                service=self.service,
                reason=ended.reason,
                account=str(self.account or ""),
                commands=self._commands,
                seconds=int(self.house.clock.seconds() - self._began),
            )
        )
        if not gone:
            self._transport.unregisterProducer()
            if self._reading_paused:
                self._transport.resumeProducing()
            self._transport.loseConnection()


__all__ = ["ANY", "Done", "Ended", "House", "Session"]
