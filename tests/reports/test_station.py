"""A report comes in by mail, is filed, read, remembered, and told in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.reports import ReportsDesk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.database import Database
from mailbox_appliance.journal.events.reports import ReportRead, ReportUnread
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.verdict import Action, Evidence, Verdict
from mailbox_appliance.reports.memory import DAY, KEPT, MIGRATIONS, MOST_UNPROVEN_A_DAY, Kept, ReportMemory
from mailbox_appliance.reports.station import ReportStation
from mailbox_appliance.reports.values import AGGREGATE, FAILURE, TLS, Report, SourceRow, TlsRow
from mailbox_appliance.reports.words import summary
from tests.kit.fake_dns import FakeDns
from tests.kit.post_office import NOW, PostOffice, now
from tests.reports.letters import aggregate, letter, packed, record

PROVEN = Verdict(evidence=(Evidence("dmarc", "pass"),), is_proven=True)
DOUBTED = Verdict(evidence=(Evidence("dmarc", "fail"),))
FORGED = record("198.51.100.7", 3, dkim="fail", spf="fail")


def content(message: bytes) -> Content:
    end = header_end(message)
    return Content(message[:end], message[end:], message.count(b"\n"))


class StationTests(SynchronousTestCase):
    """The post office with a reader of reports."""

    def setUp(self) -> None:
        self.office = PostOffice(self.mktemp())
        self.addCleanup(self.office.close)
        path = str(self.office.root / "reports.db")
        self.memory = ReportMemory(Database(path, MIGRATIONS, self.office.workers))
        self.station = ReportStation(
            self.memory, self.office.directory, self.office.workers, self.office.clock, self.office.journal
        )
        self.office.door.reading = self.station
        self.addCleanup(lambda: now(self.station.stop()))

    def come(self, message: bytes, to: str = "postmaster@example.org", verdict: Verdict = PROVEN) -> None:
        self.office.accept([to], content=content(message), sender="d@far.example", origin=Origin.WAN, verdict=verdict)

    def report(self, **arguments: object) -> Result:
        dns = FakeDns("7.100.51.198.in-addr.arpa. PTR mail.shop.test.\nmail.example.org. A 192.0.2.90\n")
        desk = ReportsDesk(
            self.memory, self.office.directory, self.office.clock, frozenset, lambda: "mail.example.org", dns
        )
        return now(desk.report(arguments))

    def folders(self) -> list[str]:
        return [one.mailbox for one in self.office.journal.of(self.kept_event())]

    def kept_event(self) -> type:
        from mailbox_appliance.journal.events.delivery import Kept as KeptEvent

        return KeptEvent

    def test_filed_and_read(self) -> None:
        """It lies in Reports, and the owner reads who used his name."""
        self.come(letter(packed(aggregate(record("192.0.2.90", 40), FORGED))))
        self.assertEqual(self.folders(), ["Reports"])
        (told,) = self.office.journal.of(ReportRead)
        self.assertEqual((told.kind, told.domain, told.sender, told.good, told.bad), ("aggregate", "example.org", "far.example", 40, 3))  # fmt: skip
        result = self.report()
        text = "\n".join(result.lines)
        self.assertIn("43 message(s) bore the name, 3 of them failed", text)
        self.assertIn("3 from 198.51.100.7 (mail.shop.test): failed both: somebody pretends to be you", text)
        self.assertIn("40 from 192.0.2.90 (this machine): our own mail passed", text)
        self.assertIn("add its include: to SPF", text)
        self.assertIn("publish p=quarantine", text)
        (data,) = result.data
        self.assertEqual((data["passed"], data["failed"], data["reporters"]), (40, 3, ["far.example"]))

    def test_only_at_the_postmaster(self) -> None:
        """To anybody else it is a letter like others."""
        self.come(letter(packed(aggregate(FORGED))), to="bob@example.org")
        self.assertEqual(self.folders(), ["INBOX"])
        self.assertEqual(self.office.journal.of(ReportRead), [])

    def test_once(self) -> None:
        """The same report, sent again, counts once."""
        for _ in range(2):
            self.come(letter(packed(aggregate(FORGED))))
        self.assertEqual(self.report().data[0]["failed"], 3)
        self.assertIn("known already", self.office.journal.of(ReportUnread)[0].reason)

    def test_invented(self) -> None:
        """A report behind which nobody stands is in no figure; one about others' domains is not kept."""
        self.come(letter(packed(aggregate(FORGED))), verdict=DOUBTED)
        (data,) = self.report().data
        self.assertEqual((data["failed"], data["unproven"]), (0, 1))
        self.assertIn("may be invented", "\n".join(self.report().lines))
        self.come(letter(packed(aggregate(FORGED, domain="other.example"))))
        self.assertIn("not ours", self.office.journal.of(ReportUnread)[0].reason)

    def test_a_flood(self) -> None:
        """Invented reports fill no disk."""
        for number in range(MOST_UNPROVEN_A_DAY + 3):
            report = Report(AGGREGATE, "x", f"id{number}", "example.org", 1.0, 2.0)
            why = now(self.memory.keep(Kept(report, "x.example", NOW, False)))
        self.assertIn("too many", why)

    def test_junk_is_not_read(self) -> None:
        """What is junk goes there, and nowhere else."""
        self.come(letter(packed(aggregate(FORGED))), verdict=Verdict(Action.JUNK))
        self.assertEqual(self.folders(), ["Junk"])
        self.assertEqual(self.office.journal.of(ReportRead), [])

    def test_broken(self) -> None:
        """It stays in the mailbox, and the journal says why it was not counted."""
        self.come(letter(b"\x1f\x8b broken"))
        self.assertEqual(self.folders(), ["Reports"])
        self.assertIn("gzip", self.office.journal.of(ReportUnread)[0].reason)

    def test_large_body_on_disk(self) -> None:
        """A body in the spool is read from there."""
        whole = content(letter(packed(aggregate(FORGED))))
        assert isinstance(whole.body, bytes)
        path = self.office.root / "spooled"
        path.write_bytes(b"before" + whole.body)
        spooled = Content(whole.header, SpooledBody(str(path), 6, len(whole.body)), whole.lines)
        self.office.accept(["postmaster@example.org"], content=spooled, sender="d@far.example", origin=Origin.WAN, verdict=PROVEN)  # fmt: skip
        self.assertEqual(len(self.office.journal.of(ReportRead)), 1)

    def test_days_and_domain(self) -> None:
        """Old ones are left out; odd wishes are refused."""
        self.come(letter(packed(aggregate(FORGED))))
        self.office.clock.advance(10 * DAY)
        self.assertEqual(self.report().data[0]["reports"], 0)
        self.assertEqual(self.report(days="30", domain="example.org").data[0]["reports"], 1)
        for wrong in ({"days": "0"}, {"days": "x"}, {"days": "9999"}, {"domain": "nobody.example"}):
            self.assertRaises(Refused, self.report, **wrong)

    def test_forgotten(self) -> None:
        """After half a year."""
        self.come(letter(packed(aggregate(FORGED))))
        self.assertEqual(now(self.memory.forget_old(NOW + KEPT - 10)), 0)
        self.assertEqual(now(self.memory.forget_old(NOW + KEPT + 10)), 1)
        self.assertEqual(now(self.memory.since(0.0)), [])


