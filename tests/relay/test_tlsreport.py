"""TLS reports: what was counted comes to whoever asks for it, as RFC 8460 says, once."""

from __future__ import annotations

import email
import email.policy
import gzip
import json
import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.journal.events.relay import TlsReportSent
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.relay.memory import MIGRATIONS, RelayMemory
from mailbox_appliance.relay.tlsreport import TlsReports
from mailbox_appliance.relay.tlswatch import DAY
from tests.kit.authority import Authority, authority
from tests.kit.fake_acceptance import FakeAcceptance
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers
from tests.relay.scene import ZONE, Scene
from tests.relay.test_security import STS, Policies, policy

ASKING = '_smtp._tls.b.example. TXT "v=TLSRPTv1; rua=mailto:tls@b.example,mailto:two@c.example"\n'
OWNER = Address("ann", "a.example")


class ReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        path = os.path.abspath(self.mktemp())
        self.memory = RelayMemory(Database(path, MIGRATIONS, InlineWorkers()), RememberedJournal())
        self.acceptance, self.journal, self.clock = FakeAcceptance(), RememberedJournal(), Clock()

    def sessions(self) -> float:
        """Three sessions with b.example: good, good by another host, unverified in testing; one with c.example."""
        os.makedirs(folder := self.mktemp())
        for host, tls in (
            ("mx1.b.example", authority().server("mx1.b.example")),
            ("mx1.b.example", authority().server("mx1.b.example")),
            ("mx1.b.example", Authority().server("mx1.b.example")),
        ):
            scene = Scene(
                ZONE + STS,
                trust_anchor=authority().write(folder),
                memory=self.memory,
                fetch=Policies(policy("testing")),
            )
            scene.host("192.0.2.1", tls=tls)
            scene.carry(f"bob@{host[4:]}")
        scene.host("192.0.2.3")
        scene.carry("bob@c.example")
        return scene.clock.seconds()

    def send(self, then: float, zone: str = ASKING, **how: Any) -> int:
        self.clock.advance(then + DAY - self.clock.seconds())

        async def sender() -> Address | None:
            return OWNER

        async def sign(content: Content, domain: str) -> bytes:
            return f"DKIM-Signature: d={domain}\n".encode()

        reports = TlsReports(
            self.memory, FakeDns(zone), self.acceptance, self.clock, self.journal, "us.example",
            sender=how.get("sender", sender), sign=sign,
        )  # fmt: skip
        return now(reports.send_due())

    def test_report(self) -> None:
        """Header, attachment and document, for the domain that asks."""
        then = self.sessions()
        self.assertEqual(self.send(then), 1)
        (parcel,) = self.acceptance.parcels
        self.assertEqual(
            [str(one.forward_path) for one in parcel.envelope.recipients], ["tls@b.example", "two@c.example"]
        )
        self.assertIsNone(parcel.envelope.reverse_path)
        octets = parcel.content.header + self.acceptance.bodies[0]
        self.assertEqual(octets.count(b"\n"), parcel.content.lines)
        self.assertTrue(all(len(line) < 999 for line in octets.split(b"\n")))
        message: Any = email.message_from_bytes(octets, policy=email.policy.default)
        self.assertEqual(message["TLS-Report-Domain"], "b.example")
        self.assertEqual(message["TLS-Report-Submitter"], "a.example")
        self.assertEqual(message["TLS-Required"], "No")
        self.assertEqual(message["DKIM-Signature"], "d=a.example")
        self.assertIn("Report Domain: b.example Submitter: a.example Report-ID: <", message["Subject"])
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "tlsrpt")
        text, attached = message.iter_parts()
        self.assertEqual(attached.get_content_type(), "application/tlsrpt+gzip")
        self.assertRegex(attached.get_filename(), r"^a\.example!b\.example!\d+!\d+!\w+\.json\.gz$")
        document = json.loads(gzip.decompress(attached.get_payload(decode=True)))
        self.assertEqual(document["date-range"]["start-datetime"], "2023-11-14T00:00:00Z")
        self.assertEqual(document["date-range"]["end-datetime"], "2023-11-14T23:59:59Z")
        (entry,) = document["policies"]
        self.assertEqual((entry["policy"]["policy-type"], entry["policy"]["policy-domain"]), ("sts", "b.example"))
        self.assertEqual(entry["policy"]["mx-host"], ["mx1.b.example", "mx2.b.example"])
        self.assertIn("mode: testing", entry["policy"]["policy-string"])
        self.assertEqual(entry["summary"], {"total-successful-session-count": 2, "total-failure-session-count": 1})
        (failure,) = entry["failure-details"]
        self.assertEqual(
            (failure["result-type"], failure["receiving-mx-hostname"], failure["receiving-ip"]),
            ("certificate-not-trusted", "mx1.b.example", "192.0.2.1"),
        )
        (event,) = self.journal.of(TlsReportSent)
        self.assertEqual((event.domain, event.good, event.bad), ("b.example", 2, 1))
        self.assertIn("RFC 8460", text.get_content())

    def test_once(self) -> None:
        """A second look on the same day finds nothing; and today's results wait for tomorrow."""
        then = self.sessions()
        self.assertEqual((self.send(then - DAY), self.send(then), self.send(then)), (0, 1, 0))

    def test_nobody_asks(self) -> None:
        self.assertEqual((self.send(self.sessions(), ""), self.acceptance.parcels), (0, []))

    def test_nobody_to_sign(self) -> None:
        """Without a domain of our own there is nobody to report."""

        async def nobody() -> Address | None:
            return None

        self.assertEqual(self.send(self.sessions(), sender=nobody), 0)

    def test_trouble(self) -> None:
        """A report that cannot be accepted harms nobody."""
        then = self.sessions()
        self.acceptance.broken = RuntimeError("full")
        self.assertEqual((self.send(then), len(self.journal.failures)), (0, 1))
