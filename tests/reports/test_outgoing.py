"""Our reports to others: counted, written once a day to whom the record names, and to nobody else."""

from __future__ import annotations

from email import message_from_bytes

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.journal.events.reports import ReportSent
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mailauth.dmarc import read_record
from mailbox_appliance.mailauth.lookups import Answers, settle
from mailbox_appliance.ports.dns import Answer
from mailbox_appliance.ports.reports import DmarcSeen
from mailbox_appliance.reports.aggregate import read_aggregate
from mailbox_appliance.reports.memory import MIGRATIONS
from mailbox_appliance.reports.outgoing import AggregateReports, destinations
from mailbox_appliance.reports.tally import DAY, FLUSH, MOST_IN_MEMORY, Tally
from mailbox_appliance.reports.unpack import papers_of
from tests.checks.scene import Scene
from tests.kit.fake_acceptance import FakeAcceptance
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import NOW, now
from tests.kit.workers import InlineWorkers

ZONE = """
_dmarc.far.example.  TXT "v=DMARC1; p=reject; rua=mailto:d@far.example!10m, mailto:far@collect.test"
_dmarc.shy.example.  TXT "v=DMARC1; p=none"
_dmarc.mean.example. TXT "v=DMARC1; p=none; rua=mailto:victim@else.test"
_dmarc.example.org.  TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.org"
far.example._report._dmarc.collect.test. TXT "v=DMARC1"
"""
SEEN = DmarcSeen(
    "far.example", "192.0.2.7", "far.example", "bounce.far.example", "reject", False, False,
    "far.example/s1/fail", "bounce.far.example", "mfrom", "softfail",
)  # fmt: skip


