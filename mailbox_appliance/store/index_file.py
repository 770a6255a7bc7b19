"""The file of an account's index: one connection, opened by its first use in a worker, set aside when it is damaged.

What stands in it is the matter of ``store.index``, ``store.message_rows``, ``store.rendered`` and ``store.words``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.store.index import MIGRATIONS

T = TypeVar("T")


class Index:
    """The one open connection; ``now`` is for worker threads, ``run`` for the reactor."""

    def __init__(self, path: str, workers: Workers) -> None:
        self.path = path
        self._workers = workers
        self._was_cut_off = os.path.exists(f"{path}-wal")  # an orderly close leaves none
        self._database = Database(path, MIGRATIONS, workers, synchronous="NORMAL", cache_kib=512)

    def now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """One transaction in the calling (worker) thread."""
        self._settle()
        return self._database.run_now(work)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The same for work that only reads: no transaction, which would cost more than the row of one message."""
        self._settle()
        return self._database.read_now(work)

    def glance(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """``read`` in the reactor; None when it would have to wait for somebody or when something is wrong."""
        if self._was_cut_off:
            return None
        return self._database.glance(work)

    def _settle(self) -> None:
        if self._was_cut_off:
            # Deliveries that fell between our own changes may have been waiting for their UIDs: look at everything.
            self._database.run_now(_doubt_all)
            self._was_cut_off = False

    def run(self, work: Callable[[sqlite3.Connection], T], *, reading: bool = False) -> Awaitable[T]:
        """One transaction in a worker thread (none if ``reading``); ``work`` may also touch files."""
        return self._workers.run("disk", self.read if reading else self.now, work)

    def close(self) -> None:
        self._database.close()

    def set_aside(self, moment: int) -> str:
        """Rename a damaged file out of the way; returns its new name. For worker threads."""
        with contextlib.suppress(sqlite3.Error):
            self._database.close()
        self._was_cut_off = False
        aside = f"{self.path}.damaged-{moment}"
        for tail in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                if tail:
                    os.unlink(self.path + tail)
                else:
                    os.rename(self.path, aside)
        self._database = Database(self.path, MIGRATIONS, self._workers, synchronous="NORMAL", cache_kib=512)
        return aside


def _doubt_all(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE mailbox SET known = json_set(known, '$[2]', 2)")


def is_damage(error: BaseException) -> bool:
    """Does the error mean that the index itself is broken (and not the disk full, or a lock held)?"""
    if isinstance(error, DatabaseTrouble):
        return error.of_file  # and not a full or read-only disk, which would lose a good index
    if isinstance(error, sqlite3.OperationalError):
        text = str(error)
        if "no such" in text:
            return "rendered_" not in text
        return any(words in text for words in ("malformed", "has no column", "Could not decode"))
    return isinstance(error, sqlite3.DatabaseError)


def is_full(error: BaseException) -> bool:
    """Is the disk full, says SQLite?"""
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)
