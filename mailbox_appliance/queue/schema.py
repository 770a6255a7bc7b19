"""The queue's tables and every statement made against them, by name.

message    one row for each content file
recipient  one row for each recipient that is not done with; ``ended`` is '' while it waits, then the word of
           RFC 3464 §2.3.3 ("failed", "delivered", "relayed") until its sender has been told, and "kept" for what an
           account's Outbox shows as failed; ``held`` is 1 by the operator's will, 2 while its domain is frozen;
           ``marks`` are the keywords ($Junk, $Leak) of a copy that waits for room in a mailbox of ours
outbox     one row for each account that has submitted mail: its Outbox's UIDVALIDITY and next UID
frozen     domains for which nothing leaves

What is under way is known in memory only: after a crash everything that has no final outcome is due again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mailbox_appliance.queue import outgoing

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE message (
        id INTEGER PRIMARY KEY,
        file TEXT NOT NULL UNIQUE,
        trace TEXT NOT NULL,
        origin TEXT NOT NULL,
        account TEXT NOT NULL,
        reverse_path TEXT NOT NULL,
        arrived REAL NOT NULL,
        expires REAL NOT NULL,
        header_size INTEGER NOT NULL,
        body_size INTEGER NOT NULL,
        lines INTEGER NOT NULL,
        eight_bit INTEGER NOT NULL,
        smtputf8 INTEGER NOT NULL,
        require_tls INTEGER NOT NULL,
        ret TEXT NOT NULL,
        envid TEXT NOT NULL
    );
    CREATE INDEX message_trace ON message (trace);
    CREATE TABLE recipient (
        id INTEGER PRIMARY KEY,
        message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
        local TEXT NOT NULL,
        domain TEXT NOT NULL,
        notify TEXT NOT NULL,
        original TEXT NOT NULL,
        next_attempt REAL NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0,
        held INTEGER NOT NULL DEFAULT 0,
        delay_told INTEGER NOT NULL DEFAULT 0,
        ended TEXT NOT NULL DEFAULT '',
        attempted REAL NOT NULL DEFAULT 0,
        code INTEGER NOT NULL DEFAULT 0,
        enhanced TEXT NOT NULL DEFAULT '',
        reply TEXT NOT NULL DEFAULT '',
        host TEXT NOT NULL DEFAULT '',
        reason TEXT NOT NULL DEFAULT '',
        remote INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX recipient_message ON recipient (message);
    CREATE INDEX recipient_due ON recipient (next_attempt, id, domain) WHERE held = 0 AND ended = '';
    CREATE INDEX recipient_ended ON recipient (message) WHERE ended <> ''
    """,
    outgoing.MIGRATION,
    """
    ALTER TABLE message ADD COLUMN uid INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX message_account ON message (account, uid) WHERE uid > 0;
    CREATE TABLE outbox (account TEXT PRIMARY KEY, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL)
        WITHOUT ROWID;
    UPDATE message SET uid = id WHERE account <> '';
    INSERT INTO outbox SELECT account, CAST(strftime('%s', 'now') AS INTEGER), max(uid) + 1 FROM message
        WHERE uid > 0 GROUP BY account;
    DROP INDEX recipient_ended;
    CREATE INDEX recipient_ended ON recipient (message) WHERE ended <> '' AND ended <> 'kept';
    CREATE TABLE frozen (domain TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID
    """,
    outgoing.CAME_OVER,
    "ALTER TABLE recipient ADD COLUMN marks TEXT NOT NULL DEFAULT ''",
)


class MessageRow(NamedTuple):
    """A row of ``message``."""

    id: int
    file: str
    trace: str
    origin: str
    account: str
    reverse_path: str
    arrived: float
    expires: float
    header_size: int
    body_size: int
    lines: int
    eight_bit: int
    smtputf8: int
    require_tls: int
    ret: str
    envid: str


class RecipientRow(NamedTuple):
    """A row of ``recipient``."""

    id: int
    message: int
    local: str
    domain: str
    notify: str
    original: str
    next_attempt: float
    tries: int
    held: int
    delay_told: int
    ended: str
    attempted: float
    code: int
    enhanced: str
    reply: str
    host: str
    reason: str
    remote: int
    marks: str


class ResultRow(NamedTuple):
    """What ``record_results`` writes about one recipient. ``ended`` "done" means that the row may go."""

    id: int
    ended: str
    next_attempt: float
    tries: int
    delay_told: int
    attempted: float
    code: int
    enhanced: str
    reply: str
    host: str
    reason: str
    remote: int


