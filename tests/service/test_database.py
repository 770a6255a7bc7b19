"""Databases that cannot be used: what is said, and whether the file itself is at fault."""

from __future__ import annotations

import os
import sqlite3

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database, DatabaseTrouble, trouble_of
from mailbox_appliance.journal import trail
from mailbox_appliance.service import _words
from mailbox_appliance.store.index_file import is_damage
from tests.kit.workers import InlineWorkers

SCHEMA = ("CREATE TABLE thing (name TEXT)",)


class TroubleTests(SynchronousTestCase):
    """trouble_of"""

    def test_words(self) -> None:
        """Each of SQLite's complaints has a remedy, and only a damaged file is blamed."""
        for said, of_file, remedy in (
            ("file is not a database", True, "put a backup in its place"),
            ("database disk image is malformed", True, "put a backup in its place"),
            ("Could not decode to UTF-8 column 'x' with text 'y'", True, "put a backup in its place"),
            ("database or disk is full", False, "make room on its disk"),
            ("attempt to write a readonly database", False, "writable for the service's user"),
            ("unable to open database file", False, "writable for the service's user"),
            ("database is locked", False, "end that program"),
            ("disk I/O error", False, "look at its disk"),
        ):
            trouble = trouble_of("/x/users.db", sqlite3.OperationalError(said))
            self.assertTrue(str(trouble).startswith(f"/x/users.db: {said}; "))
            self.assertIn(remedy, str(trouble))
            self.assertEqual(trouble.of_file, of_file, said)
            # An index is set aside for its own faults only, never because the disk is full for a while.
            self.assertEqual(is_damage(trouble), of_file, said)

    def test_a_schema_in_no_language(self) -> None:
        """Octets that are no text in the names of tables: damage as any other, though SQLite cannot say it."""
        path = self.mktemp()
        database = Database(path, SCHEMA, InlineWorkers())
        database.run_now(lambda connection: None)
        database.close()
        with open(path, "rb") as file:
            octets = file.read()
        with open(path, "wb") as file:
            file.write(octets.replace(b"thing", b"th\xff\xdfg").replace(b"CREATE TABLE", b"CREXTE TABLE"))
        with self.assertRaises(DatabaseTrouble) as caught:
            Database(path, SCHEMA, InlineWorkers()).run_now(lambda connection: None)
        self.assertTrue(caught.exception.of_file)
        self.assertIs(type(caught.exception.__cause__), sqlite3.DatabaseError)  # so that it is begun anew

    def test_words_at_the_start(self) -> None:
        """Damage that shows only at work is told with its file and a remedy, too; so are folders in the wrong place."""
        path = self.mktemp()
        database = Database(path, SCHEMA, InlineWorkers())

        def work(connection: sqlite3.Connection) -> None:
            raise sqlite3.DatabaseError("database disk image is malformed")

        error = self.assertRaises(sqlite3.DatabaseError, database.run_now, work)
        self.assertIn(f"{path}: database disk image is malformed; it is damaged: put a backup", _words(error))
        self.assertIn("/x is not a folder", _words(FileExistsError(17, "File exists", "/x")))
        self.assertIn("/x is a folder where a file belongs", _words(IsADirectoryError(21, "Is a directory", "/x")))

    def test_no_file(self) -> None:
        """A folder or a FIFO under its name is not opened, and the words name it."""
        for make in (os.mkdir, os.mkfifo):  # type: Callable[[str], None]
            path = self.mktemp()
            make(path)
            with self.assertRaises(DatabaseTrouble) as caught:
                Database(path, SCHEMA, InlineWorkers()).run_now(lambda connection: None)
            self.assertIn(f"{path} is no file: move it away", str(caught.exception))

    def test_newer_version(self) -> None:
        """A file that a newer version wrote cannot be used by this one: the file is at fault, too."""
        path = self.mktemp()
        Database(path, SCHEMA * 1, InlineWorkers()).run_now(lambda connection: None)
        with self.assertRaises(DatabaseTrouble) as caught:
            Database(path, (), InlineWorkers()).run_now(lambda connection: None)
        self.assertTrue(caught.exception.of_file)

    def test_put_aside(self) -> None:
        """The damaged file is kept under another name, its log goes, and the next use begins a new one."""
        path = os.path.abspath(self.mktemp())
        for tail in ("", "-wal", "-shm"):
            with open(path + tail, "wb") as file:
                file.write(b"garbage" * 1000)
        database = Database(path, SCHEMA, InlineWorkers())
        self.assertRaises(DatabaseTrouble, database.run_now, lambda connection: None)
        self.assertEqual(database.put_aside(), f"{path}.damaged")
        database.run_now(lambda connection: connection.execute("INSERT INTO thing VALUES ('new')"))
        database.close()
        with open(f"{path}.damaged", "rb") as file:
            self.assertTrue(file.read().startswith(b"garbage"))


class DamagedTrailTests(SynchronousTestCase):
    """What `mailappliance trace` reads."""

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.told: list[tuple[int, str]] = []
        with open(self.path, "wb") as file:
            file.write(b"garbage" * 1000)
        database = Database(self.path, trail.MIGRATIONS, InlineWorkers(), synchronous="NORMAL")
        self.trail = trail.Trail(database, Clock(), lambda steps, why: self.told.append((steps, why)))

    def search(self) -> int:
        found = self.successResultOf(Deferred.fromCoroutine(self.trail.search("t1")))
        return len(found)

    def test_begun_anew(self) -> None:
        """The steps that could not be kept are counted and said once; what comes after is kept and found."""
        self.trail.add(1.0, "t1", "a", 6, "", ())
        self.successResultOf(self.trail.flush())
        ((steps, why),) = self.told
        self.assertEqual(steps, 1)
        self.assertIn(f"a new file is begun, the old one is {self.path}.damaged", why)
        self.trail.add(2.0, "t1", "b", 6, "", ())
        self.assertEqual(self.search(), 1)

    def test_found_by_a_search(self) -> None:
        """A search that meets the damage finds nothing, and the next one works."""
        self.assertEqual(self.search(), 0)
        self.trail.add(2.0, "t1", "b", 6, "", ())
        self.assertEqual(self.search(), 1)
