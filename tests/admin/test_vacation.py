"""vacation set|show|off at the desk, on the real user database."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.vacation import VacationDesk
from mailbox_appliance.journal.events.users import VacationEnded, VacationSet
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.vacation import notice_of
from tests.users.household import Household, now

BOB = "bob@example.org"


class VacationDeskTests(SynchronousTestCase):
    """What the owner types."""

    def setUp(self) -> None:
        self.house = Household()
        self.house.fill(["example.org"], [BOB])
        self.desk = VacationDesk(self.house.users.vacations, self.house.clock)

    def set(self, **more: Any) -> Result:
        result: Result = now(self.desk.set({"address": BOB, "text": "Back on Monday.\\nBob", **more}))
        return result

    def notice(self) -> Any:
        return notice_of(now(self.house.users.directory.settings(Address.parse(BOB))))

    def test_on_and_off(self) -> None:
        """It counts at once, is shown, survives the account's other settings, and ends."""
        result = self.set(days="3", also="b@old.example, bob@older.example", subject="Away")
        self.assertIn("answers from now on; each sender once in 3 days", result.lines[0])
        notice = self.notice()
        self.assertEqual((notice.text, notice.days, notice.subject), ("Back on Monday.\nBob", 3, "Away"))
        self.assertEqual(notice.addresses, ("b@old.example", "bob@older.example"))
        shown = now(self.desk.show({}))
        self.assertEqual([(row["account"], row["state"]) for row in shown.data], [(BOB, "on")])
        self.assertEqual(now(self.desk.off({"address": BOB})).data, {"account": BOB, "was_set": True})
        self.assertIsNone(self.notice())
        self.assertEqual(now(self.desk.off({"address": BOB})).data["was_set"], False)
        self.assertEqual(now(self.desk.show({"address": BOB})).data, [])
        journal = self.house.journal
        self.assertEqual((len(journal.of(VacationSet)), len(journal.of(VacationEnded))), (1, 1))

    def test_days(self) -> None:
        """The last day belongs to it; the clock stands at 14 November 2023."""
        result = self.set(begin="2023-12-24", end="2023-12-26")
        self.assertEqual(
            (result.data["begin"], result.data["end"], result.data["state"]), ("2023-12-24", "2023-12-26", "waits")
        )
        self.assertAlmostEqual(self.notice().ends - self.notice().begins, 3 * 86400, delta=3700)

    def test_refused(self) -> None:
        """Each with the reason, and nothing is changed."""
        for more, words in (
            ({"address": "nobody@example.org"}, "there is no account"),
            ({"text": "   "}, "text is missing"),
            ({"text": "x" * 4001}, "too long"),
            ({"subject": "a\nBcc: victim@far.example"}, "one line"),
            ({"subject": "x" * 201}, "too long"),
            ({"days": "0"}, "from 1 to 365"),
            ({"days": "many"}, "no number"),
            ({"begin": "tomorrow"}, "write it as"),
            ({"begin": "2023-12-24", "end": "2023-12-20"}, "before the first"),
            ({"end": "2020-01-01"}, "in the past"),
            ({"also": "not an address"}, "@"),
        ):
            with self.subTest(more=more):
                with self.assertRaises(Refused) as caught:
                    self.set(**more)
                self.assertIn(words, str(caught.exception))
                self.assertIsNone(self.notice())
