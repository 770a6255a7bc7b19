"""What a worker thread does with its share of a commit round: write, sync, link, sync directories, rows.

The order is the promise: content is synced before it gets its final name, names are synced before rows tell of them,
rows are committed before anybody is answered. A job that fails is undone alone: what it made is taken away again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field
from typing import Any

from twisted.internet.defer import Deferred

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.rounds import Commit, DiskTrouble, Write
from mailbox_appliance.rounds.disk import Operations
from mailbox_appliance.workers import Hands

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(slots=True)
class RowsOf:
    """Fits ports.rounds.Rows."""

    database: Any
    work: Callable[[Any], None]


@dataclass(slots=True, eq=False)
class Task:
    """One job on its way through a round. Its files may be synced by several threads; everything else is one's work."""

    job: Commit
    octets: int
    done: Deferred[None]
    made: list[str] = field(default_factory=list)
    directories: set[str] = field(default_factory=set)
    trouble: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Remember the first thing that went wrong."""
        if self.trouble is None:
            self.trouble = trouble_of(error)


def trouble_of(error: Exception) -> Exception:
    """What the caller hears: OSError and SQLite's errors become DiskTrouble, anything else is a fault of ours."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in _FULL:
            return DiskTrouble(f"{where}{error.strerror}: free some space or raise the quota of the disk", full=True)
        return DiskTrouble(f"{where}{error.strerror or error}", full=False)
    if isinstance(error, sqlite3.Error):
        full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
        return DiskTrouble(f"database: {error}", full=full)
    return error


def commit(disk: Operations, tasks: Sequence[Task], hands: Hands) -> int:
    """Everything for the jobs of one round. Returns how often was synced."""
    flushes = write_and_link(disk, tasks, hands)
    whole = [task for task in tasks if task.trouble is None]
    flushes += sync_directories(disk, whole, {path for task in whole for path in task.directories}, hands)
    return flushes + finish(disk, tasks)


def commit_by_syncfs(disk: Operations, tasks: Sequence[Task], hands: Hands) -> int:
    """The same with one syncfs(2) for all files and one for all names."""
    return write_sync_all_and_link(disk, tasks, hands) + finish(disk, tasks)


def write_and_link(disk: Operations, tasks: Sequence[Task], hands: Hands) -> int:
    """Write and fsync each file of ``tasks``, then give each its places. Directories are not synced yet.

    All files are written before the first is synced: the file system's journal takes them together.
    """
    opened = [(task, fd) for task in tasks if task.job.writes for fd in _write(disk, task)]

    def sync(one: tuple[Task, int]) -> None:
        task, fd = one
        try:
            if task.trouble is None:
                disk.sync(fd)
        except OSError as error:
            task.fail(error)
        finally:
            _close(disk, task, fd)

    hands.each(sync, opened)
    for task in tasks:
        if task.job.writes:
            _link(disk, task)
    return len(opened)


def write_sync_all_and_link(disk: Operations, tasks: Sequence[Task], hands: Hands) -> int:
    """The same with one syncfs(2) for all contents and one for all names (or fsync, where that is fewer).

    The descriptor that is synced was opened before anything was written: only then does syncfs tell of lost writes.
    """
    flushes = 0
    kept: dict[int, int] = {}
    written = [task for task in tasks if task.job.writes]
    try:
        for task in written:
            for fd in _write(disk, task):
                try:
                    if kept.setdefault(disk.device(fd), fd) != fd:
                        _close(disk, task, fd)
                except OSError as error:
                    task.fail(error)
                    _close(disk, task, fd)
        flushes += _sync_devices(disk, written, kept)
        for task in written:
            _link(disk, task)
        directories = {path for task in written if task.trouble is None for path in task.directories}
        if len(directories) <= len(kept):
            flushes += sync_directories(disk, written, directories, hands)
        else:
            flushes += _sync_devices(disk, written, kept)
    finally:
        for fd in kept.values():
            with contextlib.suppress(OSError):
                disk.close(fd)
    return flushes


def _sync_devices(disk: Operations, tasks: Sequence[Task], kept: dict[int, int]) -> int:
    for fd in kept.values():
        try:
            disk.sync_all(fd)
        except OSError as error:
            for task in tasks:
                task.fail(error)
    return len(kept)


def _write(disk: Operations, task: Task) -> list[int]:
    fds: list[int] = []
    try:
        for write in task.job.writes:
            fd = disk.create(write.first)
            fds.append(fd)
            task.made.append(write.first)
            disk.write(fd, write.content)
            if write.moment is not None:
                disk.stamp(fd, write.moment)
    except OSError as error:
        task.fail(error)
    return fds


def _close(disk: Operations, task: Task, fd: int) -> None:
    try:
        disk.close(fd)
    except OSError as error:
        task.fail(error)


def _link(disk: Operations, task: Task) -> None:
    if task.trouble is not None:
        return
    try:
        for write in task.job.writes:
            for target in write.links:
                if not disk.link(write.first, target):
                    disk.copy(write.first, target)
                task.made.append(target)
                task.directories.add(os.path.dirname(target))
            if write.keep_first:
                task.directories.add(os.path.dirname(write.first))
            else:
                _drop_first(disk, task, write)
    except OSError as error:
        task.fail(error)


def _drop_first(disk: Operations, task: Task, write: Write) -> None:
    # The first name may stay behind without harm: what is old in tmp/ is swept.
    with contextlib.suppress(OSError):
        disk.unlink(write.first)
        task.made.remove(write.first)


def sync_directories(disk: Operations, tasks: Iterable[Task], directories: Collection[str], hands: Hands) -> int:
    """fsync each directory once; a job with names in one that fails has failed."""

    def sync(path: str) -> None:
        try:
            disk.sync_directory(path)
        except OSError as error:
            for task in tasks:
                if path in task.directories:
                    task.fail(error)

    hands.each(sync, directories)
    return len(directories)


def finish(disk: Operations, tasks: Sequence[Task]) -> int:
    """Commit the rows of the jobs that are whole, then undo the ones that are not."""
    flushes = _commit_rows([task for task in tasks if task.trouble is None and task.job.rows])
    for task in tasks:
        if task.trouble is not None:
            undo(disk, task)
    return flushes


def _commit_rows(tasks: Sequence[Task]) -> int:
    """One transaction for each database; when it fails, one for each job, so that a fault stays with its job."""
    by_database: dict[int, tuple[Any, list[tuple[Task, Callable[[Any], None]]]]] = {}
    for task in tasks:
        for rows in task.job.rows:
            by_database.setdefault(id(rows.database), (rows.database, []))[1].append((task, rows.work))
    flushes = 0
    for database, works in by_database.values():
        flushes += 1
        if _run(database, works) is None:
            continue
        for task, work in works:
            flushes += 1
            error = _run(database, [(task, work)])
            if error is not None:
                task.fail(error)
    return flushes


def _run(database: Any, works: Sequence[tuple[Task, Callable[[Any], None]]]) -> Exception | None:
    def all_works(connection: Any) -> None:
        for task, work in works:
            if task.trouble is None:
                work(connection)

    try:
        database.run_now(all_works)
    except Exception as error:  # noqa: BLE001 - the fault belongs to the job, the others of the round go on
        return error
    return None


def undo(disk: Operations, task: Task) -> None:
    """Take away every name a failed job has made; what cannot be taken away is swept later or was never synced."""
    for path in reversed(task.made):
        with contextlib.suppress(OSError):
            disk.unlink(path)
    task.made.clear()
