"""The tables behind the daily allowance, and every statement made against them.

outgoing       how many recipients an account wrote to on a day (since 1970, UTC)
correspondent  whom an account has written to, and the day when it did so first
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from mailbox_appliance.mail.address import Address

# The third version's, of queue/taken.
CAME_OVER = """
    CREATE TABLE came_over (id TEXT NOT NULL, path TEXT NOT NULL, moment REAL NOT NULL,
        PRIMARY KEY (id, path)) WITHOUT ROWID;
    CREATE INDEX came_over_moment ON came_over (moment)
"""
MIGRATION = """
    CREATE TABLE outgoing (account TEXT NOT NULL, day INTEGER NOT NULL, recipients INTEGER NOT NULL,
        PRIMARY KEY (account, day)) WITHOUT ROWID;
    CREATE TABLE correspondent (account TEXT NOT NULL, address TEXT NOT NULL, day INTEGER NOT NULL,
        PRIMARY KEY (account, address)) WITHOUT ROWID;
    CREATE INDEX correspondent_day ON correspondent (account, day)
"""
MOST_CORRESPONDENTS = 20_000  # of one account; the oldest are forgotten, and count as new again
KEPT_DAYS = 30


def day_of(moment: float) -> int:
    """Days since 1970, UTC."""
    return int(moment // 86_400)


def count(connection: sqlite3.Connection, account: str, day: int, recipients: Sequence[Address]) -> None:
    """``account`` writes to ``recipients``."""
    connection.execute(
        "INSERT INTO outgoing VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET recipients = recipients + excluded.recipients",
        (account, day, len(recipients)),
    )
    connection.execute("DELETE FROM outgoing WHERE account = ? AND day < ?", (account, day - KEPT_DAYS))
    added = connection.executemany(
        "INSERT OR IGNORE INTO correspondent VALUES (?, ?, ?)", [(account, _word(one), day) for one in recipients]
    ).rowcount
    if added:
        connection.execute(
            "DELETE FROM correspondent WHERE account = ?1 AND address IN (SELECT address FROM correspondent WHERE "
            "account = ?1 ORDER BY day LIMIT max(0, (SELECT count(*) FROM correspondent WHERE account = ?1) - ?2))",
            (account, MOST_CORRESPONDENTS),
        )


def spent(connection: sqlite3.Connection, account: str, day: int, more: Sequence[Address]) -> tuple[int, int]:
    """How many recipients, and how many new ones, the day has seen once ``more`` are written to as well."""
    row = connection.execute("SELECT recipients FROM outgoing WHERE account = ? AND day = ?", (account, day)).fetchone()
    words = {_word(one) for one in more}
    (known,) = connection.execute(
        "SELECT count(*) FROM correspondent WHERE account = ? AND address IN (SELECT value FROM json_each(?))",
        (account, json.dumps(sorted(words))),
    ).fetchone()
    (new,) = connection.execute(
        "SELECT count(*) FROM correspondent WHERE account = ? AND day = ?", (account, day)
    ).fetchone()
    return (row[0] if row is not None else 0) + len(more), new + len(words) - known


def has_written(connection: sqlite3.Connection, account: str, address: Address) -> bool:
    """Has ``account`` ever written to that address?"""
    row = (account, _word(address))
    return bool(connection.execute("SELECT 1 FROM correspondent WHERE account = ? AND address = ?", row).fetchone())


def _word(address: Address) -> str:
    return str(address).lower()[:320]
