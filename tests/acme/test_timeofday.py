"""The clock is compared with somebody else's."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.acme.timeofday import MOST_OCTETS, SECONDS, TimeOfDay, said_date
from tests.kit.fake_dns import FakeDns

NOON = 1_790_000_000.0  # Mon, 21 Sep 2026 14:13:20 GMT
ANSWER = b"HTTP/1.1 301 Moved\r\nServer: x\r\nDate: Mon, 21 Sep 2026 14:13:20 GMT\r\n\r\n"


class TimeOfDayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.advance(NOON + 7200)
        self.time = TimeOfDay(self.reactor, self.reactor, FakeDns("ca.test. A 192.0.2.1\n"))

    def ask(self, host: str = "ca.test") -> Deferred[float | None]:
        return Deferred.fromCoroutine(self.time.ahead(host))

    def test_ahead(self) -> None:
        """Two hours ahead, whatever pieces the answer comes in."""
        for pieces in ([ANSWER], [ANSWER[at : at + 1] for at in range(len(ANSWER))]):
            found = self.ask()
            host, port, factory, *_ = self.reactor.tcpClients[-1]
            self.assertEqual((host, port), ("192.0.2.1", 80))
            transport = StringTransport()
            asking = factory.buildProtocol(None)
            asking.makeConnection(transport)
            self.assertEqual(transport.value(), b"HEAD / HTTP/1.0\r\nHost: ca.test\r\n\r\n")
            for piece in pieces:
                asking.dataReceived(piece)
            ahead = self.successResultOf(found)
            assert ahead is not None
            self.assertAlmostEqual(ahead, 7199.5, delta=0.01)
            self.assertTrue(transport.disconnecting)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nobody_says_it(self) -> None:
        """No host, no address, refused, silent, cut off, too much, nonsense: then nobody knows."""
        self.assertIsNone(self.successResultOf(self.ask("")))
        self.assertIsNone(self.successResultOf(self.ask("nowhere.test")))
        found = self.ask()
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assertIsNone(self.successResultOf(found))
        for octets in (b"", b"HTTP/1.0 200 OK\r\n", b"SSH-2.0\r\nDate: x\r\n\r\n", b"x" * MOST_OCTETS):
            found = self.ask()
            asking = self.reactor.tcpClients[-1][2].buildProtocol(None)
            asking.makeConnection(StringTransport())
            asking.dataReceived(octets)
            asking.connectionLost(Failure(ConnectionRefusedError()))
            self.assertIsNone(self.successResultOf(found), octets[:20])
        found = self.ask()
        self.reactor.advance(SECONDS)
        self.assertEqual(self.reactor.connectors[-1].stoppedConnecting or True, True)

    def test_dates(self) -> None:
        """As HTTP writes them; anything else is none."""
        self.assertEqual(said_date(ANSWER), NOON)
        for value in (b"", b"yesterday", b"Mon, 99 Sep 2026 14:13:20 GMT", b"\xff", b"Mon, 21 Sep 99999999 1:1:1 GMT"):
            self.assertIsNone(said_date(b"HTTP/1.0 200 OK\r\nDate: " + value + b"\r\n\r\n"), value)
