"""Somebody outside wants the store: the edge's port leads over the link to the store's own service.

The edge sends ``splice SERVICE``, the PROXY protocol's header (version 2) with the client's address, then octets as
they are. TLS is between the client and the store; the edge sees as much of it as every router on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from mailbox_appliance.journal.events.link import NotSpliced, Spliced
from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.link.pool import LineAway, Pool
from mailbox_appliance.mail.client import IPAddress, peer_address
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.guard import Guard
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.wire.proxy import NoProxy, read_header, write_header

SERVICES = ("imap", "imaps", "submission", "submissions", "https", "http")
LINE_SECONDS = 8.0  # how long somebody waits for a connection of the link
HEADER_SECONDS = 15.0
MOST_HELD = 16_384
MOST_AT_ONCE = 150
TOKEN_PATH = b"/.well-known/acme-challenge/"


class _FarEnd(Protocol):
    """On the link: what the store says goes to the client."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    def dataReceived(self, data: bytes) -> None:
        self._entrance.say(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._entrance.far_end_gone()


class Entrance(Protocol):
    """One client at the edge's port."""

    def __init__(self, house: Splices, service: str) -> None:
        self._house = house
        self.service = service
        self.address: IPAddress = peer_address("0.0.0.0")
        self._held = b""
        self._far: _FarEnd | None = None
        self._gone = False
        self.counted = False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self.address = peer_address(transport.getPeer().host)
        transport.setTcpNoDelay(True)
        reason = self._house.admit(self)
        if reason:
            self.turn_away(reason)
            return
        self.begin()

    def begin(self) -> None:
        """Ask for a connection of the link; what the client says meanwhile waits in the kernel."""
        transport: Any = self.transport
        transport.pauseProducing()
        taking = self._house.pool().take(LINE_SECONDS)
        taking.addCallbacks(self._joined, self._nobody)

    def _joined(self, connection: LinkConnection) -> None:
        if self._gone:
            connection.abort()
            return
        transport: Any = self.transport
        peer, here = transport.getPeer(), transport.getHost()
        header = write_header(self.address, peer.port, peer_address(here.host), here.port)
        far = self._far = _FarEnd(self)
        connection.say(b"splice %s\n" % self.service.encode("ascii") + header)
        connection.carry(far)
        far_transport: Any = far.transport
        far_transport.registerProducer(transport, True)
        transport.registerProducer(far_transport, True)
        held, self._held = self._held, b""
        if held:
            far_transport.write(held)
        transport.resumeProducing()
        self._house.tell(Spliced(peer=str(self.address), service=self.service))

    def _nobody(self, failure: Failure) -> None:
        failure.trap(LineAway)
        if not self._gone:
            self.turn_away(str(failure.value))

    def turn_away(self, reason: str) -> None:
        """Say what the service's clients understand, and close."""
        self._house.tell(NotSpliced(peer=str(self.address), service=self.service, reason=reason))
        if self.service == "submission":
            self.say(b"421 4.4.1 Not now, try again later\r\n")
        transport: Any = self.transport
        transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._far is None:
            self._held += data
            if len(self._held) > MOST_HELD:
                transport: Any = self.transport
                transport.abortConnection()
            return
        far_transport: Any = self._far.transport
        far_transport.write(data)

    def say(self, octets: bytes) -> None:
        """To the client."""
        if not self._gone and self.transport is not None:
            self.transport.write(octets)

    def far_end_gone(self) -> None:
        """The store has closed, or the line is cut."""
        self._far = None
        if not self._gone:
            transport: Any = self.transport
            transport.unregisterProducer()
            transport.resumeProducing()
            transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._house.forget(self)
        far, self._far = self._far, None
        if far is not None:
            far_transport: Any = far.transport
            far_transport.unregisterProducer()
            far_transport.loseConnection()


class HttpEntrance(Entrance):
    """Port 80: a token of the edge's own certificate order is answered here, everything else by the store."""

    _local: Any = None
    _timer: Timer | None = None

    def begin(self) -> None:
        """Read the request's first line before deciding."""
        transport: Any = self.transport
        self._timer = self._house.clock.callLater(HEADER_SECONDS, transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        if self._local is not None:
            self._local.dataReceived(data)
            return
        waiting = self._timer is not None
        super().dataReceived(data)
        if not waiting or b"\n" not in self._held:
            return
        self._stop_timer()
        words = self._held.partition(b"\n")[0].split()
        path = words[1] if len(words) > 1 else b""
        token = path.removeprefix(TOKEN_PATH).decode("latin-1") if path.startswith(TOKEN_PATH) else ""
        if (token and self._house.own_token(token)) or not self._house.is_up():
            held, self._held = self._held, b""
            self._local = self._house.local_site().buildProtocol(None)
            self._local.makeConnection(self.transport)
            self._local.dataReceived(held)
        else:
            super().begin()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        if self._local is not None:
            self._local.connectionLost(reason)
        super().connectionLost(reason)


class _EntranceFactory(Factory):
    noisy = False

    def __init__(self, house: Splices, service: str) -> None:
        self._house = house
        self._service = service

    def buildProtocol(self, addr: IAddress | None) -> Entrance:
        kind = HttpEntrance if self._service == "http" else Entrance
        return kind(self._house, self._service)


class Splices:
    """All entrances of the edge together. ``may_enter`` says why an address may not use a service, or ""."""

    def __init__(
        self,
        pool: Callable[[], Pool],
        is_up: Callable[[], bool],
        clock: Clock,
        journal: Journal,
        guard: Guard,
        may_enter: Callable[[IPAddress, str], str],
        per_address: Callable[[], int],
        own_token: Callable[[str], bytes | None],
        local_site: Callable[[], Any],
    ) -> None:
        self.pool = pool
        self.is_up = is_up
        self.clock = clock
        self._journal = journal
        self._guard = guard
        self._may_enter = may_enter
        self._per_address = per_address
        self.own_token = own_token
        self.local_site = local_site
        self._by_address: Counter[IPAddress] = Counter()
        self._entrances: set[Entrance] = set()

    def factory(self, service: str) -> Factory:
        """For the edge's port of that service."""
        return _EntranceFactory(self, service)

    def tell(self, event: Any) -> None:
        """Journal it."""
        self._journal.tell(event)

    def admit(self, entrance: Entrance) -> str:
        """Count a client, or say why not."""
        address, most = entrance.address, self._per_address()
        why = self._may_enter(address, entrance.service)
        if why:
            return why
        if entrance.service != "http" and not self.is_up():
            return "the store is away"
        if self._guard.refuses(address, entrance.service, ""):
            return "banned"
        if len(self._entrances) >= MOST_AT_ONCE or (most and self._by_address[address] >= most):
            return "too many connections"
        self._entrances.add(entrance)
        self._by_address[address] += 1
        entrance.counted = True
        return ""

    def forget(self, entrance: Entrance) -> None:
        """The client is gone."""
        if not entrance.counted:
            return
        entrance.counted = False
        self._entrances.discard(entrance)
        self._by_address[entrance.address] -= 1
        if not self._by_address[entrance.address]:
            del self._by_address[entrance.address]

    def close(self) -> None:
        """The service stops."""
        for entrance in list(self._entrances):
            transport: Any = entrance.transport
            transport.loseConnection()


class Arrivals:
    """The store's end: to the right service with the client's own address. ``factories`` of what is open there."""

    def __init__(
        self, factories: Callable[[], Mapping[str, Callable[[], Any]]], clock: Clock, journal: Journal
    ) -> None:
        self._factories = factories
        self._clock = clock
        self._journal = journal

    def arrived(self, connection: LinkConnection, service: bytes, rest: bytes) -> None:
        """The edge has said ``splice SERVICE``; ``rest`` came behind it."""
        name = service.decode("ascii", "replace")
        make = self._factories().get(name)
        if make is None:
            self._journal.tell(NotSpliced(peer="", service=name[:20], reason="not open here (listen)"))
            connection.close()
            return
        timer = self._clock.callLater(HEADER_SECONDS, connection.abort)
        received = b""

        def reader(octets: bytes) -> None:
            nonlocal received
            received += octets
            try:
                header = read_header(received)
            except NoProxy:
                connection.abort()
                return
            if header is None:
                return
            if timer.active():
                timer.cancel()
            address = header.address or peer_address("0.0.0.0")
            kind = IPv6Address if address.version == 6 else IPv4Address
            peer = kind("TCP", str(address), header.port)
            self._journal.tell(Spliced(peer=str(address), service=name))
            connection.carry(make().buildProtocol(peer), peer, received[header.length :])

        def gone(_: LinkConnection) -> None:
            if timer.active():
                timer.cancel()

        connection.on_lost = gone
        connection.read_by(reader)
        if rest:
            reader(rest)
