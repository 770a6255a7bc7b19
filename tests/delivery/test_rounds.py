"""Commit rounds: the order that keeps the promise, faults that stay with their job, nothing half done left behind."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.rounds import Commit, DiskTrouble, Write
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.rounds.rounds import CommitRounds, RoundSettings
from mailbox_appliance.rounds.share import RowsOf
from tests.kit.disk import RecordingDisk
from tests.kit.workers import InlineWorkers

CONTENT = Content(b"Subject: one\n\n", b"text\n", 3)
SCHEMA = ["CREATE TABLE entry (name TEXT NOT NULL)"]


class HeldWorkers(InlineWorkers):
    """Workers that do nothing until told, so that several jobs meet in one round."""

    def __init__(self) -> None:
        super().__init__()
        self.held = True
        self._jobs: list[tuple[Deferred[object], object, tuple[object, ...]]] = []

    def run(self, door, job, *args):  # type: ignore[no-untyped-def]
        if not self.held:
            return super().run(door, job, *args)
        result: Deferred[object] = Deferred()
        self._jobs.append((result, job, args))
        return result

    def go(self) -> None:
        self.held = False
        for result, job, args in self._jobs:
            super().run("", job, *args).chainDeferred(result)


class RoundsCase(SynchronousTestCase):
    flush = "fsync"

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        for name in ("tmp", "new", "cur", "content"):
            (self.root / name).mkdir(parents=True)
        self.disk = RecordingDisk()
        self.workers = HeldWorkers()
        self.workers.held = False
        self.database = Database(str(self.root / "rows.db"), SCHEMA, self.workers)
        self.addCleanup(self.database.close)
        self.rounds = CommitRounds(self.workers, RoundSettings(flush=self.flush, large=1000), self.disk)

    def write(self, name: str, *, to: str = "new", content: Content = CONTENT, moment: float | None = None) -> Write:
        first, last = str(self.root / "tmp" / name), str(self.root / to / name)
        return Write(content, first, (last,), moment=moment)

    def row(self, name: str, after: object = None) -> RowsOf:
        def work(connection) -> None:  # type: ignore[no-untyped-def]
            self.disk.done.append(("row", name))
            connection.execute("INSERT INTO entry VALUES (?)", (name,))

        return RowsOf(self.database, work)

    def names(self, folder: str) -> list[str]:
        return sorted(os.listdir(self.root / folder))

    def rows(self) -> list[str]:
        return sorted(row[0] for row in self.database.run_now(lambda c: c.execute("SELECT name FROM entry").fetchall()))

    def together(self, *jobs: Commit) -> list[Deferred[None]]:
        """Commit all of ``jobs`` in one round, behind a first one that holds the door."""
        self.workers.held = True
        self.rounds.commit(Commit())
        waiting = [self.rounds.commit(job) for job in jobs]
        self.workers.go()
        return waiting

    def assert_order(self) -> None:
        """Whatever was linked had been synced; directories came after links, rows after directories."""
        written: set[str] = set()
        synced: set[str] = set()
        linked_since: dict[str, str] = {}
        for what, path in self.disk.done:
            if what == "write":
                written.add(path)
            elif what == "sync":
                synced.add(path)
            elif what == "sync_all":
                synced |= written
                linked_since.clear()
            elif what == "link":
                first = str(self.root / "tmp" / os.path.basename(path))
                self.assertIn(first, synced, f"{path} was linked before it was synced")
                linked_since[os.path.dirname(path)] = path
            elif what == "sync_directory":
                linked_since.pop(path, None)
            elif what == "row":
                self.assertEqual(linked_since, {}, "rows were committed before the directory was synced")


class OrderTests(RoundsCase):
    """File sync, link, directory sync, rows, reply: in this order, whatever travels together."""

    def test_one_job(self) -> None:
        """A message alone is one call of one worker and two syncs, and the reply comes after everything."""
        self.workers.doors.clear()
        done = self.rounds.commit(Commit((self.write("a"),), (self.row("a"),)))
        done.addCallback(lambda _: self.disk.done.append(("reply", "a")))
        self.assertEqual(
            [what for what, _ in self.disk.done],
            ["create", "write", "sync", "close", "link", "unlink", "sync_directory", "row", "reply"],
        )
        self.assertEqual(self.workers.doors, ["disk"])
        self.assertEqual((self.names("tmp"), self.names("new"), self.rows()), ([], ["a"], ["a"]))

    def test_no_more_than_two_flushes_without_rows(self) -> None:
        """What one session alone costs: the file and the directory."""
        self.successResultOf(self.rounds.commit(Commit((self.write("a"),))))
        self.assertEqual(self.rounds.flushes, 2)

    def test_many_jobs(self) -> None:
        """Jobs that meet are one round: each directory is synced once, all rows are one transaction."""
        jobs = [Commit((self.write(str(n), to="new" if n % 2 else "cur"),), (self.row(str(n)),)) for n in range(20)]
        for done in self.together(*jobs):
            self.successResultOf(done)
        self.assert_order()
        self.assertEqual(self.rounds.rounds, 2)
        synced = [path for what, path in self.disk.done if what == "sync_directory"]
        if self.flush == "fsync":
            self.assertEqual(sorted(synced), [str(self.root / "cur"), str(self.root / "new")])
            self.assertEqual(self.rounds.flushes, 20 + 2 + 1)
        else:
            self.assertEqual((synced, self.rounds.flushes), ([], 3))
        self.assertEqual((len(self.names("new")), len(self.names("cur")), self.names("tmp")), (10, 10, []))
        self.assertEqual(len(self.rows()), 20)

    def test_hard_links(self) -> None:
        """One file is written once and linked to every place; the first name goes, or stays when it is to."""
        first = str(self.root / "tmp" / "a")
        places = tuple(str(self.root / folder / "a") for folder in ("new", "cur"))
        self.successResultOf(self.rounds.commit(Commit((Write(CONTENT, first, places),))))
        facts = os.stat(places[0])
        self.assertEqual((facts.st_nlink, stat.S_IMODE(facts.st_mode)), (2, 0o600))
        kept = str(self.root / "content" / "b")
        self.successResultOf(self.rounds.commit(Commit((Write(CONTENT, kept, (), keep_first=True),))))
        self.assertEqual(Path(kept).read_bytes(), b"Subject: one\n\ntext\n")
        self.assertIn(("sync_directory", str(self.root / "content")), self.disk.done)

    def test_spooled_body(self) -> None:
        """A large body is copied behind its final header, from its place in the spool file."""
        spool = self.root / "spool"
        spool.write_bytes(b"old header\n" + b"x" * 300_000 + b"tail")
        content = Content(b"H: 1\n\n", SpooledBody(str(spool), 11, 300_000), 3)
        self.successResultOf(self.rounds.commit(Commit((self.write("a", content=content),))))
        self.assertEqual((self.root / "new" / "a").read_bytes(), b"H: 1\n\n" + b"x" * 300_000)

    def test_a_spool_file_too_short_is_a_fault(self) -> None:
        """A spool file that lost its end never becomes a message."""
        spool = self.root / "spool"
        spool.write_bytes(b"short")
        content = Content(b"H: 1\n\n", SpooledBody(str(spool), 0, 50), 3)
        self.failureResultOf(self.rounds.commit(Commit((self.write("a", content=content),))), DiskTrouble)
        self.assertEqual((self.names("tmp"), self.names("new")), ([], []))

    def test_moment(self) -> None:
        """The file's time is the one asked for."""
        self.successResultOf(self.rounds.commit(Commit((self.write("a", moment=1_000_000_000.5),))))
        self.assertEqual(os.stat(self.root / "new" / "a").st_mtime, 1_000_000_000.5)

    def test_large_files_travel_alone(self) -> None:
        """A large message does not hold the round in which small ones wait."""
        large = Content(b"H: 1\n\n", b"x" * 5000, 2)
        self.workers.held = True
        first = self.rounds.commit(Commit((self.write("large", content=large),)))
        second = self.rounds.commit(Commit((self.write("small"),)))
        self.assertEqual(self.rounds.rounds, 2)
        self.workers.go()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_bounds_of_a_round(self) -> None:
        """A round takes no more than it may; what is left is the next one."""
        self.rounds = CommitRounds(self.workers, RoundSettings(flush=self.flush, most_jobs=8), self.disk)
        for done in self.together(*(Commit((self.write(str(n)),)) for n in range(20))):
            self.successResultOf(done)
        self.assertEqual(self.rounds.rounds, 1 + 3)

    def test_too_much_waits(self) -> None:
        """What waits is bounded: more is refused at once, and nothing of it is done."""
        self.rounds = CommitRounds(self.workers, RoundSettings(flush=self.flush, most_waiting=2), self.disk)
        self.workers.held = True
        for name in "abc":
            self.rounds.commit(Commit((self.write(name),)))
        trouble = self.failureResultOf(self.rounds.commit(Commit((self.write("d"),))), DiskTrouble).value
        self.assertFalse(trouble.full)
        self.workers.go()
        self.assertEqual(self.names("new"), ["a", "b", "c"])

    def test_quiet(self) -> None:
        """``quiet`` fires when nothing is under way any more."""
        self.successResultOf(self.rounds.quiet())
        self.workers.held = True
        self.rounds.commit(Commit((self.write("a"),)))
        quiet = self.rounds.quiet()
        self.assertNoResult(quiet)
        self.workers.go()
        self.successResultOf(quiet)


