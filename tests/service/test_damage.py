"""Damaged and vanished files at the start: what may be lost is begun anew, what may not is asked for."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.assembly.changing import WayOut
from mailbox_appliance.assembly.damage import begin_anew_if_damaged
from mailbox_appliance.assembly.ways_out import WayOutPart
from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.journal.events.journal import FileLost
from mailbox_appliance.relay.memory import MIGRATIONS as RELAY
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.users.station import Users
from tests.kit.fake_relay import FakeRelay
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers

SCHEMA = ("CREATE TABLE seen (name TEXT PRIMARY KEY)",)


class DamageTests(SynchronousTestCase):
    """begin_anew_if_damaged"""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.journal = RememberedJournal()
        rows = [(f"name {number}",) for number in range(5000)]
        database = self.open()
        now(database.run(lambda connection: connection.executemany("INSERT INTO seen VALUES (?)", rows)))
        database.close()
        self.good = self.path.read_bytes()

    def open(self, schema: tuple[str, ...] = SCHEMA) -> Database:
        return Database(str(self.path), schema, InlineWorkers())

    def count(self, database: Database) -> int:
        counted: int = now(
            database.run(lambda connection: connection.execute("SELECT count(*) FROM seen").fetchone()[0])
        )
        return counted

    def test_sound(self) -> None:
        """A sound file stays, and so does one that is not there yet."""
        database = self.open()
        now(begin_anew_if_damaged(database, self.journal, "names"))
        self.assertEqual(self.count(database), 5000)
        database.close()
        self.path.unlink()
        now(begin_anew_if_damaged(self.open(), self.journal, "names"))
        self.assertEqual(self.journal.events, [])

    def test_damaged(self) -> None:
        """Rubbish, half a file and a hole in the middle: kept beside, told once, and the new file is used."""
        half = len(self.good) // 2
        for octets in (
            os.urandom(5000),
            self.good[:half],
            self.good[:half] + os.urandom(9000) + self.good[half + 9000 :],
        ):
            self.path.write_bytes(octets)
            database = self.open()
            now(begin_anew_if_damaged(database, self.journal, "names"))
            told = self.journal.of(FileLost)[-1]
            self.assertEqual((told.path, told.lost), (str(self.path), "names"))
            self.assertEqual(Path(told.kept_as).read_bytes(), octets)
            self.assertEqual(self.count(database), 0)
            database.close()
        self.assertEqual(len(self.journal.events), 3)

    def test_newer(self) -> None:
        """A file of a newer version is not damaged: the start ends with its remedy."""
        database = self.open((*SCHEMA, "CREATE TABLE more (name TEXT)"))
        now(database.run(lambda connection: None))
        database.close()
        with self.assertRaises(DatabaseTrouble):
            now(begin_anew_if_damaged(self.open(), self.journal, "names"))
        self.assertEqual(self.journal.events, [])


class PeopleTests(SynchronousTestCase):
    """STATE/users.db"""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.path = self.state / "users.db"

    def start(self) -> None:
        users = Users.at(str(self.path), InlineWorkers(), Clock(), RememberedJournal())
        now(users.start())
        now(users.stop())

    def test_gone(self) -> None:
        """Gone, and mail is there: no start, since every letter would be refused for good; an empty file is a wish."""
        (self.state / "mail" / "_shared" / "family" / "Maildir").mkdir(parents=True)
        self.start()
        self.path.unlink()
        (self.state / "mail" / "example.org" / "ann" / "Maildir").mkdir(parents=True)
        with self.assertRaisesRegex(DatabaseTrouble, r"is gone, but the mail of 1 account\(s\).*put a copy"):
            self.start()
        self.path.touch()
        self.start()

    def test_unreadable_text(self) -> None:
        """Octets that are no text are told as damage, in words and not in octets."""
        self.start()
        with sqlite3.connect(self.path) as connection:
            connection.execute("INSERT INTO domains VALUES (CAST(x'ff00fe' AS TEXT), 1, NULL, '', 0)")
        connection.close()
        with self.assertRaisesRegex(DatabaseTrouble, "it is damaged"):
            self.start()


class RelayTests(SynchronousTestCase):
    """STATE/relay.db"""

    def test_damaged(self) -> None:
        """Put aside before the queue sends, told as a file that is lost and as nothing broken; what is new is kept."""
        path = Path(self.mktemp())
        path.write_bytes(os.urandom(9000))
        journal = RememberedJournal()
        memory = RelayMemory(Database(str(path), RELAY, InlineWorkers()), journal)
        now(WayOutPart(WayOut(lambda config: FakeRelay(), memory, None), journal).prepare())  # type: ignore[arg-type]
        now(memory.ready())
        (told,) = journal.events
        assert isinstance(told, FileLost)
        self.assertEqual((told.path, Path(told.kept_as).stat().st_size), (str(path), 9000))
        self.assertIn("it is learnt anew", told.lost)
        self.assertEqual(journal.failures, [])
        memory.saw_tls("mx.far.example", verified=True, now=1.0)
        now(memory.close())
        again = RelayMemory(Database(str(path), RELAY, InlineWorkers()), journal)
        now(again.ready())
        self.assertIsNotNone(again.known_tls("mx.far.example"))
        now(again.close())
