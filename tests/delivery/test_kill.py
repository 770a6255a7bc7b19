"""A process killed at any moment: what it said was durable is there, whole, file and rows."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.queue import schema
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.rounds.rounds import CommitRounds
from tests.delivery.committing_child import body_of
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers

TOP = Path(__file__).resolve().parents[2]


class KillTests(SynchronousTestCase):
    """kill -9, several times on the same files."""

    def test_what_was_said_is_there(self) -> None:
        """Every acknowledged message is intact in mailbox and queue; nothing half written has a final name."""
        root = Path(self.mktemp()).absolute()
        for name in ("tmp", "new"):
            (root / name).mkdir(parents=True)
        chance = random.Random(7)
        said: set[str] = set()
        for generation in range(5):
            said |= self._life(root, f"g{generation}", "syncfs" if generation % 2 else "fsync", chance.randint(1, 150))
        self.assertGreater(len(said), 50)
        for path in (root / "new").iterdir():
            self.assertEqual(path.read_bytes(), b"H: " + path.name.encode() + b"\n\n" + body_of(path.name))
        self.assertEqual(said - {path.name for path in (root / "new").iterdir()}, set())
        self._check_queue(root, said)

    def _life(self, root: Path, generation: str, flush: str, lines: int) -> set[str]:
        """Run the child until it has said ``lines`` names, kill it, return everything it said."""
        command = [sys.executable, "-m", "tests.delivery.committing_child", str(root), generation, flush]
        environment = {**os.environ, "PYTHONPATH": str(TOP)}
        child = subprocess.Popen(command, cwd=TOP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert child.stdout is not None
        try:
            names = [child.stdout.readline() for _ in range(lines)]
            child.kill()
            rest, errors = child.communicate(timeout=30)
        finally:
            child.kill()
            child.wait()
        self.assertTrue(all(name.endswith(b"\n") for name in names), errors.decode())
        whole = b"".join(names) + rest
        # A name whose line end is missing was being said when the kill came.
        return {name.decode() for name in whole.split(b"\n")[:-1]}

    def _check_queue(self, root: Path, said: set[str]) -> None:
        with sqlite3.connect(root / "queue" / "queue.db") as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            traces = [row[0] for row in connection.execute("SELECT trace FROM message")]
            recipients = connection.execute("SELECT count(*) FROM recipient").fetchone()[0]
        connection.close()
        self.assertEqual(len(traces), len(set(traces)))
        self.assertEqual(said - set(traces), set())
        self.assertEqual(recipients, len(traces))
        workers = InlineWorkers()
        spool = QueueSpool(
            SpoolSettings(str(root / "queue")), workers, CommitRounds(workers), _NoClock(), RememberedJournal()
        )
        now(spool.open())
        self.addCleanup(spool.close)
        for message, _ in spool.database.run_now(schema.whole_queue):
            content = now(spool.read(message, whole=1 << 30))
            self.assertEqual(content.body, body_of(message.trace))
        self.assertEqual(len(os.listdir(root / "queue" / "content")), len(traces))


class _NoClock:
    def seconds(self) -> float:
        return 0.0

    def callLater(self, delay, callable, *args, **kwargs):  # type: ignore[no-untyped-def]
        raise AssertionError("nothing waits here")
