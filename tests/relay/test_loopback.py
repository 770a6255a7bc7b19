"""The relay over real sockets on loopback: names by UDP, MX, STARTTLS, log-in, kept connections, refused ports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.settings import Host, RelaySettings, Security
from mailbox_appliance.workers import ThreadedWorkers
from tests.kit.authority import authority
from tests.kit.journal import RememberedJournal
from tests.kit.smtp_host import SmtpHost
from tests.kit.zone_server import respond, serve
from tests.kit.zones import Zone

ZONE = """
b.example.    MX 10 mx.b.example.
mx.b.example. A 127.0.0.1
mx.b.example. AAAA ::1
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

    async def test_refused(self) -> None:
        """A port where nobody listens."""
        port = self.reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        outcomes: tuple[Outcome, ...] = await self.relay(direct=True, mx_port=number).carry(self.shipment(b"x\n", 1))
        self.assertEqual(outcomes[0].result, Result.TRY_AGAIN)
        self.assertIn("nothing listens", outcomes[0].reason)