class WordsTests(SynchronousTestCase):
    """What the owner reads."""

    def said(self, *reports: Report, own: frozenset[str] = frozenset()) -> str:
        kept = [Kept(report, "far.example", NOW, True) for report in reports]
        return "\n".join(summary(["example.org"], kept, 7, own)[0])

    def of(self, *rows: SourceRow) -> Report:
        return Report(AGGREGATE, "far", "1", "example.org", 1.0, 2.0, "quarantine", rows)

    def test_nothing(self) -> None:
        """No report yet."""
        self.assertIn("no report has come", self.said())

    def test_sources(self) -> None:
        """Each kind of source has its words and its remedy."""
        own = frozenset({"192.0.2.90"})
        for row, words in (
            (SourceRow("192.0.2.90", 2), "our own mail failed"),
            (SourceRow("192.0.2.90", 2, dkim=True), "SPF does not fit"),
            (SourceRow("192.0.2.90", 2, spf=True), "DKIM does not fit"),
            (SourceRow("192.0.2.90", 2, spf=True, dkim=True), "our own mail passed"),
            (SourceRow("192.0.2.1", 2, dkim=True), "forwarded, or a service that signs as us"),
            (SourceRow("192.0.2.1", 2, spf=True), "does not sign as us"),
            (SourceRow("192.0.2.1", 2, spf=True, dkim=True), "a service that writes for us"),
            (SourceRow("192.0.2.1", 2, reason="mailing_list"), "mailing list"),
            (SourceRow("192.0.2.1", 2, details="dkim=fail example.org/s1"), "mailing list"),
            (SourceRow("192.0.2.1", 2, details="dkim=pass news.test/a; spf=pass b.news.test"), "b.news.test writes"),
            (SourceRow("192.0.2.1", 2), "somebody pretends to be you"),
            (SourceRow("192.0.2.1", 2), "2 of those that failed were delivered all the same"),
        ):
            self.assertIn(words, self.said(self.of(row), own=own))

    def test_many(self) -> None:
        """A long list is cut for people."""
        rows = [SourceRow(f"192.0.2.{number}", 1) for number in range(50)]
        self.assertIn("and 30 more addresses", self.said(self.of(*rows)))

    def test_tls_and_failures(self) -> None:
        """Sessions, and messages reported one by one."""
        tls = Report(TLS, "far", "1", "example.org", 1.0, 2.0, tls=(TlsRow("sts", "", 9), TlsRow("sts", "certificate-expired", 2, "mx.example.org")))  # fmt: skip
        one = Report(FAILURE, "far", "", "example.org", 1.0, 1.0, sources=(SourceRow("192.0.2.5", 1, details="auth-failure; dkim"),))  # fmt: skip
        text = self.said(tls, one)
        self.assertIn("TLS: 9 session(s) went well, 2 failed", text)
        self.assertIn("mailappliance cert renew", text)
        self.assertIn("from 192.0.2.5: auth-failure; dkim", text)
