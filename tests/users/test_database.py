"""The file: versions, migration with a backup, and what the owner hears when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import Elsewhere, Known, LocalMailbox, PasswordCredentials
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.schema import MIGRATIONS
from mailbox_appliance.users.snapshot import read_snapshot
from tests.kit.workers import InlineWorkers
from tests.users.household import Household, now

VERSION_1 = Path(__file__).with_name("version_1.sql")


class VersionTests(SynchronousTestCase):
    """A file of any released version is read for ever."""

    def make_version_1(self) -> str:
        path: str = self.mktemp()
        connection = sqlite3.connect(path)
        connection.executescript(VERSION_1.read_text("utf-8"))
        connection.close()
        return path

    def test_a_file_of_version_1(self) -> None:
        """Everything in a file written by version 1 is understood: addresses, log-ins, devices, settings."""
        house = Household(self.make_version_1())
        directory = house.users.directory
        ann = Address("ann", "example.org")
        self.assertEqual(directory.domains(), {"example.org", "club.example"})
        self.assertEqual(now(directory.owner("example.org")), ann)
        self.assertEqual(
            now(directory.resolve(Address("any", "club.example"))), Known((LocalMailbox(ann),), "catch-all")
        )
        self.assertEqual(
            now(directory.resolve(Address("family", "example.org"))),
            Known((LocalMailbox(ann, "fam"), Elsewhere(Address("carl", "far.example"))), "alias"),
        )
        self.assertEqual(now(directory.quota(ann)), 1_000_000)
        self.assertEqual(now(directory.settings(ann)), {"language": "de"})
        self.assertEqual(now(directory.display_names()), {})
        now(house.users.accounts.set_name("ann@example.org", "Ann Example"))
        self.assertEqual(now(directory.display_names()), {ann: "Ann Example"})
        log_in = house.users.log_in.log_in
        self.assertEqual(now(log_in(PasswordCredentials("ann@example.org", "open sesame"))).device, "")
        self.assertEqual(
            now(log_in(PasswordCredentials("ann@example.org", "2p47-n650-rbnx-kj69-t4r4-29bm"))).device, "phone"
        )
        self.assertEqual([one.account for one in now(house.users.accounts.listing(removed=True))], ["bob@example.org"])
        now(house.users.accounts.undelete("bob@example.org"))

    def test_the_fixture_has_the_first_schema(self) -> None:
        """The first migration, once released, is never edited: it makes the tables that the old file has."""

        def tables(connection: sqlite3.Connection) -> list[tuple[str, list[object]]]:
            names = [
                n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            ]
            return [(name, connection.execute(f"PRAGMA table_info({name})").fetchall()) for name in names]

        fresh = Database(":memory:", MIGRATIONS[:1], InlineWorkers()).run_now(tables)
        old = sqlite3.connect(self.make_version_1())
        self.addCleanup(old.close)
        self.assertEqual(tables(old), fresh)

    def test_migrated_with_a_backup(self) -> None:
        """A later version migrates the file forward and keeps a private copy of it as it was."""
        path = self.make_version_1()
        migrations = (*MIGRATIONS, "ALTER TABLE domains ADD COLUMN note TEXT NOT NULL DEFAULT ''")
        later = Database(path, migrations, InlineWorkers())
        self.assertEqual(len(later.run_now(read_snapshot).accounts), 1)
        self.assertEqual(later.run_now(lambda c: c.execute("PRAGMA user_version").fetchone()), (len(migrations),))
        later.close()
        backup = f"{path}.before-2"
        self.assertEqual(stat.S_IMODE(os.stat(backup).st_mode), 0o600)
        self.assertEqual(len(Household(backup).users.directory.snapshot.accounts), 1)
        # and the program of before says so, rather than guess
        error = self.assertRaises(
            DatabaseTrouble, Database(path, MIGRATIONS[:1], InlineWorkers()).run_now, read_snapshot
        )
        self.assertIn("newer version", str(error))

    def test_a_migration_that_fails_changes_nothing(self) -> None:
        """A broken script leaves the file at its version."""
        path = self.make_version_1()
        broken = Database(path, (*MIGRATIONS, "CREATE TABLE x (y); CREATE TABLE x (y)"), InlineWorkers())
        self.assertRaises(DatabaseTrouble, broken.run_now, read_snapshot)
        self.assertEqual(len(Household(path).users.directory.snapshot.accounts), 1)


class FileTests(SynchronousTestCase):
    """The file itself."""

    def test_private_and_durable(self) -> None:
        """Only the service may read it; each edit is synced before it is told."""
        path = self.mktemp()
        house = Household(path).fill(["example.org"], ["ann@example.org"])
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(house.users.database.run_now(lambda c: c.execute("PRAGMA synchronous").fetchone()), (2,))
        other = Household(path)  # as after a crash: nothing was closed
        self.assertEqual(other.users.directory.snapshot, house.users.directory.snapshot)

    def test_damaged(self) -> None:
        """A file that is no database is named to the owner."""
        path = self.mktemp()
        Path(path).write_bytes(b"this is not a database, it is a letter" * 100)
        self.assertIn(path, str(self.assertRaises(DatabaseTrouble, Household, path)))

    def test_nowhere(self) -> None:
        """A state directory that is not there is named, too."""
        path = f"{self.mktemp()}/users.db"
        self.assertIn(path, str(self.assertRaises(DatabaseTrouble, Household, path)))

    def test_not_writable(self) -> None:
        """An edit that cannot be written is refused with the reason, and the directory stays as it was."""
        house = Household(self.mktemp()).fill(["example.org"])
        before = house.users.directory.snapshot
        house.users.database.run_now(lambda c: c.execute("PRAGMA query_only=1").fetchall())
        error = self.assertRaises(UsersError, now, house.users.accounts.add("ann@example.org"))
        self.assertIn("disk full", str(error))
        self.assertIs(house.users.directory.snapshot, before)
        house.users.database.close()  # the next use opens it afresh
        now(house.users.accounts.add("ann@example.org"))

    def test_edits_come_out_as_they_went_in(self) -> None:
        """What the directory answers after edits is what it answers after a restart."""
        path = self.mktemp()
        house = Household(path).fill(
            ["example.org", "club.example"],
            ["bob@club.example", "ann@example.org"],
            {"z@example.org": ["ann@example.org", "b@far.example"], "jörg@club.example": ["bob@club.example"]},
            {"club.example": "z@example.org"},
        )
        now(house.users.app_passwords.new("ann@example.org", "phone"))
        now(house.users.accounts.set_setting("ann@example.org", "language", "de"))
        now(house.users.throwaways.new("ann@example.org", "shop", 30))
        now(house.users.accounts.remove("bob@club.example"))
        self.assertEqual(Household(path).users.directory.snapshot, house.users.directory.snapshot)
