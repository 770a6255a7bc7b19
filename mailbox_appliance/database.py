"""One SQLite file, its schema versions, and the one door through which its rows are reached.

A schema is a list of migrations; ``PRAGMA user_version`` tells how many have been applied. Before an existing file
is migrated it is copied beside itself (``FILE.before-N``), so that an upgrade can be undone by hand. WAL throughout;
``synchronous`` FULL for what must survive a power cut (users, queue), NORMAL for what can be rebuilt.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from mailbox_appliance.ports.workers import Workers

T = TypeVar("T")


class DatabaseTrouble(Exception):
    """The file cannot be used; str() names it and says what to do.

    ``of_file``: the file itself is at fault (damaged, or a newer version's), and not its disk or another program.
    """

    def __init__(self, text: str, *, of_file: bool = False) -> None:
        super().__init__(text)
        self.of_file = of_file


# What SQLite says, and what the owner does about it; the first row whose words are found.
_REMEDIES: tuple[tuple[str, bool, str], ...] = (
    ("not a database", True, "it is damaged: put a backup in its place, or move it away to begin anew without it"),
    ("malformed", True, "it is damaged: put a backup in its place, or move it away to begin anew without it"),
    ("Could not decode", True, "it is damaged: put a backup in its place, or move it away to begin anew without it"),
    ("full", False, "make room on its disk"),
    ("readonly", False, "make it, its folder and its disk writable for the service's user"),
    ("unable to open", False, "make it, its folder and its disk writable for the service's user"),
    ("locked", False, "another program has it open: end that program"),
    ("", False, "look at its disk"),
)


def trouble_of(path: str, error: sqlite3.Error) -> DatabaseTrouble:
    """SQLite's words about ``path``, with the remedy."""
    text = str(error)
    for words, of_file, remedy in _REMEDIES:
        if words in text:
            return DatabaseTrouble(f"{path}: {text}; {remedy}", of_file=of_file)
    raise AssertionError("the last row fits everything")


class Database:
    """``path`` may be ":memory:". Opened by the first use, in a worker thread."""

    def __init__(
        self,
        path: str,
        migrations: Sequence[str],
        workers: Workers,
        *,
        synchronous: str = "FULL",
        cache_kib: int = 256,
    ) -> None:
        self.path = path
        self._migrations = migrations
        self._workers = workers
        self._synchronous = synchronous
        self._cache_kib = cache_kib
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Call ``work(connection)`` in one transaction, in a worker thread; an exception rolls it back."""
        return self._workers.run("database", self.run_now, work)

    def on_disk(self, job: Callable[[], T]) -> Awaitable[T]:
        """Call ``job()`` in a worker thread, outside of any transaction."""
        return self._workers.run("database", job)

    def run_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The same in the calling thread: for workers, start-up and the command line. Raises DatabaseTrouble."""
        with self._lock:
            connection = self._open()
            with self._transaction(connection):
                return work(connection)

    def read_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The same for work that only reads and does not mind what others write between its statements."""
        with self._lock:
            return work(self._open())

    def glance(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """``read_now``, or None when the file is not open, in use, or in trouble: then ``read_now`` tells."""
        if self._connection is None or not self._lock.acquire(blocking=False):
            return None
        try:
            return work(self._connection) if self._connection is not None else None
        except sqlite3.Error:
            return None
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                error.add_note(self.path)  # SQLite names no file
            raise
        connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def put_aside(self) -> str:
        """Rename a damaged file out of the way, so that the next use begins a new one; its new name. Blocks."""
        with contextlib.suppress(sqlite3.Error):
            self.close()
        aside = f"{self.path}.damaged"
        for tail in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path + tail)
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.path, aside)
        return aside

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        existed = self.path == ":memory:" or os.path.exists(self.path)
        if not existed:
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as error:
                raise DatabaseTrouble(f"{self.path} cannot be made: {error.strerror}") from error
        elif self.path != ":memory:" and not os.path.isfile(self.path):
            raise DatabaseTrouble(
                f"{self.path} is no file: move it away; if it stood for one, put a backup in its place"
            )
        try:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        except sqlite3.Error as error:
            raise trouble_of(self.path, error) from error
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA cache_size=-{self._cache_kib}")
            connection.execute("PRAGMA foreign_keys=ON")
            self._migrate(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise trouble_of(self.path, error) from error
        except UnicodeDecodeError:
            # The damage stands in a name that SQLite wants to complain of.
            connection.close()
            malformed = sqlite3.DatabaseError("its schema is malformed")
            raise trouble_of(self.path, malformed) from malformed
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        wanted = len(self._migrations)
        if version > wanted:
            raise DatabaseTrouble(
                f"{self.path} was written by a newer version (schema {version}, this program knows {wanted}): "
                "install that version again, or restore a backup",
                of_file=True,
            )
        if version == wanted:
            return
        if version and self.path != ":memory:":
            backup = sqlite3.connect(f"{self.path}.before-{version + 1}")
            with contextlib.closing(backup):
                connection.backup(backup)
            os.chmod(f"{self.path}.before-{version + 1}", 0o600)
        for number, script in enumerate(self._migrations[version:], version + 1):
            connection.executescript(f"BEGIN IMMEDIATE;\n{script};\nPRAGMA user_version={number};\nCOMMIT;")
