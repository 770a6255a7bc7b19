"""STATE/delivery.db: what delivery must remember beyond one message; losing it costs little.

    long_path   senders whose address is too long to be rewritten: a short name stands for it until bounces are past
    answered    whom an account's vacation notice has answered, and when

Rows are written in the commit round of the message that they belong to.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Awaitable

from mailbox_appliance.database import Database
from mailbox_appliance.ports.rounds import Rows
from mailbox_appliance.rounds.share import RowsOf

MIGRATIONS = (
    """
    CREATE TABLE long_path (name TEXT PRIMARY KEY, path TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
    CREATE INDEX long_path_until ON long_path (until);
    CREATE TABLE answered (account TEXT NOT NULL, notice TEXT NOT NULL, sender TEXT NOT NULL, moment REAL NOT NULL,
        PRIMARY KEY (account, notice, sender)) WITHOUT ROWID;
    CREATE INDEX answered_moment ON answered (account, moment);
    """,
)
MOST_LONG_PATHS = 100_000
MOST_ANSWERED = 2000  # senders an account's notice remembers; the oldest are forgotten first


class DeliveryMemory:
    """``database`` is opened with MIGRATIONS."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def keep_path(self, path: str, now: float, until: float) -> tuple[str, Rows]:
        """A short name for ``path``, and the rows that make it known."""
        name = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(16))

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM long_path WHERE until < ?", (now,))
            connection.execute(
                "INSERT OR REPLACE INTO long_path (name, path, until) VALUES (?, ?, ?)", (name, path, until)
            )
            connection.execute(
                "DELETE FROM long_path WHERE name IN "
                "(SELECT name FROM long_path ORDER BY until DESC LIMIT -1 OFFSET ?)",
                (MOST_LONG_PATHS,),
            )

        return name, RowsOf(self.database, work)

    def path_of(self, name: str, now: float) -> Awaitable[str]:
        """What ``name`` stands for; "" when that is not known any more."""

        def work(connection: sqlite3.Connection) -> str:
            row = connection.execute("SELECT path FROM long_path WHERE name = ? AND until >= ?", (name, now)).fetchone()
            return str(row[0]) if row else ""

        return self.database.run(work)

    def answered_since(self, account: str, notice: str, sender: str, since: float) -> Awaitable[bool]:
        """Has this notice of the account answered ``sender`` after ``since``?"""

        def work(connection: sqlite3.Connection) -> bool:
            sql = "SELECT 1 FROM answered WHERE account = ? AND notice = ? AND sender = ? AND moment > ?"
            return connection.execute(sql, (account, notice, sender, since)).fetchone() is not None

        return self.database.run(work)

    def answers_now(self, account: str, notice: str, sender: str, now: float) -> Rows:
        """The rows that remember an answer, and forget the oldest ones."""

        def work(connection: sqlite3.Connection) -> None:
            sql = "INSERT OR REPLACE INTO answered (account, notice, sender, moment) VALUES (?, ?, ?, ?)"
            connection.execute(sql, (account, notice, sender, now))
            connection.execute(
                "DELETE FROM answered WHERE account = ? AND moment < (SELECT moment FROM answered WHERE account = ? "
                "ORDER BY moment DESC LIMIT 1 OFFSET ?)",
                (account, account, MOST_ANSWERED - 1),
            )

        return RowsOf(self.database, work)

    def forget_account(self, account: str) -> Awaitable[None]:
        """Its notice is gone or the account is: whoever writes is answered anew."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM answered WHERE account = ?", (account,))

        return self.database.run(work)
