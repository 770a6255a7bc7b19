"""The guard over a restart: nothing is forgiven, and a lost or broken file harms nobody."""

from __future__ import annotations

import ipaddress
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.guard.file import GuardFile
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.guard.memory import GuardSettings
from mailbox_appliance.journal.events.guard import MemoryLost
from mailbox_appliance.ports.workers import Busy
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

PEER, SIX = ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::5")
ANN, BOB = "ann@example.org", "bob@example.org"


def _executing(sql: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(sql)


class RestartTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.journal = RememberedJournal()
        self.path = self.mktemp()

    def start(self, workers: Any = None, settings: GuardSettings | None = None) -> RememberingGuard:
        file = GuardFile(self.path, workers or InlineWorkers())
        guard = RememberingGuard(self.clock, self.journal, file, settings)
        self.successResultOf(Deferred.fromCoroutine(guard.start()))
        return guard

    def stop(self, guard: RememberingGuard) -> None:
        self.successResultOf(Deferred.fromCoroutine(guard.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_everything_comes_back(self) -> None:
        """Bans, half-full windows, the growth of bans and the known devices."""
        guard = self.start()
        guard.succeeded(PEER, "imap", ANN)
        for _ in range(10):
            guard.failed(PEER, "imap", BOB)
        for _ in range(7):
            guard.failed(SIX, "smtp", "", "protocol")
        before = guard.listing()
        self.stop(guard)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        again = self.start()
        self.assertEqual(again.listing(), before)
        self.assertTrue(again.refuses(PEER, "imap"))
        self.assertFalse(again.refuses(PEER, "imap", ANN))
        for _ in range(13):
            again.failed(SIX, "smtp", "", "protocol")
        self.assertTrue(again.refuses(SIX, "smtp"))
        self.clock.advance(60)
        for _ in range(10):
            again.failed(PEER, "imap", BOB)
        self.clock.advance(119)
        self.assertTrue(again.refuses(PEER, "imap"))
        self.stop(again)

    def test_written_within_seconds(self) -> None:
        """A crash forgives the failures of the last two seconds only."""
        guard = self.start()
        for _ in range(10):
            guard.failed(PEER, "imap", BOB)
        self.assertFalse(self.start().refuses(PEER, "imap"))
        self.clock.advance(2)
        self.assertTrue(self.start().refuses(PEER, "imap"))

    def test_an_unban_is_written(self) -> None:
        """What the owner forgave stays forgiven."""
        guard = self.start()
        for _ in range(10):
            guard.failed(PEER, "imap", BOB)
        self.clock.advance(2)
        guard.unban("192.0.2.1")
        self.stop(guard)
        self.assertEqual(self.start().listing(), ())

    def test_the_file_stays_small(self) -> None:
        """Strangers that fell out of the table, or did nothing for a day, leave the file too."""
        guard = self.start(settings=GuardSettings(most_addresses=10))
        for n in range(50):
            guard.failed(ipaddress.ip_address(f"198.51.100.{n}"), "imap", BOB)
            self.clock.advance(1)
        guard.succeeded(PEER, "imap", ANN)
        self.clock.advance(2)
        self.assertEqual(len(self.start().listing()), 10)
        self.clock.advance(31 * 86400)
        guard.failed(SIX, "imap", BOB)
        self.stop(guard)
        rows = GuardFile(self.path, InlineWorkers())
        strangers, devices = self.successResultOf(Deferred.fromCoroutine(rows.read()))
        self.assertEqual(([str(key) for key, _ in strangers], devices), (["2001:db8::"], []))

    def test_a_damaged_file(self) -> None:
        """It is put aside, told once, and a new one is begun."""
        for octets in (b"not a database " * 1000, b"SQLite format 3\0" + os.urandom(5000)):
            self.journal.events.clear()
            Path(self.path).write_bytes(octets)
            guard = self.start()
            for _ in range(10):
                guard.failed(PEER, "imap", BOB)
            self.stop(guard)
            self.assertEqual([event.path for event in self.journal.of(MemoryLost)], [self.path])
            self.assertEqual(Path(self.path + ".damaged").read_bytes(), octets)
            self.assertTrue(self.start().refuses(PEER, "imap"))

    def test_damaged_rows(self) -> None:
        """Rows that make no sense are as good as a damaged file."""
        guard = self.start()
        guard.failed(PEER, "imap", BOB)
        self.stop(guard)
        for column, value in (("recent", "[[1]]"), ("recent", "{"), ("address", "nowhere")):
            file = GuardFile(self.path, InlineWorkers())
            file._database.run_now(_executing(f"UPDATE strangers SET {column} = '{value}'"))
            file.close()
            guard = self.start()
            self.assertEqual(guard.listing(), ())
            guard.failed(PEER, "imap", BOB)
            self.stop(guard)
        self.assertEqual(len(self.journal.of(MemoryLost)), 3)

    def test_a_folder_that_cannot_be_written(self) -> None:
        """The guard guards all the same, and says once that it will not remember."""
        self.path = os.path.join(self.mktemp(), "nowhere", "guard.db")
        guard = self.start()
        for _ in range(10):
            guard.failed(PEER, "imap", BOB)
            self.clock.advance(3)
        self.assertTrue(guard.refuses(PEER, "imap"))
        self.stop(guard)
        self.assertEqual(len(self.journal.of(MemoryLost)), 1)
        self.assertEqual(self.journal.failures, [])

    def test_a_write_that_fails_is_made_up_for(self) -> None:
        """What could not be written now is written with the next change."""

        class SometimesBusy(InlineWorkers):
            busy = False

            def run(self, door: str, job: Any, *args: Any) -> Deferred[Any]:
                return fail(Busy("too much")) if self.busy else super().run(door, job, *args)

        workers = SometimesBusy()
        guard = self.start(workers)
        workers.busy = True
        for _ in range(10):
            guard.failed(PEER, "imap", BOB)
        guard.succeeded(PEER, "imap", ANN)
        self.clock.advance(2)
        workers.busy = False
        guard.failed(SIX, "imap", BOB)
        self.clock.advance(2)
        again = self.start()
        self.assertTrue(again.refuses(PEER, "imap"))
        self.assertFalse(again.refuses(PEER, "imap", ANN))
