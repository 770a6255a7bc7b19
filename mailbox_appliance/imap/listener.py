"""The door of the IMAP station: connections become sessions, within the limits of addresses and accounts.

One Factory serves one service, "imap" (TLS by STARTTLS) or "imaps" (TLS from the first octet; the endpoint is a plain
one, the handshake begins here). Both may share a House: what all sessions of the process use, and their counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.imap.bulletin import Bulletin
from mailbox_appliance.imap.commands import TABLE
from mailbox_appliance.imap.conversation import converse
from mailbox_appliance.imap.house import Ended
from mailbox_appliance.imap.kept import Kept
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.settings import ImapSettings
from mailbox_appliance.imap.table import Row
from mailbox_appliance.journal.events.imap import ImapEnded, ImapRefused
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress, network_of, peer_address
from mailbox_appliance.ports.certificates import Certificates
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.guard import Guard
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.sharing import Sharing
from mailbox_appliance.ports.store import Mailbox, Stores
from mailbox_appliance.ports.users import LogIn
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.sockets import hasten
from mailbox_appliance.wire.imap import responses


class ImapHouse:
    """What all IMAP sessions of the process share."""

    def __init__(
        self,
        *,
        settings: ImapSettings,
        stores: Stores,
        users: LogIn,
        guard: Guard,
        certificates: Certificates,
        clock: Clock,
        workers: Workers,
        journal: FullJournal,
        sharing: Sharing | None = None,
    ) -> None:
        self.settings = settings
        self.stores = stores
        self.users = users
        self.guard = guard
        self.clock = clock
        self.workers = workers
        self.journal = journal
        self.table: Mapping[str, Row] = TABLE
        self.bulletin = Bulletin()
        self.sharing = sharing
        self.kept: WeakKeyDictionary[Mailbox, Kept] = WeakKeyDictionary()
        self._certificates = certificates
        self._doors: set[ImapProtocol] = set()
        self._networks: Counter[object] = Counter()
        self._accounts: Counter[Address] = Counter()
        self._draining = False

    def start_tls(self, transport: Any) -> None:
        """Begin the handshake, as server; the certificate is asked for anew each time."""
        transport.startTLS(self._certificates.for_server())
        hasten(transport)

    # ------------------------------------------------------------ counting

    def admit(self, door: ImapProtocol, peer: IPAddress, service: str) -> str:
        """Count a connection; the reason when it must be refused (ImapRefused), '' when it may come in."""
        if self._draining:
            return "draining"
        if self.guard.refuses(peer, service, ""):
            return "guard"
        if self._networks[network_of(peer)] >= self.settings.connections_per_address > 0:
            return "address"
        strangers = len(self._doors) - self._accounts.total()
        kept = self.settings.reserved // 2 if self.guard.knows(peer) else self.settings.reserved
        if len(self._doors) >= self.settings.connections or strangers >= self.settings.connections - kept:
            return "full"
        self._doors.add(door)
        self._networks[network_of(peer)] += 1
        return ""

    def log_in(self, session: Session, account: Address) -> bool:
        """Count a session of ``account``; False when there are too many."""
        if self._accounts[account] >= self.settings.sessions_per_account:
            return False
        self._accounts[account] += 1
        return True

    def log_out(self, account: Address) -> None:
        """A session of ``account`` is nobody's again."""
        _decrease(self._accounts, account)

    def left(self, door: ImapProtocol, peer: IPAddress, account: Address | None) -> None:
        """A connection that was admitted is closed."""
        self._doors.discard(door)
        _decrease(self._networks, network_of(peer))
        if account is not None:
            _decrease(self._accounts, account)

    def look_at_log_ins(self) -> None:
        """People or passwords have changed: say BYE to whoever could not log in any more."""
        for door in tuple(self._doors):
            door.end_withdrawn()

    @property
    def connections(self) -> int:
        """How many are open, for ``status``."""
        return len(self._doors)

    def drain(self) -> None:
        """Take no new connections and say BYE to all: at once to those who wait, to others after their command."""
        self._draining = True
        for door in tuple(self._doors):
            door.drain()


