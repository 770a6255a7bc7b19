"""What the trail keeps, finds and forgets."""

from __future__ import annotations

import os
import sqlite3

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.journal.trail import MIGRATIONS, Trail, TrailSettings, search_words
from tests.kit.workers import InlineWorkers


class SlowWorkers(InlineWorkers):
    """Jobs wait until ``work``."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Deferred[object], object]] = []

    def run(self, door, job, *args):  # type: ignore[no-untyped-def]
        done: Deferred[object] = Deferred()
        self.waiting.append((done, lambda: job(*args)))
        return done

    def work(self) -> None:
        while self.waiting:
            done, job = self.waiting.pop(0)
            done.callback(job())  # type: ignore[operator]


class TrailTests(SynchronousTestCase):
    """On a real file."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000_000)
        self.path = self.mktemp()
        self.lost: list[tuple[int, str]] = []
        self.trail = self.make()

    def make(self, workers: InlineWorkers | None = None, **settings: float) -> Trail:
        self.database = Database(self.path, MIGRATIONS, workers or InlineWorkers(), synchronous="NORMAL")
        self.addCleanup(self.database.close)
        return Trail(
            self.database,
            self.clock,
            lambda steps, reason: self.lost.append((steps, reason)),
            TrailSettings(**settings),  # type: ignore[arg-type]
        )

    def add(self, trace: str, name: str, facts: str = "", *words: str) -> None:
        self.trail.add(self.clock.seconds(), trace, name, 6, facts, words)

    def test_recent(self) -> None:
        """The newest of some names, oldest first; nothing older than asked for."""
        for number in range(5):
            self.add(f"t{number}", "a.refused" if number % 2 else "a.kept", f"n={number}")
            self.clock.advance(100)
        for since, most, wanted in ((0, 9, ["t1", "t3"]), (0, 1, ["t3"]), (1_000_000_200, 9, ["t3"])):
            found = self.successResultOf(Deferred.fromCoroutine(self.trail.recent(("a.refused", "b.x"), since, most)))
            self.assertEqual([step.trace for step in found], wanted)

    def find(self, text: str) -> list[str]:
        return [step.name for step in self.successResultOf(Deferred.fromCoroutine(self.trail.search(text)))]

    def rows(self, table: str) -> int:
        with sqlite3.connect(self.path) as connection:
            (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(number)

    def test_whole_life_by_any_word(self) -> None:
        """Each word of any step finds all steps of the message, in order."""
        self.add(
            "0k3aaaaaaaaaaa", "smtp.accepted", "", "ann@example.org", "bob@example.net", "192.0.2.1", "id1@x.example"
        )
        self.clock.advance(5)
        self.add("0k3bbbbbbbbbbb", "smtp.accepted", "", "eve@example.org")
        self.add("0k3aaaaaaaaaaa", "relay.delivered", "", "bob@example.net")
        for text in (
            "0k3aaaaaaaaaaa",
            "0K3AAAAAAAAAAA",
            "ann@example.org",
            "BOB@example.NET",
            "192.0.2.1",
            "<id1@x.example>",
        ):
            self.assertEqual(self.find(text), ["smtp.accepted", "relay.delivered"], text)
        self.assertEqual(self.find("eve@example.org"), ["smtp.accepted"])
        self.assertEqual(self.find("ann@example"), [])
        self.assertEqual(self.find(""), [])

    def test_lone_steps(self) -> None:
        """What belongs to no message is found by its own words, once each."""
        self.add("", "imap.refused", "", "ann@example.org", "192.0.2.9")
        self.add("", "imap.refused", "", "bob@example.org", "192.0.2.9")
        self.assertEqual(self.find("192.0.2.9"), ["imap.refused"] * 2)
        self.assertEqual(self.find("bob@example.org"), ["imap.refused"])

    def test_newest_of_many(self) -> None:
        """Of many messages the newest are told."""
        for number in range(30):
            self.add(f"0k3{number:011}", f"n{number}", "", "ann@example.org")
        self.assertEqual(self.find("ann@example.org"), [f"n{number}" for number in range(10, 30)])

    def test_batches(self) -> None:
        """Steps are written after half a second, or when two hundred wait."""
        workers = InlineWorkers()
        self.trail = self.make(workers)
        self.add("0k3aaaaaaaaaaa", "a.b")
        self.clock.advance(0.4)
        self.assertEqual(workers.doors, [])
        self.clock.advance(0.2)
        self.assertEqual(workers.doors, ["database"])
        for _ in range(200):
            self.add("0k3aaaaaaaaaaa", "a.b")
        self.assertEqual(len(workers.doors), 2)
        self.assertEqual(self.rows("step"), 201)

    def test_slow_disk(self) -> None:
        """While a batch is being written no second one is begun; what waits is bounded, the rest counted as lost."""
        workers = SlowWorkers()
        self.trail = self.make(workers, most_waiting=1000)
        for _ in range(5000):
            self.add("0k3aaaaaaaaaaa", "a.b")
        self.clock.advance(10)
        self.assertEqual(len(workers.waiting), 1)
        workers.work()
        self.assertEqual(self.rows("step"), 1200)

    def test_flush_waits_for_what_is_being_written(self) -> None:
        """``flush`` fires after both the batch under way and the one that waits."""
        workers = SlowWorkers()
        self.trail = self.make(workers, batch=2)
        for _ in range(3):
            self.add("0k3aaaaaaaaaaa", "a.b")
        flushed = self.trail.flush()
        self.assertNoResult(flushed)
        workers.work()
        self.successResultOf(flushed)
        self.assertEqual(self.rows("step"), 3)

    def test_full_disk(self) -> None:
        """A write that fails loses its batch, says so once a minute, and the next one is tried."""
        for _ in range(3):
            self.database.run = lambda work: fail(sqlite3.OperationalError("disk is full"))  # type: ignore
            self.add("0k3aaaaaaaaaaa", "a.b")
            self.clock.advance(1)
        self.assertEqual(self.lost, [(1, "disk is full")])
        self.clock.advance(60)
        self.add("0k3aaaaaaaaaaa", "a.b")
        self.clock.advance(1)
        self.assertEqual(self.lost, [(1, "disk is full"), (3, "disk is full")])
        del self.database.run
        self.add("0k3aaaaaaaaaaa", "a.b")
        self.clock.advance(1)
        self.assertEqual(self.rows("step"), 1)

    def prune(self) -> None:
        pruning = Deferred.fromCoroutine(self.trail.prune())
        for _ in range(10_000):
            if pruning.called:
                break
            self.clock.advance(0.01)
        self.successResultOf(pruning)

    def test_old_steps_go(self) -> None:
        """After ninety days a step and its words are gone; younger ones stay."""
        for _ in range(1200):
            self.add("0k3aaaaaaaaaaa", "old", "", "ann@example.org")
        self.add("", "old", "", "192.0.2.1")
        self.successResultOf(self.trail.flush())
        self.clock.advance(91 * 86400)
        self.add("0k3bbbbbbbbbbb", "new", "", "ann@example.org")
        self.successResultOf(self.trail.flush())
        self.prune()
        self.assertEqual((self.rows("step"), self.rows("word")), (1, 1))
        self.assertEqual(self.find("ann@example.org"), ["new"])

    def test_size_is_bounded(self) -> None:
        """Beyond the size the oldest go, a piece a time, until it fits."""
        self.trail = self.make(octets=300_000, prune_piece=100)
        for number in range(3000):
            self.add(f"0k3{number:011}", "a.b", "x" * 200, f"a{number}@example.org")
        self.successResultOf(self.trail.flush())
        self.prune()
        left = self.rows("step")
        self.assertTrue(200 < left < 1500, left)
        self.assertEqual(self.rows("word"), left)
        self.assertEqual(self.find("a2999@example.org"), ["a.b"])
        self.assertEqual(self.find("a0@example.org"), [])

    def test_lone_steps_do_not_crowd_out_messages(self) -> None:
        """A storm of refused strangers is cut before any message is forgotten."""
        self.trail = self.make(lone_steps=100)
        self.add("0k3aaaaaaaaaaa", "message", "", "ann@example.org")
        for number in range(1000):
            self.add("", "refused", "", f"192.0.2.{number % 250}")
        self.successResultOf(self.trail.flush())
        self.prune()
        self.assertEqual(self.rows("step"), 101)
        self.assertEqual(self.find("ann@example.org"), ["message"])

    def test_pruning_comes_by_itself(self) -> None:
        """Started, it prunes every ten minutes."""
        self.add("0k3aaaaaaaaaaa", "old")
        self.trail.start()
        self.clock.advance(91 * 86400)
        self.clock.pump([0.1] * 10)
        self.assertEqual(self.rows("step"), 0)
        self.clock.advance(601)
        self.successResultOf(Deferred.fromCoroutine(self.trail.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_damaged_file(self) -> None:
        """A file that is no database costs the trail, nothing else."""
        self.database.close()
        with open(self.path, "wb") as file:
            file.write(b"not a database" * 1000)
        self.trail = self.make()
        self.add("0k3aaaaaaaaaaa", "a.b")
        self.clock.advance(1)
        self.assertEqual([steps for steps, _ in self.lost], [1])
        self.assertIn(os.path.basename(self.path), self.lost[0][1])

    def test_words(self) -> None:
        """Peers by bare address, Message-IDs without brackets, everything in lower case."""
        rows: tuple[tuple[str, object, list[str]], ...] = (
            ("peer", "192.0.2.1", ["192.0.2.1"]),
            ("peer", "192.0.2.1:5555", ["192.0.2.1"]),
            ("peer", "[2001:DB8::1]:25", ["2001:db8::1"]),
            ("peer", "2001:db8:0::1", ["2001:db8::1"]),
            ("peer", "unix", ["unix"]),
            ("message_id", " <A@b.example> ", ["a@b.example"]),
            ("recipient", ("A@b.example", "c@D.example"), ["a@b.example", "c@d.example"]),
            ("sender", "<>", []),
            ("sender", "Ann@Example.ORG", ["ann@example.org"]),
        )
        for field, value, words in rows:
            self.assertEqual(search_words(field, value), words)
