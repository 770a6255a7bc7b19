"""The daily allowance: counted with what is entered, kept over restarts, told once."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.assembly.junk import has_written_to
from mailbox_appliance.journal.events.queue import AllowanceSpent
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.queue import outgoing
from mailbox_appliance.queue.allowance import SPENT, TOO_NEW, Allowance, AllowanceSettings
from tests.kit.post_office import PostOffice, now

ANN = Address.parse("ann@example.org")


def strangers(*names: str) -> list[Address]:
    return [Address.parse(f"{name}@far.example") for name in names]


class AllowanceTests(SynchronousTestCase):
    """One account with a few recipients a day."""

    def setUp(self) -> None:
        self.office = PostOffice(self.mktemp(), start=False)
        self.addCleanup(self.office.close)
        self.told: list[tuple[Address, str, str]] = []

    def allowance(self, **settings: int) -> Allowance:
        def notify(account: Address, subject: str, text: str) -> Deferred[None]:
            self.told.append((account, subject, text))
            return succeed(None)

        return Allowance(
            self.office.spool, self.office.clock, self.office.journal, notify, AllowanceSettings(**settings)
        )

    def send(self, *names: str, origin: Origin = Origin.AUTHENTICATED) -> None:
        self.office.accept([str(address) for address in strangers(*names)], origin=origin)

    def test_a_day(self) -> None:
        """What was accepted counts, another day begins anew, and the account is told once a day."""
        allowance = self.allowance(a_day=3)
        self.send("x", "y")
        self.assertIsNone(now(allowance.refusal(ANN, strangers("z"))))
        for _ in range(2):
            self.assertEqual(now(allowance.refusal(ANN, strangers("z", "w"))), SPENT)
        self.assertEqual(len(self.told), 1)
        self.assertIn("limits.outgoing_per_day", self.told[0][2])
        self.assertEqual(len(self.office.journal.of(AllowanceSpent)), 1)
        self.assertIsNone(now(allowance.refusal(Address.parse("bob@example.org"), strangers("z", "w", "v"))))
        self.office.clock.advance(86_400)
        self.assertIsNone(now(allowance.refusal(ANN, strangers("z", "w", "v"))))

    def test_whom_he_has_written_to(self) -> None:
        """Asked of the file once, and anew when something has entered."""
        ask = has_written_to(self.office.spool)
        x, y = strangers("x", "y")
        self.send("x")
        for _ in range(2):
            self.assertEqual((now(ask(ANN, x)), now(ask(ANN, y))), (True, False))
        trips = len(self.office.workers.doors)
        self.assertFalse(now(ask(ANN, y)))
        self.assertEqual(len(self.office.workers.doors), trips)
        self.send("y")
        self.assertEqual((now(ask(ANN, x)), now(ask(ANN, y))), (True, True))

    def test_a_restart_forgets_nothing(self) -> None:
        """The count is in the database, written with what it counts."""
        self.send("x", "y", "z")
        self.assertEqual(now(self.allowance(a_day=3).refusal(ANN, strangers("w"))), SPENT)

    def test_new_recipients(self) -> None:
        """Whom the account has written to on another day is not new; twice the same is one."""
        self.send("x", "y")
        self.office.clock.advance(86_400)
        allowance = self.allowance(new_a_day=1)
        self.assertIsNone(now(allowance.refusal(ANN, strangers("x", "y", "Z", "z"))))
        self.assertEqual(now(allowance.refusal(ANN, strangers("x", "z", "w"))), TOO_NEW)
        self.send("z")
        self.assertIsNone(now(allowance.refusal(ANN, strangers("z"))))
        self.assertEqual(now(allowance.refusal(ANN, strangers("w"))), TOO_NEW)

    def test_only_what_is_submitted_counts(self) -> None:
        """Forwards of mail from outside are not the account's."""
        self.send("x", "y", origin=Origin.LOCAL)
        self.assertIsNone(now(self.allowance(a_day=1).refusal(ANN, strangers("z"))))

    def test_no_limit_asks_nothing(self) -> None:
        """Without limits the database is left alone."""
        self.office.spool.close()
        self.assertIsNone(now(self.allowance().refusal(ANN, strangers("z"))))

    def test_bounds(self) -> None:
        """No more correspondents than stated are kept, the oldest go first."""
        self.patch(outgoing, "MOST_CORRESPONDENTS", 3)

        def work(connection) -> list[str]:  # type: ignore[no-untyped-def]
            for day, name in enumerate("abcde"):
                outgoing.count(connection, "ann@example.org", day, strangers(name))
            return [row[0] for row in connection.execute("SELECT address FROM correspondent ORDER BY day")]

        found = self.office.spool.database.run_now(work)
        self.assertEqual(found, ["c@far.example", "d@far.example", "e@far.example"])
