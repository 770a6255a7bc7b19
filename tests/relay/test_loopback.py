"""The relay over real sockets on loopback: names by UDP, MX, STARTTLS, log-in, kept connections, refused ports."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.relay import socks
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.dial import by_tcp
from mailbox_appliance.relay.mtasts_fetch import PolicyFetcher
from mailbox_appliance.relay.settings import Host, Proxy, RelaySettings, Security
from mailbox_appliance.relay.tls import ClientTls
from mailbox_appliance.workers import ThreadedWorkers
from tests.kit.authority import Authority, authority
from tests.kit.journal import RememberedJournal
from tests.kit.smtp_host import SmtpHost
from tests.kit.zone_server import respond, serve
from tests.kit.zones import Zone

ZONE = """
b.example.    MX 10 mx.b.example.
mx.b.example. A 127.0.0.1
mx.b.example. AAAA ::1
mta-sts.b.example. A 127.0.0.1
"""
HEADER = b"Subject: test\n\n"


class LoopbackTests(TestCase):
    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        zone = Zone(ZONE)

        class Text:
            def respond(self, wire: bytes, most: int | None) -> bytes | None:
                return respond(zone, wire, most)

        number, listening = serve(reactor, Text())
        for one in listening:
            self.addCleanup(one.stopListening)
        self.journal = RememberedJournal()
        self.workers = ThreadedWorkers(self.reactor)
        self.addCleanup(self.workers.stop)
        self.resolver = DnsResolver(self.reactor, self.journal, DnsSettings(servers=(f"127.0.0.1:{number}",)))
        os.makedirs(folder := self.mktemp())
        self.anchor = authority().write(folder)

    def listen(self, **how: Any) -> tuple[SmtpHost, int]:
        host = SmtpHost(**how)
        port = self.reactor.listenTCP(0, Factory.forProtocol(host), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return host, port.getHost().port

    def relay(self, **settings: Any) -> MailRelay:
        how = RelaySettings("us.example", trust_anchor=self.anchor, allow_loopback=True, idle_seconds=5.0, **settings)
        relay = MailRelay(self.reactor, self.workers, self.resolver, self.journal, how)
        self.addCleanup(relay.stop)
        return relay

    def shipment(self, body: bytes | SpooledBody, lines: int, *names: str) -> Shipment:
        recipients = tuple(Recipient(Address(name, "b.example")) for name in names or ("bob",))
        return Shipment("t", Envelope(None, recipients), Content(HEADER, body, lines + 2), "b.example")

    def rest(self, seconds: float = 0.05) -> Deferred[None]:
        """Let goodbyes be said, so that no socket outlives the test."""
        done: Deferred[None] = Deferred()
        self.reactor.callLater(seconds, done.callback, None)
        return done

    async def test_by_mx(self) -> None:
        """Names, MX, STARTTLS verified by our root, two messages over one connection, a large one from disk."""
        host, port = self.listen(tls=authority().server("mx.b.example"))
        relay = self.relay(direct=True, mx_port=port)
        (outcome,) = await relay.carry(self.shipment(b"hello\n", 1))
        self.assertEqual((outcome.result, outcome.tls), (Result.DELIVERED, "TLSv1.3 verified"), outcome)
        body = b"0123456789" * 7 + b"\n.dots\n"
        path = Path(self.mktemp())
        path.write_bytes(body * 50_000)
        spooled = SpooledBody(str(path), 0, len(body) * 50_000)
        (outcome,) = await relay.carry(self.shipment(spooled, 100_000))
        self.assertEqual(outcome.result, Result.DELIVERED, outcome)
        self.assertEqual(host.mails[1][2], (HEADER + body * 50_000).replace(b"\n", b"\r\n"))
        self.assertEqual(host.connections, 1)
        relay.stop()
        await self.rest()
        self.assertEqual(host.commands[-1], "QUIT")

    async def test_smarthost(self) -> None:
        """A smarthost by name with implicit TLS and a log-in."""
        host, port = self.listen(tls=authority().server("localhost"), implicit=True, login=("ann", "geheim"))
        secret = Path(self.mktemp())
        secret.write_text("geheim\n")
        secret.chmod(0o600)
        relay = self.relay(smarthost=Host("localhost", port, Security.IMPLICIT, "ann", str(secret)))
        (outcome,) = await relay.carry(self.shipment(b"hello\n", 1))
        self.assertEqual((outcome.result, outcome.tls), (Result.DELIVERED, "TLSv1.3 verified"), outcome)
        self.assertEqual(len(host.mails), 1)
        relay.stop()
        await self.rest()

    async def test_pinned(self) -> None:
        """Where a key is pinned it alone is the proof: another one hears no secret, be its name and authority good."""
        secret = Path(self.mktemp())
        secret.write_text("geheim\n")
        secret.chmod(0o600)
        server = Authority().server("else.example", days=-3)
        how: Any = {"tls": server, "login": ("edge", "geheim")}
        key: Any = server.privateKey
        public = key.to_cryptography_key().public_key()
        pin = sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
        for pins, expected in (((pin,), Result.DELIVERED), (("00" * 32, pin), Result.DELIVERED), (("00" * 32,), None)):
            host, port = self.listen(**how)
            relay = self.relay(smarthost=Host("127.0.0.1", port, Security.STARTTLS, "edge", str(secret), pins))
            (outcome,) = await relay.carry(self.shipment(b"hello\n", 1))
            self.assertEqual(outcome.result, expected or Result.TRY_AGAIN, outcome)
            self.assertEqual(outcome.tls, "TLSv1.3 verified by its key" if expected else "")
            self.assertEqual(any("AUTH" in command for command in host.commands), expected is not None)
            relay.stop()
            await self.rest()

    async def test_through_a_proxy(self) -> None:
        """By a SOCKS5 proxy, with STARTTLS inside; the way is not straight even on loopback, since we say so here."""
        host, port = self.listen(tls=authority().server("mx.b.example"))
        reactor = self.reactor
        asked: list[tuple[str, int]] = []

        class Proxying(Protocol):
            far: Any = None
            stage = 0

            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                if self.stage == 2:
                    self.far.transport.write(data)
                    return
                self.stage += 1
                if self.stage == 1:
                    self.transport.write(b"\x05\x00")
                    return
                asked.append((".".join(map(str, data[4:8])), int.from_bytes(data[8:10], "big")))
                TCP4ClientEndpoint(reactor, *asked[-1]).connect(Factory.forProtocol(Protocol)).addCallback(self.joined)

            def joined(self, far: Any) -> None:
                assert self.transport is not None
                self.far = far
                far.dataReceived = self.transport.write
                self.transport.write(b"\x05\x00\x00\x01" + bytes(6))

            def connectionLost(self, reason: Any = None) -> None:
                if self.far is not None:
                    self.far.transport.loseConnection()

        proxy = self.reactor.listenTCP(0, Factory.forProtocol(Proxying), interface="127.0.0.1")
        self.addCleanup(proxy.stopListening)
        self.patch(socks, "is_near", lambda address: False)
        relay = self.relay(direct=True, mx_port=port, socks=Proxy("127.0.0.1", proxy.getHost().port))
        for _ in range(2):
            (outcome,) = await relay.carry(self.shipment(b"hello\n" * 50_000, 50_000))
            self.assertEqual((outcome.result, outcome.tls), (Result.DELIVERED, "TLSv1.3 verified"), outcome)
        self.assertEqual((asked, len(host.mails)), ([("127.0.0.1", port)], 2))
        relay.stop()
        await self.rest()

    async def test_policy(self) -> None:
        """An MTA-STS policy over HTTPS."""
        body = b"version: STSv1\nmode: none\nmax_age: 60\n"

        class Web(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                request.setHeader(b"Content-Type", b"text/plain")
                return body if request.path == b"/.well-known/mta-sts.txt" else b"?"

        site = Site(Web())
        port = self.reactor.listenSSL(0, site, authority().server("mta-sts.b.example"), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        fetcher = PolicyFetcher(
            self.reactor,
            self.resolver,
            ClientTls(self.workers, self.anchor),
            by_tcp(self.reactor),
            allow_loopback=True,
            port=port.getHost().port,
        )
        self.assertEqual(await fetcher.fetch("b.example"), body)
        await self.rest()

    async def test_refused(self) -> None:
        """A port where nobody listens."""
        port = self.reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        outcomes: tuple[Outcome, ...] = await self.relay(direct=True, mx_port=number).carry(self.shipment(b"x\n", 1))
        self.assertEqual(outcomes[0].result, Result.TRY_AGAIN)
        self.assertIn("nothing listens", outcomes[0].reason)