DONE = "done"
KEPT = "kept"
HELD, FROZEN = 1, 2
_MESSAGE = ", ".join(MessageRow._fields)
_RECIPIENT = ", ".join(RecipientRow._fields)
_TO_TELL = "ended <> '' AND ended <> 'kept'"  # as the index recipient_ended has it


def add_message(
    connection: sqlite3.Connection, message: Sequence[Any], recipients: Iterable[tuple[str, str, str, str, float, str]]
) -> int:
    """``message``: the columns after ``id``; ``recipients``: (local, domain, notify, original, next_attempt, marks)."""
    names = MessageRow._fields[1:]
    cursor = connection.execute(
        f"INSERT INTO message ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", message
    )
    number = cursor.lastrowid
    connection.executemany(
        "INSERT INTO recipient (message, local, domain, notify, original, next_attempt, marks, held)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 2 * (?3 IN (SELECT domain FROM frozen)))",
        [(number, *recipient) for recipient in recipients],
    )
    assert number is not None  # a row was inserted
    return number


def due_recipients(
    connection: sqlite3.Connection, now: float, most: int, busy: Sequence[int], full_domains: Sequence[str]
) -> list[RecipientRow]:
    """Recipients whose time has come, those that wait longest first, without the ones already under way."""
    rows = connection.execute(
        f"SELECT {_RECIPIENT} FROM recipient WHERE held = 0 AND ended = '' AND next_attempt <= ?"
        " AND domain NOT IN (SELECT value FROM json_each(?)) AND id NOT IN (SELECT value FROM json_each(?))"
        " ORDER BY next_attempt, id LIMIT ?",
        (now, json.dumps(full_domains), json.dumps(busy), most),
    )
    return [RecipientRow._make(row) for row in rows]


def next_due(connection: sqlite3.Connection, after: float) -> float | None:
    """When the first recipient that waits will be due, later than ``after``."""
    row = connection.execute(
        "SELECT next_attempt FROM recipient WHERE held = 0 AND ended = '' AND next_attempt > ?"
        " ORDER BY next_attempt LIMIT 1",
        (after,),
    ).fetchone()
    return None if row is None else row[0]


def messages_by_id(connection: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, MessageRow]:
    """The messages with these ids."""
    rows = connection.execute(
        f"SELECT {_MESSAGE} FROM message WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(numbers)),)
    )
    return {row[0]: MessageRow._make(row) for row in rows}


def record_results(connection: sqlite3.Connection, results: Iterable[ResultRow]) -> None:
    """Write what became of an attempt; recipients that are done with and of no more interest go."""
    results = list(results)
    connection.executemany("DELETE FROM recipient WHERE id = ?", [(r.id,) for r in results if r.ended == DONE])
    connection.executemany(
        "UPDATE recipient SET ended = ?, next_attempt = ?, tries = ?, delay_told = ?, attempted = ?, code = ?,"
        " enhanced = ?, reply = ?, host = ?, reason = ?, remote = ? WHERE id = ?",
        [(*r[1:], r.id) for r in results if r.ended != DONE],
    )


