"""A queue of an earlier version is taken over: what waits goes on waiting, and shows in its account's Outbox."""

from __future__ import annotations

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.queue import own, schema
from tests.kit.workers import InlineWorkers


class MigrationTests(SynchronousTestCase):
    """From the version without an Outbox."""

    def test_what_waits_gets_uids(self) -> None:
        """Submitted mail is numbered in its order, forwards are not; the next UID is beyond."""
        path = self.mktemp()
        names = ", ".join(schema.MessageRow._fields[1:])

        def fill(connection: sqlite3.Connection) -> None:
            for number, account in enumerate(("ann@example.org", "", "ann@example.org"), 1):
                row = (f"t{number}.0", f"t{number}", "authenticated", account, "", 1.0, 2.0, 1, 1, 2, 0, 0, 0, "", "")
                connection.execute(f"INSERT INTO message ({names}) VALUES ({', '.join('?' * len(row))})", row)
                connection.execute(
                    "INSERT INTO recipient (message, local, domain, notify, original, next_attempt)"
                    " VALUES (?, 'a', 'far.example', '', '', 1.0)",
                    (number,),
                )

        old = Database(path, schema.MIGRATIONS[:2], InlineWorkers())
        old.run_now(fill)
        old.close()
        new = Database(path, schema.MIGRATIONS, InlineWorkers())
        self.addCleanup(new.close)
        uidvalidity, uidnext, found = new.run_now(lambda connection: own.shown(connection, "ann@example.org", 5.0))
        self.assertGreater(uidvalidity, 1_000_000_000)
        self.assertEqual((uidnext, [uid for uid, _, _ in found]), (4, [1, 3]))
        self.assertEqual(new.run_now(schema.count_waiting), 3)
        self.assertEqual(len(new.run_now(lambda c: schema.due_recipients(c, 9.0, 10, (), ()))), 3)