class SyncfsOrderTests(OrderTests):
    """The same with one syncfs for all contents and one for all names."""

    flush = "syncfs"


class FaultTests(RoundsCase):
    """A fault belongs to its job: it hears of it, nothing of it stays, the others go on."""

    def test_each_step(self) -> None:
        """ENOSPC, EDQUOT and EIO in every step of one job among five."""
        steps = ["create", "write", "sync", "close", "link"] if self.flush == "fsync" else ["create", "write", "link"]
        for step in steps:
            for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                with self.subTest(step=step, number=errno.errorcode[number]):
                    self.setUp()
                    self.disk.breaks = lambda what, path, step=step, number=number: (
                        number if what == step and path.endswith("bad") else 0
                    )
                    good = [Commit((self.write(f"good{n}"),), (self.row(f"good{n}"),)) for n in range(4)]
                    bad = Commit((self.write("fine"), self.write("bad")), (self.row("bad"),))
                    waiting = self.together(*good[:2], bad, *good[2:])
                    trouble = self.failureResultOf(waiting.pop(2), DiskTrouble).value
                    self.assertEqual(trouble.full, number != errno.EIO)
                    for done in waiting:
                        self.successResultOf(done)
                    self.assertEqual(self.names("new"), ["good0", "good1", "good2", "good3"])
                    self.assertEqual(self.names("tmp"), [])
                    self.assertEqual(self.rows(), ["good0", "good1", "good2", "good3"])
                    self.assert_order()

    def test_alone(self) -> None:
        """The same for a job that is alone in its round."""
        for step in ("create", "write", "sync", "close", "link", "sync_directory"):
            with self.subTest(step=step):
                self.setUp()
                self.disk.breaks = lambda what, path, step=step: errno.EIO if what == step else 0
                done = self.rounds.commit(Commit((self.write("a"),), (self.row("a"),)))
                self.failureResultOf(done, DiskTrouble)
                self.assertEqual((self.names("tmp"), self.names("new"), self.rows()), ([], [], []))

    def test_directory(self) -> None:
        """When a directory cannot be synced, every job with a name in it fails and takes its names back."""
        self.disk.breaks = lambda what, path: errno.EIO if what == "sync_directory" and path.endswith("cur") else 0
        one, two, both = (
            Commit((self.write("a", to="new"),)),
            Commit((self.write("b", to="cur"),)),
            Commit((self.write("c", to="new"), self.write("d", to="cur"))),
        )
        waiting = self.together(one, two, both)
        if self.flush == "syncfs":  # two directories: one syncfs, no directory is synced by itself
            for done in waiting:
                self.successResultOf(done)
            return
        self.successResultOf(waiting[0])
        self.failureResultOf(waiting[1], DiskTrouble)
        self.failureResultOf(waiting[2], DiskTrouble)
        self.assertEqual((self.names("new"), self.names("cur"), self.names("tmp")), (["a"], [], []))

    def test_whole_file_system(self) -> None:
        """When syncfs fails nobody is answered with success."""
        self.disk.breaks = lambda what, path: errno.EIO if what == "sync_all" else 0
        waiting = self.together(*(Commit((self.write(str(n)),)) for n in range(3)))
        for done in waiting:
            if self.flush == "syncfs":
                self.failureResultOf(done, DiskTrouble)
            else:
                self.successResultOf(done)
        self.assertEqual(self.names("new"), [] if self.flush == "syncfs" else ["0", "1", "2"])

    def test_rows(self) -> None:
        """Rows that fail take their job's files with them; the rows of the others are committed."""

        def broken(connection) -> None:  # type: ignore[no-untyped-def]
            connection.execute("INSERT INTO entry VALUES (NULL)")

        waiting = self.together(
            Commit((self.write("a"),), (self.row("a"),)),
            Commit((self.write("b"),), (RowsOf(self.database, broken),)),
            Commit((self.write("c"),), (self.row("c"),)),
        )
        self.failureResultOf(waiting.pop(1), DiskTrouble)
        for done in waiting:
            self.successResultOf(done)
        self.assertEqual((self.names("new"), self.rows()), (["a", "c"], ["a", "c"]))

    def test_nothing_is_overwritten(self) -> None:
        """A place that is taken is a fault, and what lies there stays."""
        (self.root / "new" / "a").write_bytes(b"mine")
        self.failureResultOf(self.rounds.commit(Commit((self.write("a"),))), DiskTrouble)
        self.assertEqual((self.root / "new" / "a").read_bytes(), b"mine")
        (self.root / "tmp" / "b").write_bytes(b"mine too")
        self.failureResultOf(self.rounds.commit(Commit((self.write("b"),))), DiskTrouble)
        self.assertEqual((self.root / "tmp" / "b").read_bytes(), b"mine too")

    def test_another_file_system(self) -> None:
        """Where no hard link can be made, a synced copy takes its place."""
        self.disk.breaks = lambda what, path: errno.EXDEV if what == "link" else 0
        self.successResultOf(self.rounds.commit(Commit((self.write("a", moment=1e9),))))
        self.assertEqual((self.root / "new" / "a").read_bytes(), b"Subject: one\n\ntext\n")
        self.assertEqual(os.stat(self.root / "new" / "a").st_mtime, 1e9)
        self.assertEqual((self.names("new"), self.names("tmp")), (["a"], []))

    def test_busy_workers(self) -> None:
        """When no worker can be had, the job fails with nothing done."""

        def busy(*_: object) -> None:
            raise Busy("too much")

        self.patch(self.workers, "run", busy)
        self.failureResultOf(self.rounds.commit(Commit((self.write("a"),))), DiskTrouble)
        self.assertEqual((self.names("tmp"), self.names("new")), ([], []))

    def test_any_fault_at_any_step(self) -> None:
        """Whatever fails, what was answered is there whole and what was refused is not there at all."""

        @settings(max_examples=60, deadline=None)
        @given(st.sets(st.integers(0, 90), max_size=6), st.integers(1, 8), st.booleans())
        def play(failing: set[int], jobs: int, with_rows: bool) -> None:
            self.setUp()
            count = 0

            def breaks(what: str, path: str) -> int:
                nonlocal count
                count += 1
                # Taking back what was made must work, or nothing can be promised about the names.
                return errno.EIO if count in failing and what != "unlink" else 0

            self.disk.breaks = breaks
            names = [f"m{n}" for n in range(jobs)]
            waiting = self.together(
                *(Commit((self.write(name),), (self.row(name),) if with_rows else ()) for name in names)
            )
            kept = []
            for name, done in zip(names, waiting, strict=True):
                result: list[object] = []
                done.addBoth(result.append)
                if result[0] is None:
                    kept.append(name)
            self.assertEqual(self.names("new"), kept)
            self.assertEqual(self.names("tmp"), [])
            self.assertEqual(self.rows(), kept if with_rows else [])
            for name in kept:
                self.assertEqual((self.root / "new" / name).read_bytes(), b"Subject: one\n\ntext\n")
            self.assert_order()
            self.database.close()

        play()


class SyncfsFaultTests(FaultTests):
    """The same with syncfs."""

    flush = "syncfs"
