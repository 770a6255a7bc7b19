"""When a recipient is tried again: the retry table, greylisting, giving up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.queue.schedule import DAY, GREYLISTED, HOUR, RESTS, WAITS, Schedule, is_greylisting


def later(code: int, text: str, *, remote: bool = True) -> Outcome:
    return Outcome(Result.TRY_AGAIN, Reply(code, "4.7.1", text), remote=remote)


BUSY = later(452, "Insufficient system storage")


class ScheduleTests(SynchronousTestCase):
    """The table, read row by row."""

    def test_waits(self) -> None:
        """Minutes at first, then longer, four hours in the end."""
        schedule = Schedule()
        waits = [schedule.wait(tries, BUSY) / 60 for tries in range(1, 11)]
        self.assertEqual(waits, [5, 5, 10, 15, 30, 60, 120, 240, 240, 240])

    def test_first_retry_scales(self) -> None:
        """One key makes the whole table faster."""
        self.assertEqual(Schedule(first_retry=2).wait(1, BUSY), 2)
        self.assertEqual(Schedule(first_retry=2).wait(8, BUSY), 96)

    def test_tables_never_shrink(self) -> None:
        """No table lets a later try come sooner."""
        for table in (WAITS, GREYLISTED, RESTS):
            self.assertEqual(list(table), sorted(table))

    def test_greylisting(self) -> None:
        """A host that wants us to come back is asked soon, a few times; then it waits like any other."""
        rows = [
            (later(450, "Greylisted, see http://postgrey.example/"), True),
            (later(451, "4.7.1 Please try again later"), True),
            (later(450, "You are graylisted"), True),
            (later(451, "Temporary local problem"), False),
            (later(421, "Greylisted"), False),
            (later(451, "Greylisted", remote=False), False),
        ]
        for outcome, greylisting in rows:
            with self.subTest(reply=str(outcome.reply), remote=outcome.remote):
                self.assertEqual(is_greylisting(outcome), greylisting)
        schedule = Schedule()
        waits = [schedule.wait(tries, rows[0][0]) / 60 for tries in range(1, 7)]
        self.assertEqual(waits, [1, 2, 5, 10, 30, 60])

    def test_the_end(self) -> None:
        """The last try is when the time is up; after it there is none."""
        schedule = Schedule()
        self.assertEqual(schedule.next_attempt(100 * DAY - HOUR, 100 * DAY, 30, BUSY), 100 * DAY)
        self.assertIsNone(schedule.next_attempt(100 * DAY, 100 * DAY, 31, BUSY))

    @given(st.floats(0, 10 * DAY), st.integers(1, 200), st.floats(1, 600))
    def test_always_forward(self, age: float, tries: int, first: float) -> None:
        """A next attempt lies ahead, and never behind the end."""
        schedule = Schedule(first_retry=first)
        next_attempt = schedule.next_attempt(age, 5 * DAY, tries, BUSY)
        if next_attempt is None:
            self.assertGreaterEqual(age, 5 * DAY)
        else:
            self.assertTrue(age < next_attempt <= 5 * DAY)
