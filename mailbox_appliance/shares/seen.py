"""\\Seen of each reader in mailboxes that are not his own: one SQLite file of the server, which is no cache.

The owner's own marks stand in his file names; a reader's must not touch them. A row tells that the reader has marked a
message as read (or unread again), and the modification sequence of that change. Rows belong to a mailbox by its id
and UIDVALIDITY, so that they follow a renamed one and never speak of another message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Sequence

from mailbox_appliance.database import Database
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass

MIGRATIONS = (
    """
    CREATE TABLE place (
        number INTEGER PRIMARY KEY,
        reader TEXT NOT NULL,
        mailbox TEXT NOT NULL,
        uidvalidity INTEGER NOT NULL,
        UNIQUE (reader, mailbox, uidvalidity)
    );
    CREATE TABLE seen (
        place INTEGER NOT NULL REFERENCES place ON DELETE CASCADE,
        uid INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        modseq INTEGER NOT NULL,
        PRIMARY KEY (place, uid)
    ) WITHOUT ROWID
    """,
)
TIDY_FROM = 1000  # rows of messages gone before they are taken away


@dataclass(frozen=True, slots=True)
class Mark:
    """What a reader did last to one message."""

    uid: int
    seen: bool
    modseq: int


@dataclass(frozen=True, slots=True)
class Place:
    """One reader in one mailbox."""

    reader: Address
    mailbox: str  # its id
    uidvalidity: int


class SeenMarks:
    """Reads and keeps them. Everything raises DatabaseTrouble, sqlite3.Error, Busy."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, place: Place, uids: Sequence[int]) -> Awaitable[list[Mark]]:
        """By UID; ``uids`` are all that the mailbox holds: what is said of others is forgotten in time."""
        return self._database.run(lambda connection: _load(connection, place, uids))

    def keep(self, place: Place, uids: Sequence[int], seen: bool, modseq: int) -> Awaitable[None]:
        """Durable on return."""
        return self._database.run(lambda connection: _keep(connection, place, uids, seen, modseq))

    def forget(self, reader: Address) -> Awaitable[None]:
        """The account is no more."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM place WHERE reader=?", (str(reader),))

        return self._database.run(work)

    def readers(self) -> Awaitable[list[str]]:
        """Everybody of whom something is kept."""
        return self._database.run(
            lambda connection: [row[0] for row in connection.execute("SELECT DISTINCT reader FROM place")]
        )

    def close(self) -> None:
        """Close the file. Blocks for a moment."""
        self._database.close()


def _number(connection: sqlite3.Connection, place: Place) -> int | None:
    key = (str(place.reader), place.mailbox, place.uidvalidity)
    row = connection.execute("SELECT number FROM place WHERE reader=? AND mailbox=? AND uidvalidity=?", key).fetchone()
    return None if row is None else int(row[0])


def _load(connection: sqlite3.Connection, place: Place, uids: Sequence[int]) -> list[Mark]:
    number = _number(connection, place)
    if number is None:
        return []
    rows = connection.execute("SELECT uid, seen, modseq FROM seen WHERE place=? ORDER BY uid", (number,)).fetchall()
    there = set(uids)
    gone = [(number, uid) for uid, _, _ in rows if uid not in there]
    if len(gone) > TIDY_FROM:
        connection.executemany("DELETE FROM seen WHERE place=? AND uid=?", gone)
    return [Mark(uid, bool(seen), modseq) for uid, seen, modseq in rows if uid in there]


def _keep(connection: sqlite3.Connection, place: Place, uids: Sequence[int], seen: bool, modseq: int) -> None:
    number = _number(connection, place)
    if number is None:
        key = (str(place.reader), place.mailbox, place.uidvalidity)
        made = connection.execute("INSERT INTO place (reader, mailbox, uidvalidity) VALUES (?, ?, ?)", key)
        number = made.lastrowid
    connection.executemany(
        "INSERT OR REPLACE INTO seen (place, uid, seen, modseq) VALUES (?, ?, ?, ?)",
        [(number, uid, seen, modseq) for uid in uids],
    )
