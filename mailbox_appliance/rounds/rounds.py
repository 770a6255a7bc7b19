"""Commit rounds: all that waits becomes durable together, then every ``commit`` returns (fills ports/rounds.py).

A round begins at once when fewer than ``in_flight`` are under way; what comes meanwhile is the next one. Nothing is
delayed on purpose. A round is one call of one worker, because each system call of a worker takes the interpreter's
lock from the reactor and back: dealing files out to four workers halved the throughput at ten sessions. Only the
fsyncs of many files are shared by ``lanes`` threads, so that the file system's journal takes them together. Then
every directory is synced once, then the rows go in one transaction for each database. Large files travel alone, so
that nobody's small one waits for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.rounds import Commit, DiskTrouble
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.rounds import share
from mailbox_appliance.rounds.disk import Disk, Operations
from mailbox_appliance.rounds.share import Task
from mailbox_appliance.workers import Hands


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """``flush``: "fsync" syncs each file; "syncfs" syncs the whole file system once a round, others' data too.

    Sizes are octets. ``large`` and above travels alone, ``most_large`` at a time.
    """

    flush: str = "fsync"
    most_jobs: int = 64
    most_octets: int = 16 << 20
    lanes: int = 4
    in_flight: int = 1
    large: int = 1 << 20
    most_large: int = 4
    most_waiting: int = 8192


class CommitRounds:
    """The committer of the mail tree and the queue. ``rounds``, ``jobs``, ``flushes`` count since the start."""

    def __init__(self, workers: Workers, settings: RoundSettings | None = None, disk: Operations | None = None) -> None:
        self.rounds = 0
        self.jobs = 0
        self.flushes = 0
        self._workers = workers
        self._settings = settings or RoundSettings()
        self._disk = disk or Disk()
        self._hands = Hands(self._settings.lanes - 1)
        self._waiting: deque[Task] = deque()
        self._large: deque[Task] = deque()
        self._running = 0
        self._running_large = 0
        self._calm: list[Deferred[None]] = []

    def commit(self, job: Commit) -> Deferred[None]:
        """Fire when everything in ``job`` is durable. Fails with DiskTrouble; then nothing of it is left.

        Rows of one job belong to one database: two databases cannot be committed together.
        """
        task = Task(job, sum(write.content.size for write in job.writes), Deferred())
        if len(self._waiting) + len(self._large) >= self._settings.most_waiting:
            task.done.errback(DiskTrouble("the disk does not keep up with the mail that comes in", full=False))
            return task.done
        self.jobs += 1
        if task.octets >= self._settings.large:
            self._large.append(task)
        else:
            self._waiting.append(task)
        self._begin()
        return task.done

    def quiet(self) -> Deferred[None]:
        """Fire when nothing waits and nothing is under way: before the databases are closed."""
        done: Deferred[None] = Deferred()
        self._calm.append(done)
        self._tell_calm()
        return done

    def _begin(self) -> None:
        settings = self._settings
        while self._large and self._running_large < settings.most_large:
            self._running_large += 1
            ensureDeferred(self._round([self._large.popleft()])).addBoth(self._ended_large)
        while self._waiting and self._running < settings.in_flight:
            self._running += 1
            tasks: list[Task] = []
            octets = 0
            while self._waiting and len(tasks) < settings.most_jobs and octets < settings.most_octets:
                task = self._waiting.popleft()
                octets += task.octets
                tasks.append(task)
            ensureDeferred(self._round(tasks)).addBoth(self._ended)

    def _ended(self, result: object) -> object:
        self._running -= 1
        self._begin()
        self._tell_calm()
        return result

    def _ended_large(self, result: object) -> object:
        self._running_large -= 1
        self._begin()
        self._tell_calm()
        return result

    def _tell_calm(self) -> None:
        if not (self._running or self._running_large or self._waiting or self._large):
            calm, self._calm = self._calm, []
            for done in calm:
                done.callback(None)

    async def _round(self, tasks: list[Task]) -> None:
        self.rounds += 1
        step = share.commit_by_syncfs if self._settings.flush == "syncfs" and len(tasks) > 1 else share.commit
        await self._work(tasks, step, tasks, self._hands)
        for task in tasks:
            if task.trouble is None:
                task.done.callback(None)
            else:
                task.done.errback(task.trouble)

    async def _work(self, tasks: Sequence[Task], step: Callable[..., int], *arguments: Any) -> None:
        """One call of one worker. When the worker cannot be had the tasks have failed, and are undone right here."""
        try:
            flushes = await self._workers.run("disk", step, self._disk, *arguments)
        except Busy as error:
            for task in tasks:
                task.fail(DiskTrouble(str(error), full=False))
                share.undo(self._disk, task)
        except Exception as error:  # noqa: BLE001 - a fault of ours: every caller hears of it, the rounds go on
            for task in tasks:
                task.fail(error)
                share.undo(self._disk, task)
        else:
            self.flushes += flushes