def remove_recipients(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Their sender has been told, or nobody is to be told."""
    connection.executemany("DELETE FROM recipient WHERE id = ?", [(number,) for number in numbers])


def remove_finished(connection: sqlite3.Connection, numbers: Iterable[int]) -> list[str]:
    """Remove those of these messages that have no recipient left; returns their files."""
    return [
        row[0]
        for number in numbers
        for row in connection.execute(
            "DELETE FROM message WHERE id = ? AND NOT EXISTS (SELECT 1 FROM recipient WHERE message = ?)"
            " RETURNING file",
            (number, number),
        ).fetchall()
    ]


def ended_recipients(connection: sqlite3.Connection, message: int) -> list[RecipientRow]:
    """Recipients of a message whose sender is still to be told."""
    rows = connection.execute(f"SELECT {_RECIPIENT} FROM recipient WHERE message = ? AND {_TO_TELL}", (message,))
    return [RecipientRow._make(row) for row in rows]


def messages_to_report(connection: sqlite3.Connection) -> list[int]:
    """Messages with something that their sender is still to be told."""
    return [row[0] for row in connection.execute(f"SELECT DISTINCT message FROM recipient WHERE {_TO_TELL}")]


def all_files(connection: sqlite3.Connection) -> list[tuple[int, str, int]]:
    """(id, file, octets) of every message."""
    return connection.execute("SELECT id, file, header_size + body_size FROM message").fetchall()


def remove_empty_messages(connection: sqlite3.Connection) -> None:
    """Messages without recipients: the leftover of a crash between two steps. Their files have no row then."""
    connection.execute("DELETE FROM message WHERE NOT EXISTS (SELECT 1 FROM recipient WHERE message = message.id)")


def count_waiting(connection: sqlite3.Connection) -> int:
    """Recipients that are not done with."""
    number: int = connection.execute("SELECT count(*) FROM recipient WHERE ended = ''").fetchone()[0]
    return number


def whole_queue(connection: sqlite3.Connection) -> list[tuple[MessageRow, list[RecipientRow]]]:
    """Everything that waits, oldest first."""
    recipients: dict[int, list[RecipientRow]] = {}
    for row in connection.execute(f"SELECT {_RECIPIENT} FROM recipient WHERE ended = '' ORDER BY id"):
        recipients.setdefault(row[1], []).append(RecipientRow._make(row))
    messages = map(MessageRow._make, connection.execute(f"SELECT {_MESSAGE} FROM message ORDER BY arrived, id"))
    return [(message, recipients[message.id]) for message in messages if message.id in recipients]


def messages_of(connection: sqlite3.Connection, traces: Sequence[str]) -> list[MessageRow]:
    """The messages with these trace ids (one id may name several: a forward beside the original)."""
    rows = connection.execute(
        f"SELECT {_MESSAGE} FROM message WHERE trace IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(list(traces)),),
    )
    return [MessageRow._make(row) for row in rows]


_OF_TRACES = "message IN (SELECT id FROM message WHERE trace IN (SELECT value FROM json_each(?)))"


def retry_now(connection: sqlite3.Connection, traces: Sequence[str], now: float) -> int:
    """Make the recipients of these messages due, or all when none is named; held ones stay."""
    where, arguments = (f" AND {_OF_TRACES}", (now, json.dumps(list(traces)))) if traces else ("", (now,))
    cursor = connection.execute(
        f"UPDATE recipient SET next_attempt = ? WHERE ended = '' AND held = 0{where}", arguments
    )
    return cursor.rowcount


def retry_domain(connection: sqlite3.Connection, domain: str, now: float) -> int:
    """The same for one domain."""
    return connection.execute(
        "UPDATE recipient SET next_attempt = ? WHERE ended = '' AND held = 0 AND domain = ?", (now, domain)
    ).rowcount


def set_held(connection: sqlite3.Connection, traces: Sequence[str], held: bool, now: float) -> int:
    """Hold or release; what is released is due at once."""
    next_attempt = "next_attempt" if held else "?2"
    return connection.execute(
        f"UPDATE recipient SET held = ?1, next_attempt = {next_attempt}"
        " WHERE ended = '' AND held <> ?1 AND message IN"
        " (SELECT id FROM message WHERE trace IN (SELECT value FROM json_each(?3)))",
        (int(held), now, json.dumps(list(traces))),
    ).rowcount


def freeze(connection: sqlite3.Connection, domain: str, now: float) -> int:
    """Nothing leaves for ``domain`` from now on."""
    connection.execute("INSERT OR IGNORE INTO frozen VALUES (?, ?)", (domain, now))
    return connection.execute(
        "UPDATE recipient SET held = 2 WHERE ended = '' AND held = 0 AND domain = ?", (domain,)
    ).rowcount


def thaw(connection: sqlite3.Connection, domain: str, now: float) -> int | None:
    """Mail for ``domain`` is due at once; None when it was not frozen."""
    if not connection.execute("DELETE FROM frozen WHERE domain = ?", (domain,)).rowcount:
        return None
    return connection.execute(
        "UPDATE recipient SET held = 0, next_attempt = ? WHERE ended = '' AND held = 2 AND domain = ?", (now, domain)
    ).rowcount


def frozen_domains(connection: sqlite3.Connection) -> list[tuple[str, float, int]]:
    """(domain, since when, how many recipients wait for it)."""
    return connection.execute(
        "SELECT domain, since, (SELECT count(*) FROM recipient WHERE held = 2 AND ended = '' AND"
        " recipient.domain = frozen.domain) FROM frozen ORDER BY domain"
    ).fetchall()


def end_all(connection: sqlite3.Connection, traces: Sequence[str], reply: tuple[int, str, str], reason: str) -> int:
    """Every recipient of these messages has failed by the operator's will."""
    return connection.execute(
        "UPDATE recipient SET ended = 'failed', code = ?, enhanced = ?, reply = ?, reason = ?, remote = 0, host = ''"
        f" WHERE ended = '' AND {_OF_TRACES}",
        (*reply, reason, json.dumps(list(traces))),
    ).rowcount


def remove_all(connection: sqlite3.Connection, traces: Sequence[str]) -> int:
    """Forget every recipient of these messages."""
    return connection.execute(f"DELETE FROM recipient WHERE {_OF_TRACES}", (json.dumps(list(traces)),)).rowcount
