"""What has been filed already: so that an import that was cut off goes on, with nothing twice and nothing lost.

A batch is written down before it is handed over, and struck out when it is filed. What a crash leaves written down is
looked for in the mailboxes at the next run, by its octets, and only what is not there is filed again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from mailbox_appliance.importing.found import SourceTrouble
from mailbox_appliance.mail.values import dataclass

_SCHEMA = """
CREATE TABLE IF NOT EXISTS filed (folder TEXT, key TEXT, PRIMARY KEY (folder, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY, items TEXT NOT NULL, uidnext TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT);
"""
ASKED = 500


@dataclass(frozen=True, slots=True)
class Item:
    """One message of a batch: where it lies in the batch's file, where it goes, and how it is known."""

    folder: str
    key: str
    mailbox: str
    offset: int
    octets: int
    lines: int
    digest: str
    flags: tuple[str, ...]
    date: int
    zone: int
    label: str = ""


class Ledger:
    """One file for an account and a source. ``owner`` (uid, gid) is whom the file is given to; None: nobody."""

    def __init__(self, folder: str, account: str, source: str, owner: tuple[int, int] | None = None) -> None:
        """Raises SourceTrouble when another import of the same mail is running."""
        word = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self.path = os.path.join(folder, f"{account}-{word}.db")
        self._lock = os.open(self.path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise SourceTrouble("the same mail is being imported already, by another process") from None
        try:
            self._open(owner)
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self, owner: tuple[int, int] | None) -> None:
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        if owner is not None:
            os.chown(self.path, *owner)
            os.chown(self.path + ".lock", *owner)
        self._connection = sqlite3.connect(self.path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)
        self._connection.execute("PRAGMA temp_store=FILE")
        self._connection.execute("CREATE TEMP TABLE seen (digest BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID")

    def close(self) -> None:
        """Let the next one in."""
        self._connection.close()
        os.close(self._lock)

    def known(self, folder: str, keys: Sequence[str]) -> set[str]:
        """Which of these are filed."""
        found: set[str] = set()
        for start in range(0, len(keys), ASKED):
            some = keys[start : start + ASKED]
            marks = ",".join("?" * len(some))
            rows = self._connection.execute(
                f"SELECT key FROM filed WHERE folder=? AND key IN ({marks})",
                (folder, *some),
            )
            found.update(key for (key,) in rows)
        return found

    def has(self, folder: str, key: str) -> bool:
        """Is this one filed?"""
        return bool(self._connection.execute("SELECT 1 FROM filed WHERE folder=? AND key=?", (folder, key)).fetchone())

    def occurrence(self, digest: str) -> int:
        """How often these octets have been met in this folder, this time included."""
        (number,) = self._connection.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT (digest) DO UPDATE SET number = number + 1 RETURNING number",
            (bytes.fromhex(digest),),
        ).fetchone()
        return int(number)

    def forget_occurrences(self) -> None:
        """Another folder begins."""
        self._connection.execute("DELETE FROM seen")

    @property
    def count(self) -> int:
        """How many are filed, at all runs."""
        (number,) = self._connection.execute("SELECT count(*) FROM filed").fetchone()
        return int(number)

    def begin(self, items: Sequence[Item], uidnext: dict[str, int]) -> int:
        """These are about to be handed over; ``uidnext`` of their mailboxes before that."""
        said = json.dumps([[getattr(item, name) for name in Item.__slots__] for item in items])
        cursor = self._connection.execute(
            "INSERT INTO batch (items, uidnext) VALUES (?, ?)", (said, json.dumps(uidnext))
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def end(self, number: int, filed: Iterable[tuple[str, str]]) -> None:
        """The batch is over; (folder, key) of what is filed."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO filed VALUES (?, ?)", filed)
            connection.execute("DELETE FROM batch WHERE id=?", (number,))

    def mark(self, filed: Iterable[tuple[str, str]]) -> None:
        """These are there already."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO filed VALUES (?, ?)", filed)

    def open_batches(self) -> list[tuple[int, list[Item], dict[str, int]]]:
        """What a crash has left."""
        rows: list[tuple[int, str, str]] = self._connection.execute("SELECT id, items, uidnext FROM batch").fetchall()
        return [(number, [_item(one) for one in json.loads(items)], json.loads(next)) for number, items, next in rows]

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)


def _item(said: list[Any]) -> Item:
    values = dict(zip(Item.__slots__, said, strict=True))
    values["flags"] = tuple(values["flags"])
    return Item(**values)


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")
