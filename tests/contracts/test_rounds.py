"""Port rounds: what the real committer and the fake must both do."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.rounds import Commit, DiskTrouble, Rounds, Write
from mailbox_appliance.rounds.rounds import CommitRounds, RoundSettings
from mailbox_appliance.rounds.share import RowsOf
from tests.kit.post_office import now
from tests.kit.rounds import InlineRounds
from tests.kit.workers import InlineWorkers

CONTENT = Content(b"H: 1\n\n", b"body\n", 3)


class RoundsContract:
    """A suite for any Rounds."""

    def make(self) -> Rounds:
        raise NotImplementedError

    def setUp(self) -> None:
        self.root = Path(self.mktemp())  # type: ignore[attr-defined]
        for name in ("tmp", "new", "cur"):
            (self.root / name).mkdir(parents=True)
        self.rounds = self.make()

    def path(self, folder: str, name: str = "a") -> str:
        return str(self.root / folder / name)

    def test_write_and_link(self) -> None:
        """Written once, linked to each place, the first name gone."""
        now(self.rounds.commit(Commit((Write(CONTENT, self.path("tmp"), (self.path("new"), self.path("cur"))),))))
        self.assertEqual(Path(self.path("new")).read_bytes(), b"H: 1\n\nbody\n")  # type: ignore[attr-defined]
        self.assertEqual(os.stat(self.path("cur")).st_nlink, 2)  # type: ignore[attr-defined]
        self.assertFalse(os.path.exists(self.path("tmp")))  # type: ignore[attr-defined]

    def test_keep_first_and_moment(self) -> None:
        """The first name may stay, and the file's time may be given."""
        now(self.rounds.commit(Commit((Write(CONTENT, self.path("tmp"), (), keep_first=True, moment=1e9),))))
        self.assertEqual(os.stat(self.path("tmp")).st_mtime, 1e9)  # type: ignore[attr-defined]

    def test_spooled(self) -> None:
        """A body out of a spool file."""
        Path(self.path("cur", "spool")).write_bytes(b"0123456789")
        content = Content(b"H: 1\n\n", SpooledBody(self.path("cur", "spool"), 2, 5), 2)
        now(self.rounds.commit(Commit((Write(content, self.path("tmp"), (self.path("new"),)),))))
        self.assertEqual(Path(self.path("new")).read_bytes(), b"H: 1\n\n23456")  # type: ignore[attr-defined]

    def test_nothing_is_overwritten(self) -> None:
        """A target that exists is DiskTrouble; it stays, and nothing else does."""
        Path(self.path("cur")).write_bytes(b"old")
        job = Commit((Write(CONTENT, self.path("tmp"), (self.path("new"), self.path("cur"))),))
        with self.assertRaises(DiskTrouble):  # type: ignore[attr-defined]
            now(self.rounds.commit(job))
        self.assertEqual(Path(self.path("cur")).read_bytes(), b"old")  # type: ignore[attr-defined]
        self.assertFalse(os.path.exists(self.path("new")))  # type: ignore[attr-defined]
        self.assertFalse(os.path.exists(self.path("tmp")))  # type: ignore[attr-defined]

    def test_rows(self) -> None:
        """Rows are there when commit returns."""
        database = Database(str(self.root / "rows.db"), ["CREATE TABLE t (n)"], InlineWorkers())
        self.addCleanup(database.close)  # type: ignore[attr-defined]
        rows = RowsOf(database, lambda connection: connection.execute("INSERT INTO t VALUES (1)"))
        now(self.rounds.commit(Commit((Write(CONTENT, self.path("tmp"), (self.path("new"),)),), (rows,))))
        count = database.run_now(lambda connection: connection.execute("SELECT count(*) FROM t").fetchone()[0])
        self.assertEqual(count, 1)  # type: ignore[attr-defined]


class CommitRoundsContract(RoundsContract, SynchronousTestCase):
    """The real one."""

    def make(self) -> Rounds:
        return CommitRounds(InlineWorkers(), RoundSettings())


class InlineRoundsContract(RoundsContract, SynchronousTestCase):
    """The fake."""

    def make(self) -> Rounds:
        return InlineRounds()