class OutgoingTests(SynchronousTestCase):
    """A tally over a real file, a door that remembers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = RememberedJournal()
        self.acceptance = FakeAcceptance()
        self.path = self.mktemp()
        self.tally = self.make()
        self.signed_as: list[str] = []

    def make(self) -> Tally:
        self.database = Database(self.path, MIGRATIONS, InlineWorkers())
        self.addCleanup(self.database.close)
        tally = Tally(self.database, self.clock, self.journal)
        tally.wanted = True
        return tally

    def send(self, zone: str = ZONE) -> int:
        async def sign(content: Content, domain: str) -> bytes:
            self.signed_as.append(domain)
            return b"DKIM-Signature: v=1\n"

        async def sender() -> Address:
            return Address("postmaster", "example.org")

        reports = AggregateReports(
            self.tally, FakeDns(zone), self.acceptance, InlineWorkers(), self.clock, self.journal,
            lambda: "mail.example.org", lambda: frozenset({"example.org"}), sender=sender, sign=sign,
        )  # fmt: skip
        return now(reports.send_due())

    def test_a_day(self) -> None:
        """One report, read again by our own reader; on the day itself and a second time nothing goes."""
        for _ in range(3):
            self.tally.count(SEEN)
        self.assertEqual(self.send(), 0)
        self.tally = self.make()  # a restart
        self.clock.advance(DAY)
        self.assertEqual(self.send(), 1)
        (parcel,) = self.acceptance.parcels
        self.assertIsNone(parcel.envelope.reverse_path)
        self.assertEqual(
            [(str(one.forward_path), one.notify) for one in parcel.envelope.recipients],
            [("d@far.example", frozenset({"NEVER"})), ("far@collect.test", frozenset({"NEVER"}))],
        )
        assert isinstance(parcel.content.body, bytes)
        whole = parcel.content.header + parcel.content.body
        self.assertTrue(whole.startswith(b"DKIM-Signature"))
        self.assertEqual(self.signed_as, ["example.org"])
        message = message_from_bytes(whole)
        self.assertRegex(
            " ".join(message["Subject"].split()),
            r"^Report Domain: far\.example Submitter: example\.org Report-ID: <\S+>$",
        )
        self.assertEqual(message["From"], "DMARC reports <postmaster@example.org>")
        name = message.get_payload()[1].get_filename()  # type: ignore[union-attr, index]
        self.assertRegex(name, r"^example\.org!far\.example!\d+!\d+!\w+\.xml\.gz$")
        (paper,) = papers_of(whole)
        report = read_aggregate(paper.octets)
        self.assertEqual((report.reporter, report.domain, report.policy), ("example.org", "far.example", "reject"))
        self.assertEqual(report.end - report.begin, DAY - 1)
        (row,) = report.sources
        self.assertEqual((row.source, row.messages, row.disposition), ("192.0.2.7", 3, "reject"))
        self.assertEqual(row.details, "dkim=fail far.example/s1; spf=softfail bounce.far.example")
        (told,) = self.journal.of(ReportSent)
        self.assertEqual((told.domain, told.messages), ("far.example", 3))
        self.assertEqual(self.send(), 0)

    def test_nobody_asks(self) -> None:
        """No rua, an address that never agreed, our own domain, no record any more: nothing goes, nothing is kept."""
        for domain in ("shy.example", "mean.example", "example.org", "gone.example"):
            self.tally.count(DmarcSeen(domain, *["x"] * 4, False, False, *["x"] * 4))  # type: ignore[misc, arg-type]
        self.clock.advance(DAY)
        self.assertEqual((self.send(), self.acceptance.parcels), (0, []))
        self.assertEqual(now(self.tally.before(10**9)), {})

    def test_off(self) -> None:
        """Nothing is counted."""
        self.tally.wanted = False
        self.tally.count(SEEN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """A flood of kinds is counted up to a bound; a quarter of an hour later it is on the disk."""
        for number in range(MOST_IN_MEMORY + 10):
            self.tally.count(DmarcSeen("far.example", f"s{number}", *["x"] * 3, False, False, *["x"] * 4))  # type: ignore[misc, arg-type]
        self.clock.advance(FLUSH)
        found = now(self.tally.before(10**9))
        self.assertEqual(sum(len(rows) for rows in found.values()), MOST_IN_MEMORY)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_old(self) -> None:
        """What stood for days unsent goes when new things come."""
        self.tally.count(SEEN)
        now(self.tally.flush())
        self.clock.advance(5 * DAY)
        self.tally.count(SEEN)
        self.assertEqual(len(now(self.tally.before(10**9))), 1)

    def test_addresses(self) -> None:
        """Ways of writing rua, and how large a report may be."""

        async def ask(questions: tuple[tuple[str, str], ...]) -> tuple[Answer, ...]:
            dns = FakeDns(ZONE)
            return tuple([await dns.look_up(*question) for question in questions])

        for rua, wanted in (
            ("mailto:a@far.example", [("a@far.example", 10 << 20)]),
            ("MAILTO:a%2Bb@far.example!5k", [("a+b@far.example", 5 << 10)]),
            ("mailto:a@sub.far.example!100", [("a@sub.far.example", 100)]),
            ("https://far.example/r, mailto:, mailto:nobody, mailto:x@[192.0.2.1]", []),
            ("mailto:a@far.example,mailto:a@far.example", [("a@far.example", 10 << 20)]),
            ("mailto:x@collect.test!9x", [("x@collect.test", 10 << 20)]),
            ("mailto:x@else.test", []),
        ):
            record = read_record(f"v=DMARC1; p=none; rua={rua}".encode())
            assert record is not None
            found = now(settle(lambda answers: destinations("far.example", record, answers), Answers(), ask))  # noqa: B023
            self.assertEqual([(str(address), most) for address, most in found], wanted, rua)

    def test_what_the_checks_count(self) -> None:
        """A forgery of a p=reject domain, refused; an honest message; a domain without a policy is not counted."""
        scene = Scene()
        seen: list[DmarcSeen] = []

        class Remembered:
            def count(self, one: DmarcSeen) -> None:
                seen.append(one)

        scene.checks.tally = Remembered()
        forged = b"From: boss@victim.test\nTo: ann@home.test\nSubject: x\n\nhello\n"
        scene.examine(forged)
        (one,) = seen
        self.assertEqual((one.policy_domain, one.author, one.envelope), ("victim.test", "victim.test", "attacker.test"))
        self.assertEqual((one.dkim, one.spf, one.disposition), (False, False, "reject"))
        self.assertEqual((one.spf_scope, one.spf_domain), ("mfrom", "attacker.test"))
        scene.examine(b"From: x@nowhere.test\nTo: ann@home.test\nSubject: x\n\nhello\n")
        self.assertEqual(len(seen), 1)
