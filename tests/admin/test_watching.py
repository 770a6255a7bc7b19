"""The daily look: each change is told once, answers that fail are none, old keys get successors."""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.names import Examined
from mailbox_appliance.admin.result import Refused
from mailbox_appliance.admin.status import domain_records
from mailbox_appliance.admin.watching import DAY, DomainWatch
from mailbox_appliance.journal.events.dns import RecordsChanged
from mailbox_appliance.mailauth.publish import MAY, MUST
from mailbox_appliance.mailauth.published import NOT_YET, SEEN, UNKNOWN, WRONG, Finding
from tests.admin.test_names import FakeKeys, Record
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers

MX, KEY_NAME = "home.test", "r1._domainkey.home.test"


def finding(state: str, name: str = MX, rdtype: str = "MX", tier: str = MUST) -> Finding:
    return Finding(tier, name, rdtype, state, f"is {state}", "" if state == SEEN else f"mend {name}")


class WatchTests(SynchronousTestCase):
    """A watch over findings that the test makes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.journal = RememberedJournal()
        self.keys = FakeKeys()
        self.path = os.path.join(self.mktemp())
        self.findings: tuple[Finding, ...] = ()
        self.letters: list[tuple[str, str]] = []
        self.taken, self.refused = True, False
        self.rotate_days = 365
        self.watch = self.make()

    def make(self) -> DomainWatch:
        async def examine(domain: str) -> Examined:
            if self.refused:
                raise Refused("unreadable")
            return Examined(self.findings, (), await self.keys.records(domain))

        async def tell(domain: str, subject: str, text: str) -> bool:
            self.letters.append((subject, text))
            return self.taken

        return DomainWatch(
            examine,
            self.keys,
            lambda: frozenset({"home.test"}),
            self.path,
            self.clock,
            InlineWorkers(),
            self.journal,
            tell,
            lambda: self.rotate_days,
        )

    def look(self, *findings: Finding) -> list[str]:
        """The subjects of the letters that this look gives rise to."""
        self.findings = findings
        before = len(self.letters)
        now(self.watch.look())
        self.clock.advance(DAY)
        return [subject for subject, _ in self.letters[before:]]

    def test_once(self) -> None:
        """Bad news and good news, each once, also over a restart."""
        self.assertEqual(self.look(finding(SEEN)), [])
        self.assertEqual(self.look(finding(WRONG)), ["home.test: 1 thing(s) need a hand"])
        self.assertIn("MX home.test: is wrong\n  -> mend home.test", self.letters[0][1])
        self.assertEqual(self.look(finding(WRONG)), [])
        self.watch = self.make()
        self.assertEqual(self.look(finding(WRONG)), [])
        self.assertEqual(self.look(finding(NOT_YET)), ["home.test: 1 thing(s) need a hand"])
        self.assertEqual(self.look(finding(SEEN)), ["home.test: well again"])
        self.assertEqual(self.look(finding(SEEN)), [])
        self.assertEqual([one.mended for one in self.journal.of(RecordsChanged)], [(), (), ("MX home.test",)])

    def test_no_answer_is_no_change(self) -> None:
        """Nor is a domain that could not be examined."""
        self.look(finding(SEEN))
        self.assertEqual(self.look(finding(UNKNOWN)), [])
        self.refused = True
        self.assertEqual(self.look(), [])
        self.refused = False
        self.assertEqual(self.look(finding(SEEN)), [])

    def test_what_may_be(self) -> None:
        """Its absence is no news, unless it was there; a wrong one is."""
        self.assertEqual(self.look(finding(NOT_YET, tier=MAY)), [])
        self.look(finding(SEEN, tier=MAY))
        self.assertEqual(len(self.look(finding(NOT_YET, tier=MAY))), 1)
        self.assertEqual(len(self.look(finding(WRONG, tier=MAY))), 1)

    def test_listings_end(self) -> None:
        """A listing is only spoken of while it is there."""
        self.look(finding(SEEN), finding(WRONG, "192.0.2.1", "DNSBL"))
        self.assertEqual(self.look(finding(SEEN)), ["home.test: well again"])
        self.assertEqual(self.look(finding(SEEN)), [])

    def test_not_taken(self) -> None:
        """An owner who could not be told is told the next day."""
        self.taken = False
        self.look(finding(WRONG))
        self.taken = True
        self.assertEqual(len(self.look(finding(WRONG))), 1)
        self.assertEqual(self.look(finding(WRONG)), [])

    def test_old_keys(self) -> None:
        """Successors are made when the keys are old and in the DNS; the owner gets the records once."""
        key = finding(SEEN, KEY_NAME, "TXT")
        self.assertEqual(self.look(finding(NOT_YET, KEY_NAME, "TXT")), ["home.test: 1 thing(s) need a hand"])
        self.assertEqual(self.keys.more, ())
        subjects = self.look(key)
        self.assertEqual(subjects[-1], "New signing keys for home.test: please publish them")
        self.assertIn("TXT r2._domainkey.home.test", self.letters[-1][1])
        self.assertEqual(self.look(key, finding(NOT_YET, "r2._domainkey.home.test", "TXT")), [])

    def test_never(self) -> None:
        """0 days: keys stay; young keys stay too."""
        self.rotate_days = 0
        self.look(finding(SEEN, KEY_NAME, "TXT"))
        self.rotate_days = 99_999
        self.look(finding(SEEN, KEY_NAME, "TXT"))
        self.assertEqual(self.keys.more, ())

    def test_records_that_may_go(self) -> None:
        """Said once."""
        self.rotate_days = 0
        self.keys.more = (Record("r0._domainkey.home.test", "v=DKIM1; p=x", "removable"),)
        self.assertEqual(self.look(finding(SEEN)), ["home.test: old records may go"])
        self.assertIn("TXT r0._domainkey.home.test", self.letters[-1][1])
        self.assertEqual(self.look(finding(SEEN)), [])

    def test_damaged_notes(self) -> None:
        """Costs a letter, no more."""
        self.look(finding(WRONG))
        for text in ("{", "[]", '{"home.test": 3}'):
            with open(self.path, "w") as file:
                file.write(text)
            self.assertEqual(len(self.look(finding(WRONG))), 1)

    def test_status(self) -> None:
        """One line."""
        self.assertTrue(domain_records({}, 0.0, 9.0).good)
        self.look(finding(SEEN), finding(NOT_YET, tier=MAY))
        self.assertTrue(domain_records(self.watch.bad, self.watch.looked, self.clock.seconds()).good)
        self.look(finding(WRONG))
        found = domain_records(self.watch.bad, self.watch.looked, self.clock.seconds())
        self.assertIn("home.test (1)", found.words)
        self.assertEqual(found.remedy, "mailappliance dns check home.test")
