"""One connection's state: what is known of the peer, what it has selected and enabled, and how to reach it.

``imap/conversation`` drives it; the files of ``imap/commands`` read and change it. Octets, waits and time-outs are the
matter of ``imap/connection`` beneath it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailbox_appliance.channel import Channel
from mailbox_appliance.imap import capabilities
from mailbox_appliance.imap.capabilities import Moment
from mailbox_appliance.imap.connection import Connection
from mailbox_appliance.imap.house import Ended, House
from mailbox_appliance.imap.notify import Notices
from mailbox_appliance.imap.table import ANY, Done, State
from mailbox_appliance.imap.troubles import hidden_and_behaviours
from mailbox_appliance.journal.events.imap import ImapEnded
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.ports.store import Mailstore
from mailbox_appliance.ports.users import Principal
from mailbox_appliance.wire import scram
from mailbox_appliance.wire.imap import responses
from mailbox_appliance.wire.imap.grammar import BadSyntax
from mailbox_appliance.wire.mechanisms import mechanisms

if TYPE_CHECKING:
    from mailbox_appliance.imap.elsewhere import Elsewhere

MOST_BAD = 50  # times ``bad_commands``, once somebody has logged in


class Session(Connection):
    """One connection's state. The command files reach through it to the store and to the client."""

    __slots__ = (
        "_bad",
        "_began",
        "_hidden",
        "behaves",
        "commands",
        "enabled",
        "failed_logins",
        "notifying",
        "peer",
        "principal",
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
        super().__init__(house, transport)
        self.peer = peer
        self.service = service
        self.secure = secure
        self.state = State.GREETED
        self.principal: Principal | None = None
        self.store: Mailstore
        self.selected: Notices | None = None
        self.saved: list[int] = []  # SEARCHRES (RFC 5182)
        self.enabled: frozenset[str] = frozenset()
        self._hidden: frozenset[str] = frozenset()
        self.behaves: frozenset[str] = frozenset()
        self.failed_logins = 0
        self.tag = b""
        self.utf8 = False  # are names UTF-8 (UTF8=ACCEPT, IMAP4rev2) and not modified UTF-7?
        self.notifying: Elsewhere | None = None  # NOTIFY
        self.spoilt = False  # a response was broken off: the client can understand nothing after it
        self._began = house.clock.seconds()
        self._bad = 0
        self.commands = 0

    # ------------------------------------------------------------ what commands use

    def check(self) -> None:
        """Raises Ended when the selected mailbox is gone."""
        if self.selected is not None and self.selected.lost:
            raise Ended("mailbox", self.selected.lost)

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

    def client_is(self, name: str, version: str) -> None:
        """The client told its name: hide from it what it cannot live with, and say so when the list changes by it."""
        before = self.capability_code()
        self._hidden, self.behaves = hidden_and_behaviours(self.house.settings.troubles, name, version)
        if self.capability_code() != before:  # ID often comes after CAPABILITY
            self.say(responses.untagged(self.capability_code()))

    @property
    def hidden(self) -> frozenset[str]:
        """What neither this client nor this account is to be shown."""
        return self._hidden | self.principal.hidden if self.principal is not None else self._hidden

    # ------------------------------------------------------------ the end

    def leave(self, ended: Ended) -> None:
        try:
            self.notify_ends()
            self.deselect()
        except Exception as error:  # noqa: BLE001 - the connection is closed all the same
            self.house.journal.broken("imap", error)
        gone = self._say_the_last()
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
            self._hang_up()


__all__ = ["ANY", "Done", "Ended", "House", "Session"]
