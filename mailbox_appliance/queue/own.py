"""The queue as its accounts see it: every statement behind the Outbox.

A message that an account has submitted has a UID of that account's Outbox; UIDs only ever grow. One that has failed
for good stays as "kept" under a new UID, since it is shown as another text, until the account removes it or two weeks
have passed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.queue import QueuedRecipient
from mailbox_appliance.queue import schema
from mailbox_appliance.queue.schema import FROZEN, HELD, KEPT, MessageRow, RecipientRow

MOST_SHOWN = 1000  # messages of one account; the rest is shown as these leave
KEPT_FOR = 14 * 86_400.0
DROPPED = Reply(554, "5.3.0", "the operator has removed the message from the queue")

_MESSAGE = ", ".join(MessageRow._fields)
_RECIPIENT = ", ".join(RecipientRow._fields)
_OF_ACCOUNT = "SELECT id FROM message WHERE account = ? AND uid > 0 AND uid IN (SELECT value FROM json_each(?))"


def next_uid(connection: sqlite3.Connection, account: str, now: float) -> int:
    """A UID that was never used in this Outbox."""
    row = connection.execute(
        "INSERT INTO outbox VALUES (?, ?, 2) ON CONFLICT DO UPDATE SET uidnext = uidnext + 1 RETURNING uidnext - 1",
        (account, int(now)),
    ).fetchall()
    uid: int = row[0][0]
    return uid


def show(connection: sqlite3.Connection, account: str, message: int, now: float) -> None:
    """A message appears in its account's Outbox, as a new one."""
    uid = next_uid(connection, account, now)
    connection.execute("UPDATE message SET uid = ? WHERE id = ?", (uid, message))


def shown(
    connection: sqlite3.Connection, account: str, now: float
) -> tuple[int, int, list[tuple[int, MessageRow, list[RecipientRow]]]]:
    """UIDVALIDITY, UIDNEXT, and (uid, message, recipients) by UID."""
    connection.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, 1)", (account, int(now)))
    row = connection.execute("SELECT uidvalidity, uidnext FROM outbox WHERE account = ?", (account,)).fetchone()
    messages = connection.execute(
        f"SELECT uid, {_MESSAGE} FROM message WHERE account = ? AND uid > 0 ORDER BY uid LIMIT ?", (account, MOST_SHOWN)
    ).fetchall()
    recipients: dict[int, list[RecipientRow]] = {}
    for one in connection.execute(
        f"SELECT {_RECIPIENT} FROM recipient WHERE ended IN ('', 'kept') AND message IN"
        " (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps([message[1] for message in messages]),),
    ):
        recipients.setdefault(one[1], []).append(RecipientRow._make(one))
    found = [
        (message[0], MessageRow._make(message[1:]), recipients[message[1]])
        for message in messages
        if message[1] in recipients
    ]
    return row[0], row[1], found


def numbers_of(connection: sqlite3.Connection, account: str, uids: Sequence[int]) -> dict[int, int]:
    """Message ids by UID; other accounts' are nobody's here."""
    return dict(
        connection.execute(
            "SELECT uid, id FROM message WHERE account = ? AND uid > 0 AND uid IN (SELECT value FROM json_each(?))",
            (account, json.dumps(list(uids))),
        ).fetchall()
    )


def traces_of(connection: sqlite3.Connection, numbers: Collection[int]) -> dict[int, str]:
    """Trace ids by message id."""
    sql = "SELECT id, trace FROM message WHERE id IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(sql, (json.dumps(list(numbers)),)).fetchall())


def cancel(connection: sqlite3.Connection, numbers: Collection[int], busy: Collection[int]) -> list[str]:
    """Recipients of these messages will not get it, but for the ``busy`` ones (ids), which are being sent; files."""
    connection.execute(
        "DELETE FROM recipient WHERE ended IN ('', 'kept') AND message IN (SELECT value FROM json_each(?))"
        " AND id NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)), json.dumps(list(busy))),
    )
    return schema.remove_finished(connection, numbers)


def send_now(connection: sqlite3.Connection, account: str, uids: Sequence[int], now: float, give_up: float) -> int:
    """Make them due; what has failed begins anew, under a new UID. What the operator holds stays held."""
    chosen = (account, json.dumps(list(uids)))
    failed = connection.execute(
        f"SELECT DISTINCT message FROM recipient WHERE ended = 'kept' AND message IN ({_OF_ACCOUNT})", chosen
    ).fetchall()
    for (message,) in failed:
        show(connection, account, message, now)
        connection.execute("UPDATE message SET arrived = ?, expires = ? WHERE id = ?", (now, now + give_up, message))
        connection.execute(
            "UPDATE recipient SET ended = '', tries = 0, delay_told = 0, next_attempt = ?1,"
            " held = 2 * (domain IN (SELECT domain FROM frozen)) WHERE message = ?2 AND ended = 'kept'",
            (now, message),
        )
    touched = connection.execute(
        f"UPDATE recipient SET next_attempt = ? WHERE ended = '' AND held = 0 AND message IN ({_OF_ACCOUNT})",
        (now, *chosen),
    ).rowcount
    return touched + len(failed)


def keep_failed(connection: sqlite3.Connection, account: str, message: int, rows: Sequence[int], now: float) -> None:
    """These recipients have failed and their sender was told: they stay where he sees them."""
    connection.executemany("UPDATE recipient SET ended = 'kept' WHERE id = ?", [(row,) for row in rows])
    show(connection, account, message, now)


def forget_old(connection: sqlite3.Connection, now: float) -> list[str]:
    """What failed two weeks ago; files."""
    messages = connection.execute(
        "DELETE FROM recipient WHERE ended = 'kept' AND attempted < ? RETURNING message", (now - KEPT_FOR,)
    ).fetchall()
    return schema.remove_finished(connection, {message for (message,) in messages})


def state_of(row: RecipientRow, under_way: Collection[int]) -> str:
    """How one recipient stands, in a word."""
    if row.ended == KEPT:
        return "failed"
    if row.held:
        return {HELD: "held", FROZEN: "frozen"}.get(row.held, "held")
    return "active" if row.id in under_way else "waiting"


def queued_recipient(row: RecipientRow, under_way: Collection[int]) -> QueuedRecipient:
    """A recipient as the desk and its sender's Outbox see it; ``under_way``: ids of recipients being sent."""
    reply = str(Reply(row.code, row.enhanced, row.reply)) if row.code else ""
    address = str(Address(row.local, row.domain))
    return QueuedRecipient(address, state_of(row, under_way), row.next_attempt, row.tries, reply, row.reason)
