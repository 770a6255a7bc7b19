"""STATE/lists: what the lists remember of the last days. Losing it costs held posts and little else.

    STATE/lists/lists.db    posts seen (nobody gets one twice), posts that wait for a moderator, whom we asked
    STATE/lists/held/ID     the content of a post that waits: header and body, LF line ends

Rows and files are written in the commit round of the message that they belong to; files without rows are swept daily.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Awaitable

from mailbox_appliance.database import Database
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.rounds import Rows, Write
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.rounds.share import RowsOf

MIGRATIONS = (
    """
    CREATE TABLE posted (list INTEGER NOT NULL, mark TEXT NOT NULL, moment REAL NOT NULL,
        PRIMARY KEY (list, mark)) WITHOUT ROWID;
    CREATE TABLE held (id TEXT PRIMARY KEY, list INTEGER NOT NULL, author TEXT NOT NULL, subject TEXT NOT NULL,
        moment REAL NOT NULL, header INTEGER NOT NULL, body INTEGER NOT NULL, lines INTEGER NOT NULL,
        utf8 INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE asked (list INTEGER NOT NULL, address TEXT NOT NULL, moment REAL NOT NULL,
        PRIMARY KEY (list, address)) WITHOUT ROWID;
    """,
)
DAY = 86_400.0
POSTS_KEPT = 14 * DAY
HELD_KEPT = 14 * DAY
MOST_HELD = 100  # of one list
ASKED_KEPT = DAY
ASK_AGAIN = 3600.0  # the same person is sent a confirmation at most so often
MOST_ASKED = 50  # confirmations of one list in a day


@dataclass(frozen=True, slots=True)
class HeldPost:
    """A post that waits for a moderator."""

    name: str
    author: str
    subject: str
    moment: float
    content: Content
    utf8: bool


class ListMemory:
    """``folder`` is STATE/lists."""

    def __init__(self, folder: str, workers: Workers, clock: Clock) -> None:
        self.database = Database(os.path.join(folder, "lists.db"), MIGRATIONS, workers)
        self._held = os.path.join(folder, "held")
        self._workers = workers
        self._clock = clock

    async def open(self) -> None:
        """Make the folders. Raises OSError."""
        await self._workers.run("disk", _make_folder, self._held)

    # ------------------------------------------------------------ posts seen

    def was_posted(self, number: int, mark: str) -> Awaitable[bool]:
        """Has the list sent it before?"""

        def work(connection: sqlite3.Connection) -> bool:
            sql = "SELECT 1 FROM posted WHERE list = ? AND mark = ?"
            return connection.execute(sql, (number, mark)).fetchone() is not None

        return self.database.run(work)

    def posting(self, number: int, mark: str) -> Rows:
        """Remember it."""
        row = (number, mark, self._clock.seconds())
        sql = "INSERT OR REPLACE INTO posted (list, mark, moment) VALUES (?, ?, ?)"
        return RowsOf(self.database, lambda connection: connection.execute(sql, row))

    # ------------------------------------------------------------ posts that wait

    def is_full(self, number: int) -> Awaitable[bool]:
        """Do too many posts of the list wait already?"""
        sql = "SELECT count(*) FROM held WHERE list = ?"
        return self.database.run(lambda connection: connection.execute(sql, (number,)).fetchone()[0] >= MOST_HELD)

    def hold(
        self, number: int, name: str, author: str, subject: str, content: Content, *, utf8: bool
    ) -> tuple[Write, Rows]:
        """Keep a post until a moderator has spoken."""
        facts = (len(content.header), content.body_size, content.lines, utf8)
        row = (name, number, author, subject, self._clock.seconds(), *facts)
        sql = (
            "INSERT INTO held (id, list, author, subject, moment, header, body, lines, utf8) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        write = Write(content, os.path.join(self._held, name), (), keep_first=True)
        return write, RowsOf(self.database, lambda connection: connection.execute(sql, row))

    async def held(self, number: int, name: str) -> HeldPost | None:
        """The post, None when nobody waits for a word on it any more. Raises OSError."""
        sql = "SELECT author, subject, moment, header, body, lines, utf8 FROM held WHERE list = ? AND id = ?"
        row = await self.database.run(lambda connection: connection.execute(sql, (number, name)).fetchone())
        if row is None:
            return None
        author, subject, moment, header, body, lines, utf8 = row
        path = os.path.join(self._held, name)
        octets = await self._workers.run("disk", _read_header, path, header)
        return HeldPost(
            name, author, subject, moment, Content(octets, SpooledBody(path, header, body), lines), bool(utf8)
        )

    def settled(self, name: str) -> Rows:
        """Nobody waits for a word on it any more."""
        sql = "DELETE FROM held WHERE id = ?"
        return RowsOf(self.database, lambda connection: connection.execute(sql, (name,)))

    # ------------------------------------------------------------ wishes

    def may_ask(self, number: int, address: str) -> Awaitable[bool]:
        """Would a confirmation be one too many? Whoever writes in other people's names fills nobody's mailbox."""
        now = self._clock.seconds()

        def work(connection: sqlite3.Connection) -> bool:
            sql = (
                "SELECT count(*), max(CASE WHEN address = ? THEN moment ELSE 0 END) FROM asked "
                "WHERE list = ? AND moment > ?"
            )
            count, last = connection.execute(sql, (address.lower(), number, now - ASKED_KEPT)).fetchone()
            return count < MOST_ASKED and now - (last or 0) >= ASK_AGAIN

        return self.database.run(work)

    def asking(self, number: int, address: str) -> Rows:
        """Remember that somebody was asked."""
        row = (number, address.lower(), self._clock.seconds())
        sql = "INSERT OR REPLACE INTO asked (list, address, moment) VALUES (?, ?, ?)"
        return RowsOf(self.database, lambda connection: connection.execute(sql, row))

    # ------------------------------------------------------------ once a day

    async def forget_old(self) -> int:
        """Rows that are past, and files that belong to none; returns how many held posts nobody had spoken on."""
        now = self._clock.seconds()

        def work(connection: sqlite3.Connection) -> tuple[int, set[str]]:
            connection.execute("DELETE FROM posted WHERE moment < ?", (now - POSTS_KEPT,))
            connection.execute("DELETE FROM asked WHERE moment < ?", (now - ASKED_KEPT,))
            gone = connection.execute("DELETE FROM held WHERE moment < ?", (now - HELD_KEPT,)).rowcount
            return gone, {name for (name,) in connection.execute("SELECT id FROM held")}

        gone, known = await self.database.run(work)
        await self._workers.run("disk", _sweep, self._held, known, now - DAY)
        return gone


def _make_folder(path: str) -> None:
    os.makedirs(path, 0o700, exist_ok=True)


def _read_header(path: str, length: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(length)


def _sweep(folder: str, known: set[str], before: float) -> None:
    """Younger files may be on their way into a round."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.name not in known and entry.stat().st_mtime < before:
                    os.unlink(entry.path)
