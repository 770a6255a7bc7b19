"""From the edge's port over the link to the store's own service: the client's address, both ways, and the ends."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.link.splice import HEADER_SECONDS, LINE_SECONDS, MOST_HELD, Arrivals, Entrance, Splices
from tests.kit.fake_guard import FakeGuard
from tests.link.pair import Recorder, TwoHalves

PHONE = "203.0.113.50"


class Factory:
    """The store's own service: remembers whom it was told it speaks with."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting
        self.made: list[tuple[Recorder, Any]] = []

    def buildProtocol(self, peer: IAddress) -> Recorder:
        recorder = Recorder(self.greeting)
        self.made.append((recorder, peer))
        return recorder


class Socket(StringTransport):
    """A client's connection at the edge."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass


class SpliceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.two = TwoHalves()
        self.addCleanup(self.two.stop)
        self.services = {"imaps": Factory(), "submission": Factory(b"220 home\r\n"), "http": Factory()}
        arrivals = Arrivals(
            lambda: {name: (lambda one=one: one) for name, one in self.services.items()},
            self.two.clock,  # type: ignore[arg-type]
            self.two.store_journal,
        )
        self.two.store.ready.spliced = arrivals.arrived
        self.two.pair()
        self.closed_to: set[tuple[str, str]] = set()
        self.tokens: dict[str, bytes] = {}
        self.local = Factory(b"local")
        self.guard = FakeGuard()
        self.splices = Splices(
            lambda: self.two.edge.splices,
            lambda: self.two.edge.is_up,
            self.two.clock,  # type: ignore[arg-type]
            self.two.edge_journal,
            self.guard,  # type: ignore[arg-type]
            lambda address, service: "not for you" if (str(address), service) in self.closed_to else "",
            lambda: 3,
            self.tokens.get,
            lambda: self.local,
        )

    def client(self, service: str, address: str = PHONE, *, pump: bool = True) -> tuple[Entrance, Socket]:
        kind = IPv6Address if ":" in address else IPv4Address
        here = "2001:db8::25" if ":" in address else "198.51.100.1"
        socket = Socket(kind("TCP", here, 993), kind("TCP", address, 51_000))
        entrance: Any = self.splices.factory(service).buildProtocol(None)
        entrance.makeConnection(socket)
        if pump:
            self.two.net.pump()
        return entrance, socket

    def say(self, entrance: Entrance, octets: bytes) -> None:
        entrance.dataReceived(octets)
        self.two.net.pump()

    def names(self) -> list[str]:
        return [event.name for event in self.two.edge_journal.events]


class SpliceTests(SpliceCase):
    def test_both_ways(self) -> None:
        """Octets go both ways as they are, and the store hears the client's own address and port, v4 and v6."""
        for address, kind in ((PHONE, IPv4Address), ("2001:db8:7::9", IPv6Address)):
            entrance, socket = self.client("submission", address)
            recorder, peer = self.services["submission"].made[-1]
            self.assertEqual(peer, kind("TCP", address, 51_000))
            self.assertEqual(socket.value(), b"220 home\r\n")
            self.say(entrance, b"EHLO x\r\n\x00\xff")
            self.assertEqual(recorder.got, b"EHLO x\r\n\x00\xff")
            entrance.connectionLost()
            self.two.net.pump()
            self.assertTrue(recorder.gone)

    def test_store_hangs_up(self) -> None:
        """What the store closes is closed at the edge."""
        entrance, socket = self.client("imaps")
        recorder, _ = self.services["imaps"].made[-1]
        recorder.transport.loseConnection()  # type: ignore[union-attr]
        self.two.net.pump()
        self.assertTrue(socket.disconnecting)
        entrance.connectionLost()

    def test_cut_line(self) -> None:
        """A line that is cut takes the client with it; he dials again."""
        entrance, socket = self.client("imaps")
        self.two.run(self.two.store.stop())
        self.assertTrue(socket.disconnecting)
        entrance.connectionLost()

    def test_who_comes_in(self) -> None:
        """Turned away with words: the store is away, a ban, a network that is shut out, too many from one address."""
        self.closed_to.add((PHONE, "submission"))
        self.assertEqual(self.client("submission")[1].value(), b"421 4.4.1 Not now, try again later\r\n")
        inside = [self.client("imaps")[0] for _ in range(3)]
        self.assertTrue(self.client("imaps")[1].disconnecting)
        self.assertFalse(self.client("imaps", "203.0.113.51")[1].disconnecting)
        inside[0].connectionLost()
        self.assertFalse(self.client("imaps")[1].disconnecting)
        self.guard.banned.add(ip_address("203.0.113.66"))
        self.assertTrue(self.client("imaps", "203.0.113.66")[1].disconnecting)
        self.two.run(self.two.store.stop())
        self.assertTrue(self.client("submission", "203.0.113.52")[1].disconnecting)
        self.assertEqual(self.names().count("link.not_spliced"), 4)

    def test_closed_at_the_store(self) -> None:
        """A port that is not open at the store is closed at the edge, too."""
        _, socket = self.client("https")
        self.assertTrue(socket.disconnecting)

    def test_no_free_connection(self) -> None:
        """Whoever waits too long for a connection of the link is told so."""
        self.two.net.cut()
        clients = [self.client("imaps", f"203.0.113.{number}", pump=False) for number in range(60, 70)]
        self.two.clock.advance(LINE_SECONDS + 1)
        self.assertTrue(all(socket.disconnecting for _, socket in clients[6:]))

    def test_bounded(self) -> None:
        """What a client says before he is connected is bounded."""
        entrance, socket = self.client("http")
        entrance.dataReceived(b"x" * (MOST_HELD + 1))
        self.assertTrue(socket.disconnecting or socket.disconnected)


class HttpTests(SpliceCase):
    """Port 80 is both machines': each answers for its own certificate."""

    def ask(self, path: bytes, *, pieces: int = 1) -> Socket:
        entrance, socket = self.client("http")
        request = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        step = max(1, len(request) // pieces)
        for at in range(0, len(request), step):
            self.say(entrance, request[at : at + step])
        return socket

    def test_whose_token(self) -> None:
        """A token of the edge's own order is answered here; any other one, and every other page, by the store."""
        self.tokens["ours"] = b"ours.key"
        self.assertEqual(self.ask(b"/.well-known/acme-challenge/ours").value(), b"local")
        for path in (b"/.well-known/acme-challenge/theirs", b"/"):
            self.ask(path, pieces=7)
            recorder, peer = self.services["http"].made[-1]
            self.assertEqual((recorder.got.split()[1], peer.host), (path, PHONE))
        self.assertEqual(len(self.local.made), 1)

    def test_away(self) -> None:
        """While the store is away the edge answers what it can."""
        self.two.run(self.two.store.stop())
        self.assertEqual(self.ask(b"/").value(), b"local")

    def test_says_nothing(self) -> None:
        """Who connects and says nothing is not kept."""
        _, socket = self.client("http")
        self.two.pass_time(HEADER_SECONDS + 1)
        self.assertTrue(socket.disconnected or socket.disconnecting)