def _decrease(counter: Counter[Any], key: Any) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


@implementer(IHandshakeListener)
class ImapProtocol(Protocol):
    """One connection: admits, shakes hands, then hands every octet to its Session."""

    def __init__(self, house: ImapHouse, service: str) -> None:
        self._house = house
        self._service = service
        self._session: Session | None = None
        self._handshake: Timer | None = None
        self._linger: Timer | None = None
        self._peer: IPAddress | None = None

    def connectionMade(self) -> None:
        """Refuse, or begin."""
        transport: Any = self.transport
        peer = peer_address(transport.getPeer().host)
        reason = self._house.admit(self, peer, self._service)
        if reason:
            self._house.journal.tell(ImapRefused(peer=str(peer), service=self._service, reason=reason))
            if self._service == "imap":  # on imaps nothing can be said before the handshake
                transport.write(responses.condition(b"BYE", "Not now, try again later.", b"UNAVAILABLE"))
            transport.loseConnection()
            return
        self._peer = peer
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
        if self._service == "imaps":
            self._await_handshake()
            self._house.start_tls(transport)
        else:
            self._begin(secure=False)

    def _await_handshake(self) -> None:
        self._handshake = self._house.clock.callLater(self._house.settings.handshake_timeout, self._too_slow)

    def _too_slow(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def handshakeCompleted(self) -> None:
        """TLS is on: greet on imaps; on imap the client speaks next (RFC 3501 §6.2.1)."""
        if self._handshake is not None and self._handshake.active():
            self._handshake.cancel()
        if self._session is not None:
            self._session.touch()
        elif self._peer is not None:
            self._begin(secure=True)

    def _begin(self, *, secure: bool) -> None:
        assert self._peer is not None
        session = Session(self._house, self.transport, self._peer, self._service, secure=secure)
        self._session = session
        transport: Any = self.transport
        transport.registerProducer(session.outlet, True)
        Deferred.fromCoroutine(converse(session)).addBoth(self._said_all)

    def _said_all(self, result: None) -> None:
        """The last word is said. Under TLS the peer must close in its turn; one that does not is cut off."""
        if self._peer is not None:
            self._linger = self._house.clock.callLater(self._house.settings.linger, self._too_slow)

    def dataReceived(self, data: bytes) -> None:
        """Octets of the peer."""
        if self._session is not None:
            self._session.received(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The connection is closed."""
        if self._handshake is not None and self._handshake.active():
            self._handshake.cancel()
            self._house.journal.tell(ImapEnded(peer=str(self._peer), service=self._service, reason="handshake"))
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        session, self._session = self._session, None
        if session is not None:
            session.lost()
        if self._peer is not None:
            self._house.left(self, self._peer, session.account if session is not None else None)
            self._peer = None

    def end_withdrawn(self) -> None:
        """Is the session's log-in worth nothing any more? Then it ends, at once when it idles."""
        session = self._session
        if session is not None and session.principal is not None:
            if not self._house.users.still_admits(session.principal):
                session.end(Ended("withdrawn", "Your password has changed or your account has ended: log in again."))

    def drain(self) -> None:
        """The service stops."""
        if self._session is not None:
            self._session.end(Ended("drained", "The server is going down, come back soon."))
        else:
            self._too_slow()


class ImapFactory(Factory):
    """``ImapFactory(house, "imap")`` or ``ImapFactory(house, "imaps")``: both on plain TCP endpoints."""

    noisy = False

    def __init__(self, house: ImapHouse, service: str) -> None:
        if service not in ("imap", "imaps"):
            raise ValueError(service)
        self._house = house
        self._service = service

    def buildProtocol(self, addr: IAddress | None) -> ImapProtocol:
        """One per connection."""
        return ImapProtocol(self._house, self._service)
