"""The resolver against name servers of a test's own, in memory and on loopback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dns.message
import dns.rcode
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.dns import packets
from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.servers import Server, ServerError, read_resolv_conf, read_server
from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.journal.events.dns import NameServerAnswers, NameServerSilent
from mailbox_appliance.ports.dns import Answer, Status
from tests.kit.journal import RememberedJournal
from tests.kit.zone_server import respond
from tests.kit.zones import Zone

ZONE = """
example.org.      60 MX 10 mx.example.org.
mx.example.org.   60 A 192.0.2.1
out.example.org.  60 CNAME far.example.net.
far.example.net.  60 CNAME mx.example.org.
ring.test.           CNAME gnir.test.
gnir.test.           CNAME ring.test.
short.test.       1  A 192.0.2.2
long.test.  999999   A 192.0.2.3
signed.test.         A 192.0.2.4
;! servfail broken.test.
;! silent dark.test.
;! authentic signed.test.
""" + "".join(f'big.test. TXT "{n:03} {"x" * 60}"\n' for n in range(40))  # fmt: skip


class FakeReactor(Clock):
    """UDP and TCP in memory. ``servers``: (address, port) → what answers a packet (None: silence)."""

    def __init__(self) -> None:
        super().__init__()
        self.advance(1000)
        self.servers: dict[tuple[str, int], Callable[[bytes, int | None], bytes | None]] = {}
        self.asked: list[tuple[str, int]] = []
        self.packets: list[bytes] = []
        self.open = 0
        self.tcp = 0
        self.sockets: list[Any] = []

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> Any:
        reactor, where = self, [("", 0)]
        assert port == 0

        class Socket:
            def connect(self, host: str, number: int) -> None:
                where[0] = (host, number)

            def write(self, datagram: bytes, addr: object = None) -> None:
                reactor.asked.append(where[0])
                reactor.packets.append(datagram)
                if where[0] not in reactor.servers:
                    reactor.callLater(0, protocol.connectionRefused)
                    return
                answer = reactor.servers[where[0]](datagram, 1232)
                if answer is not None:
                    reactor.callLater(0, protocol.datagramReceived, answer, where[0])

            def stopListening(self) -> None:
                reactor.open -= 1

        self.open += 1
        protocol.transport = Socket()
        self.sockets.append(protocol)
        protocol.startProtocol()
        return protocol.transport

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        self.tcp += 1
        protocol = factory.buildProtocol(None)
        reactor = self

        class Stream:
            def write(self, data: bytes) -> None:
                answer = reactor.servers[host, port](data[2:], None)
                if answer is not None:
                    whole = len(answer).to_bytes(2, "big") + answer
                    for start in range(0, len(whole), 100):
                        reactor.callLater(0, protocol.dataReceived, whole[start : start + 100])

            def disconnect(self) -> None:
                reactor.tcp -= 1

        stream = Stream()
        protocol.transport = stream
        self.callLater(0, protocol.connectionMade)
        return stream


class Names(SynchronousTestCase):
    def resolver(self, *servers: str, **how: Any) -> tuple[FakeReactor, DnsResolver, RememberedJournal]:
        """A resolver with one good server at 127.0.0.1 unless named otherwise."""
        reactor, journal = FakeReactor(), RememberedJournal()
        zone = Zone(ZONE)
        reactor.servers["127.0.0.1", 53] = lambda wire, most: respond(zone, wire, most)
        chosen = DnsSettings(servers=servers or ("127.0.0.1",), **how)
        return reactor, DnsResolver(reactor, journal, chosen), journal

    def answer(self, reactor: FakeReactor, going: Deferred[Answer]) -> Answer:
        for _ in range(200):
            reactor.advance(0)
        return self.successResultOf(going)

    def after(self, reactor: FakeReactor, going: Deferred[Answer], seconds: int) -> Answer:
        for _ in range(seconds):
            reactor.advance(1)
        return self.answer(reactor, going)


class AnswerTests(Names):
    def test_forms(self) -> None:
        """Records in their natural form; "no" and "not now" are values."""
        reactor, resolver, _ = self.resolver()
        for name, kind, status, records in (
            ("example.org", "MX", Status.OK, ((10, "mx.example.org"),)),
            ("EXAMPLE.org.", "mx", Status.OK, ((10, "mx.example.org"),)),
            ("out.example.org", "A", Status.OK, ("192.0.2.1",)),
            ("out.example.org", "AAAA", Status.NODATA, ()),
            ("nothing.example.org", "A", Status.NXDOMAIN, ()),
            ("broken.test", "A", Status.TEMPERROR, ()),
            ("ring.test", "A", Status.TEMPERROR, ()),
            ("a..b", "A", Status.NXDOMAIN, ()),
            ("x" * 64 + ".test", "A", Status.NXDOMAIN, ()),
            ("example.org", "NOSUCHTYPE", Status.NXDOMAIN, ()),
            ("localhost", "A", Status.OK, ("127.0.0.1",)),
            ("1.0.0.127.in-addr.arpa", "PTR", Status.OK, ("localhost",)),
        ):
            answer = self.answer(reactor, resolver.look_up(name, kind))
            self.assertEqual((answer.status, answer.records), (status, records), f"{name} {kind} {answer}")
        self.assertEqual(reactor.open, 0)

    def test_truncated(self) -> None:
        """An answer too large for UDP comes over TCP; one too large for us is an error of the moment."""
        reactor, resolver, _ = self.resolver()
        self.assertEqual(len(self.answer(reactor, resolver.look_up("big.test", "TXT")).records), 40)
        self.assertEqual((reactor.open, reactor.tcp), (0, 0))
        self.patch(packets, "TCP_OCTETS", 1000)
        resolver.forget()
        answer = self.answer(reactor, resolver.look_up("big.test", "TXT"))
        self.assertEqual(answer.status, Status.TEMPERROR)
        self.assertIn("too large", answer.reason)

    def test_authentic(self) -> None:
        """The AD bit counts from a resolver on this machine only."""
        reactor, resolver, _ = self.resolver()
        self.assertTrue(self.answer(reactor, resolver.look_up("signed.test", "A")).authentic)
        self.assertFalse(self.answer(reactor, resolver.look_up("mx.example.org", "A")).authentic)
        reactor, resolver, _ = self.resolver("192.0.2.53")
        reactor.servers["192.0.2.53", 53] = reactor.servers["127.0.0.1", 53]
        self.assertFalse(self.answer(reactor, resolver.look_up("signed.test", "A")).authentic)

    def test_without_edns(self) -> None:
        """A server that chokes on EDNS is asked without."""
        reactor, resolver, _ = self.resolver()
        good = reactor.servers["127.0.0.1", 53]

        def old(wire: bytes, most: int | None) -> bytes | None:
            query = dns.message.from_wire(wire)
            if query.edns < 0:
                return good(wire, most)
            response = dns.message.make_response(query)
            response.set_rcode(dns.rcode.FORMERR)
            response.question.clear()
            return response.to_wire()

        reactor.servers["127.0.0.1", 53] = old
        self.assertEqual(self.answer(reactor, resolver.look_up("mx.example.org", "A")).status, Status.OK)

    def test_forged(self) -> None:
        """Wrong id, wrong question, wrong sender, no response bit: all are passed over, the right one still counts."""
        reactor, resolver, _ = self.resolver()
        reactor.servers["127.0.0.1", 53] = lambda wire, most: None
        going = resolver.look_up("mx.example.org", "A")
        wire, socket = reactor.packets[0], reactor.sockets[0]
        right = respond(Zone(ZONE), wire, 1232) or b""
        other = packets.make_question("example.org", "A")
        wrong = respond(Zone(ZONE), other.wire, 1232) or b""
        for octets, sender in (
            (bytes([right[0] ^ 1]) + right[1:], ("127.0.0.1", 53)),
            (wire[:2] + wrong[2:], ("127.0.0.1", 53)),
            (right, ("127.0.0.2", 53)),
            (right, ("127.0.0.1", 54)),
            (wire, ("127.0.0.1", 53)),
            (b"", ("127.0.0.1", 53)),
        ):
            socket.datagramReceived(octets, sender)
            self.assertNoResult(going)
        socket.datagramReceived(right, ("127.0.0.1", 53))
        self.assertEqual(self.successResultOf(going).records, ("192.0.2.1",))

    def test_ids_are_random(self) -> None:
        self.assertGreater(len({packets.make_question("a.test", "A").wire[:2] for _ in range(200)}), 150)

    @settings(max_examples=300)
    @given(st.binary(max_size=200), st.lists(st.tuples(st.integers(2, 80), st.integers(0, 255)), max_size=6))
    def test_fuzz(self, tail: bytes, changes: list[tuple[int, int]]) -> None:
        """No packet raises anything, whatever is in it."""
        question = packets.make_question("mx.example.org", "A")
        wire = bytearray(respond(Zone(ZONE), question.wire, 1232) or b"")
        for at, octet in changes:
            wire[at % len(wire)] = octet
        for packet in (bytes(wire), bytes(wire) + tail, question.wire[:2] + tail):
            response = packets.read_response(question, packet)
            if response is not None:
                packets.understand(question, response, trusted=True)


class CacheTests(Names):
    def test_cached(self) -> None:
        """An answer is kept for its TTL, which runs down; "no" by the SOA; bounds hold."""
        reactor, resolver, _ = self.resolver()
        self.answer(reactor, resolver.look_up("mx.example.org", "A"))
        reactor.advance(20)
        self.assertEqual(self.successResultOf(resolver.look_up("mx.example.org", "A")).ttl, 40)
        self.assertEqual(len(reactor.asked), 1)
        reactor.advance(41)
        self.answer(reactor, resolver.look_up("mx.example.org", "A"))
        self.assertEqual(len(reactor.asked), 2)
        for name, ttl in (("short.test", 5), ("long.test", 86400), ("no.test", 30), ("broken.test", 5)):
            self.assertEqual(self.answer(reactor, resolver.look_up(name, "A")).ttl, ttl, name)

    def test_bounded(self) -> None:
        reactor, resolver, _ = self.resolver(most_entries=10)
        for number in range(30):
            self.answer(reactor, resolver.look_up(f"n{number}.test", "A"))
        self.assertEqual(len(resolver._cache), 10)

    def test_coalesced(self) -> None:
        """Equal questions in flight are one; one asker who leaves does not disturb the others."""
        reactor, resolver, _ = self.resolver()
        going = [resolver.look_up("mx.example.org", "A") for _ in range(5)]
        going[0].cancel()
        self.failureResultOf(going[0])
        for one in going[1:]:
            self.assertEqual(self.answer(reactor, one).status, Status.OK)
        self.assertEqual(len(reactor.asked), 1)

    def test_many_at_once(self) -> None:
        """Questions beyond the bound wait; beyond the second bound they are answered "not now"."""
        reactor, resolver, _ = self.resolver(most_at_once=2, most_waiting=3)
        going = [resolver.look_up(f"n{number}.test", "A") for number in range(8)]
        self.assertEqual(reactor.open, 2)
        self.assertEqual([self.successResultOf(one).status for one in going[5:]], [Status.TEMPERROR] * 3)
        for one in going[:5]:
            self.assertEqual(self.answer(reactor, one).status, Status.NXDOMAIN)


class TroubleTests(Names):
    def test_silent(self) -> None:
        """A server that never answers costs its budget at most and is TEMPERROR; the journal is told once."""
        reactor, resolver, journal = self.resolver()
        answer = self.after(reactor, resolver.look_up("dark.test", "A"), 21)
        self.assertEqual(answer.status, Status.TEMPERROR)
        self.after(reactor, resolver.look_up("x.dark.test", "A"), 21)
        (event,) = journal.of(NameServerSilent)
        self.assertEqual(event.server, "127.0.0.1:53")
        self.assertEqual((resolver.state()[0].good, reactor.open, journal.failures), (False, 0, []))
        self.answer(reactor, resolver.look_up("mx.example.org", "A"))
        self.assertEqual((resolver.state()[0].good, len(journal.of(NameServerAnswers))), (True, 1))

    def test_budget(self) -> None:
        """However many servers are silent, the total is bounded."""
        reactor, resolver, _ = self.resolver(*[f"192.0.2.{n}" for n in range(1, 9)])
        for n in range(1, 9):
            reactor.servers[f"192.0.2.{n}", 53] = lambda wire, most: None
        going = resolver.look_up("mx.example.org", "A")
        for _ in range(19):
            reactor.advance(1)
        self.assertNoResult(going)
        self.assertEqual(self.after(reactor, going, 2).status, Status.TEMPERROR)
        self.assertEqual((reactor.open, reactor.getDelayedCalls()), (0, []))

    def test_failover(self) -> None:
        """The second server answers when the first is dead; from then on it is asked first."""
        reactor, resolver, _ = self.resolver("192.0.2.1", "127.0.0.1")
        self.assertEqual(self.answer(reactor, resolver.look_up("mx.example.org", "A")).status, Status.OK)
        self.answer(reactor, resolver.look_up("example.org", "MX"))
        self.assertEqual([where[0] for where in reactor.asked], ["192.0.2.1", "127.0.0.1", "127.0.0.1"])
        self.assertEqual([state.good for state in resolver.state()], [False, True])

    def test_probe(self) -> None:
        """``probe`` asks every server, whatever the cache holds."""
        reactor, resolver, _ = self.resolver("192.0.2.1", "127.0.0.1")
        self.assertEqual([state.good for state in resolver.state()], [None, None])
        going = resolver.probe()
        states: Any = self.answer(reactor, going)  # type: ignore[arg-type]
        self.assertEqual([state.good for state in states], [False, True])


class ServerTests(SynchronousTestCase):
    def test_texts(self) -> None:
        for text, server in (
            ("127.0.0.1", Server("127.0.0.1")),
            ("127.0.0.1:5353", Server("127.0.0.1", 5353)),
            ("::1", Server("::1")),
            ("[::1]:5353", Server("::1", 5353)),
            ("[::1]", Server("::1")),
        ):
            self.assertEqual(read_server(text), server)
            self.assertEqual(read_server(str(server)), server)
        for text in ("", "ns.example.org", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:70000", "[::1", "[::1]x"):
            self.assertRaises(ServerError, read_server, text)

    def test_resolv_conf(self) -> None:
        text = (
            "# hi\nsearch x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver what\nnameserver 2001:db8::1\n"
        )
        found = [server.address for server in read_resolv_conf(text)]
        self.assertEqual(found, ["192.0.2.1", "fe80::1", "2001:db8::1"])
        self.assertEqual(read_resolv_conf(""), (Server("127.0.0.1"),))

    @settings(max_examples=100)
    @given(st.text(max_size=100))
    def test_fuzz(self, text: str) -> None:
        read_resolv_conf("nameserver " + text)

    def test_followed(self) -> None:
        """resolv.conf is read again when it changes."""
        path = self.mktemp()
        reactor = FakeReactor()
        resolver = DnsResolver(reactor, RememberedJournal(), DnsSettings(resolv_conf=path))
        self.assertEqual(resolver.state()[0].server, "127.0.0.1:53")
        with open(path, "w") as file:
            file.write("nameserver 192.0.2.77\n")
        reactor.advance(31)
        self.assertEqual(resolver.state()[0].server, "192.0.2.77:53")
