"""The part of the index that holds octets rendered for IMAP: a table per *kind*, rows by mailbox number and UID.

Functions run in worker threads inside one transaction of :class:`~mailbox_appliance.store.index_file.Index`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

UID_BITS = 32
UID_MASK = (1 << UID_BITS) - 1
_IN_CHUNK = 500
_KIND_RESTED = 3600  # seconds after which a kind may make room for another


def bounds(number: int) -> tuple[int, int]:
    """The lowest and highest row id of a mailbox."""
    return number << UID_BITS, number << UID_BITS | UID_MASK


def kinds(connection: sqlite3.Connection) -> dict[str, int]:
    """What is rendered for this account: name and table number."""
    return dict(connection.execute("SELECT name, number FROM kind").fetchall())


def make_kind(connection: sqlite3.Connection, name: str, moment: int, most: int) -> None:
    """Make the table for ``name`` when it is new. Beyond ``most`` the one that rested longest goes; when all have been
    used within the hour, none is made."""
    found = connection.execute("SELECT number, used FROM kind WHERE name=?", (name,)).fetchone()
    if found is not None:
        if moment - found[1] > _KIND_RESTED // 4:
            connection.execute("UPDATE kind SET used=? WHERE number=?", (moment, found[0]))
        return
    (held,) = connection.execute("SELECT count(*) FROM kind").fetchone()
    if held >= most:
        old = connection.execute(
            "SELECT number FROM kind WHERE used<? ORDER BY used LIMIT 1", (moment - _KIND_RESTED,)
        ).fetchone()
        if old is None:
            return
        connection.execute(f"DROP TABLE IF EXISTS rendered_{old[0]}")
        connection.execute("DELETE FROM kind WHERE number=?", old)
    number = connection.execute("INSERT INTO kind (name, used) VALUES (?, ?)", (name, moment)).lastrowid
    connection.execute(f"CREATE TABLE IF NOT EXISTS rendered_{number} (id INTEGER PRIMARY KEY, value BLOB NOT NULL)")


def load_rendered(
    connection: sqlite3.Connection, number: int, kind: int, uids: Sequence[int]
) -> list[tuple[int, bytes]]:
    """(uid, value) of those ``uids`` (sorted) that have been rendered; perhaps of others between them too."""
    low = number << UID_BITS
    query = f"SELECT id & 4294967295, value FROM rendered_{kind} WHERE id"
    if not uids:
        return []
    if len(uids) * 2 >= uids[-1] - uids[0] + 1:
        return connection.execute(f"{query} BETWEEN ? AND ? ORDER BY id", (low | uids[0], low | uids[-1])).fetchall()
    rows = []
    for start in range(0, len(uids), _IN_CHUNK):
        ids = [low | uid for uid in uids[start : start + _IN_CHUNK]]
        rows += connection.execute(f"{query} IN ({','.join('?' * len(ids))}) ORDER BY id", ids).fetchall()
    return rows


def find_rendered(
    connection: sqlite3.Connection, number: int, kind: int, uids: Sequence[int], needle: bytes
) -> tuple[list[int], list[int]]:
    """UIDs whose rendered octets hold ``needle``, and those of ``uids`` (sorted) that are not rendered yet."""
    low = number << UID_BITS
    span = (low | uids[0], low | uids[-1])
    wanted = set(uids)
    there, text = connection.execute(
        "SELECT count(*), group_concat(CASE WHEN instr(value, ?) THEN id & 4294967295 END) "
        f"FROM rendered_{kind} WHERE id BETWEEN ? AND ?",
        (needle, *span),
    ).fetchone()
    lacking: list[int] = []
    if there != len(uids) or uids[-1] - uids[0] + 1 != len(uids):
        lacking = sorted(unrendered(connection, number, kind, uids))
    found = map(int, text.split(",")) if text else ()
    return [uid for uid in found if uid in wanted], lacking


def unrendered(connection: sqlite3.Connection, number: int, kind: int, uids: Sequence[int]) -> set[int]:
    """Those of ``uids`` (sorted, not empty) that lack a kind."""
    low = number << UID_BITS
    rows = connection.execute(
        f"SELECT id & 4294967295 FROM rendered_{kind} WHERE id BETWEEN ? AND ?", (low | uids[0], low | uids[-1])
    ).fetchall()
    return set(uids).difference([uid for (uid,) in rows])


def save_rendered(connection: sqlite3.Connection, number: int, kind: int, rows: Iterable[tuple[int, bytes]]) -> None:
    """Keep rendered octets of messages that are still there."""
    low = number << UID_BITS
    ready = sorted(rows)
    there = _there(connection, number, [uid for uid, _ in ready])
    connection.executemany(
        f"INSERT OR REPLACE INTO rendered_{kind} VALUES (?, ?)",
        [(low | uid, value) for uid, value in ready if uid in there],
    )


def _there(connection: sqlite3.Connection, number: int, uids: Sequence[int]) -> set[int]:
    """Those of ``uids`` (sorted) that name messages, and perhaps others."""
    if not uids:
        return set()
    low = number << UID_BITS
    query = "SELECT id & 4294967295 FROM message WHERE id"
    if len(uids) * 4 >= uids[-1] - uids[0]:
        found = connection.execute(f"{query} BETWEEN ? AND ?", (low | uids[0], low | uids[-1])).fetchall()
    else:
        found = []
        for start in range(0, len(uids), _IN_CHUNK):
            ids = [low | uid for uid in uids[start : start + _IN_CHUNK]]
            found += connection.execute(f"{query} IN ({','.join('?' * len(ids))})", ids).fetchall()
    return {uid for (uid,) in found}


def copy_rendered(connection: sqlite3.Connection, source: int, target: int, pairs: Sequence[tuple[int, int]]) -> None:
    """A copy of a message looks like the message."""
    moved = shifts(source, target, pairs)
    for kind in kinds(connection).values():
        table = f"rendered_{kind}"
        connection.executemany(
            f"INSERT OR REPLACE INTO {table} SELECT id + ?, value FROM {table} WHERE id BETWEEN ? AND ?", moved
        )


def shifts(source: int, target: int, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Pairs of old and new UIDs (both rising) as (shift, first, last) of row ids: mostly one run, said in one go."""
    found: list[tuple[int, int, int]] = []
    shift = first = last = 0
    for old, new in pairs:
        row = source << UID_BITS | old
        distance = (target << UID_BITS | new) - row
        if not found or row != last + 1 or distance != shift:
            found.append((distance, row, row))
            shift, first = distance, row
        last = row
        found[-1] = (shift, first, last)
    return found
