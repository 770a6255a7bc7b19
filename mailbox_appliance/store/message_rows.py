"""The messages in the account's index: a row each, which the worker threads read and write inside one transaction.

A message's row id is ``mailbox number << 32 | UID`` (see ``store.index``). Which UIDs were expunged when is remembered
beside the rows (RFC 7162), and bounded.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from typing import NamedTuple

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store import words
from mailbox_appliance.store.index import MailboxRow
from mailbox_appliance.store.rendered import UID_BITS, bounds, kinds

MOST_EXPUNGED = 10_000
_IN_CHUNK = 500
_MOST_ALIKE = 16
_PARTS = "SELECT id & 4294967295, base, tail, fresh, flags FROM message WHERE id"

Part = tuple[int, str, str, int, int]  # uid, base, tail, fresh, flags
Retailed = tuple[int, str, int, str, int]  # uid, tail and flags before, tail and flags now


class MessageRow(NamedTuple):
    """One message. ``fresh``: its file lies in new/. ``size`` with CRLF, ``octets`` on disk; times in epoch seconds."""

    uid: int
    file: str
    fresh: bool
    flags: int
    modseq: int
    size: int
    octets: int
    date: int
    zone: int
    saved: int


@dataclass(slots=True)
class Arrays:
    """A mailbox's messages, packed; all run in step, sorted by UID."""

    uids: array[int] = field(default_factory=lambda: array("I"))
    flags: array[int] = field(default_factory=lambda: array("Q"))
    modseqs: array[int] = field(default_factory=lambda: array("Q"))
    sizes: array[int] = field(default_factory=lambda: array("I"))
    dates: array[int] = field(default_factory=lambda: array("q"))
    zones: array[int] = field(default_factory=lambda: array("h"))


def signed(bits: int) -> int:
    """64 bits as SQLite keeps them."""
    return bits - (1 << 64) if bits >> 63 else bits


def load_arrays(connection: sqlite3.Connection, number: int) -> Arrays:
    """All messages of a mailbox."""
    rows = connection.execute(
        "SELECT id & 4294967295, flags, modseq, size, date, zone FROM message WHERE id BETWEEN ? AND ? ORDER BY id",
        bounds(number),
    ).fetchall()
    if not rows:
        return Arrays()
    uids, flags, modseqs, sizes, dates, zones = zip(*rows, strict=True)
    bits: array[int] = array("Q")
    bits.frombytes(array("q", flags).tobytes())
    return Arrays(array("I", uids), bits, array("Q", modseqs), array("I", sizes), array("q", dates), array("h", zones))


def halves(file: str) -> tuple[str, str]:
    """The base, which never changes and has an index, and the flags with their colon."""
    cut = file.find(":")
    return (file, "") if cut < 0 else (file[:cut], file[cut:])


def insert_messages(connection: sqlite3.Connection, number: int, rows: Iterable[MessageRow]) -> None:
    """New messages."""
    low = number << UID_BITS
    connection.executemany(
        "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (low | uid, *halves(file), fresh, signed(flags), modseq, size, octets, date, zone, saved)
            for uid, file, fresh, flags, modseq, size, octets, date, zone, saved in rows
        ],
    )


def files_of(connection: sqlite3.Connection, number: int, uids: Sequence[int]) -> list[tuple[int, str, int, int, int]]:
    """(uid, file, fresh, flags, octets) of those ``uids`` (sorted) that are there, in order."""
    low = number << UID_BITS
    columns = "SELECT id & 4294967295, base || tail, fresh, flags, octets FROM message WHERE id"
    if not uids:
        return []
    if len(uids) * 2 >= uids[-1] - uids[0] + 1:
        rows = connection.execute(f"{columns} BETWEEN ? AND ? ORDER BY id", (low | uids[0], low | uids[-1])).fetchall()
        wanted = set(uids)  # other messages may lie between, as many as are gone: never trust a count
        return [row for row in rows if row[0] in wanted]
    rows = []
    for start in range(0, len(uids), _IN_CHUNK):
        ids = [low | uid for uid in uids[start : start + _IN_CHUNK]]
        rows += connection.execute(f"{columns} IN ({','.join('?' * len(ids))}) ORDER BY id", ids).fetchall()
    return rows


def parts_of(
    connection: sqlite3.Connection, number: int, uids: Sequence[int]
) -> tuple[list[Part], Counter[tuple[str, int]]]:
    """Those of ``uids`` (sorted) that are there, in order; and of all between the first and the last of them that lie
    in cur/ how many have the same tail and flags (of none, where most of those between were not asked for).
    """
    if len(uids) * 2 < uids[-1] - uids[0] + 1:
        low = number << UID_BITS
        rows: list[Part] = []
        for start in range(0, len(uids), _IN_CHUNK):
            ids = [low | uid for uid in uids[start : start + _IN_CHUNK]]
            rows += connection.execute(f"{_PARTS} IN ({','.join('?' * len(ids))}) ORDER BY id", ids).fetchall()
        return rows, Counter()
    span = (number << UID_BITS | uids[0], number << UID_BITS | uids[-1])
    rows = connection.execute(f"{_PARTS} BETWEEN ? AND ? ORDER BY id", span).fetchall()
    alike = Counter([(tail, flags) for _, _, tail, fresh, flags in rows if not fresh])
    if len(rows) > len(uids):
        wanted = set(uids)
        rows = [row for row in rows if row[0] in wanted]
    return rows, alike


def update_tails(
    connection: sqlite3.Connection,
    number: int,
    changes: Sequence[Retailed],
    modseq: int,
    alike: Counter[tuple[str, int]],
) -> None:
    """Messages in cur/ have other letters or keywords; ``alike`` as ``parts_of`` found it.

    Where all that were alike have become alike, which is what a STORE on many does, one statement says it of all.
    """
    low = number << UID_BITS
    kinds = Counter([change[1:] for change in changes])
    befores = {(tail, flags) for tail, flags, _, _ in kinds}
    afters = {(tail, flags) for _, _, tail, flags in kinds}
    if (
        len(kinds) <= _MOST_ALIKE
        and len(befores) == len(kinds)
        and befores.isdisjoint(afters)
        and all(alike[tail, flags] == count for (tail, flags, _, _), count in kinds.items())
    ):
        span = (low | changes[0][0], low | changes[-1][0])
        connection.executemany(
            "UPDATE message SET tail=?, flags=?, modseq=? WHERE id BETWEEN ? AND ? AND tail=? AND flags=? "
            "AND NOT fresh",
            [(after, signed(now), modseq, *span, before, was) for before, was, after, now in kinds],
        )
        return
    connection.executemany(
        "UPDATE message SET tail=?, flags=?, modseq=? WHERE id=?",
        [(tail, signed(flags), modseq, low | uid) for uid, _, _, tail, flags in changes],
    )


def all_files(
    connection: sqlite3.Connection, number: int, fresh_only: bool = False, most: int = -1
) -> list[tuple[int, str, int, int, int]]:
    """(uid, file, fresh, flags, octets) of every message of a mailbox (or of those in new/), at most ``most``."""
    where = " AND fresh" if fresh_only else ""
    return connection.execute(
        f"SELECT id & 4294967295, base || tail, fresh, flags, octets FROM message WHERE id BETWEEN ? AND ?{where} "
        "ORDER BY id LIMIT ?",
        (*bounds(number), most),
    ).fetchall()


def saved_of(connection: sqlite3.Connection, number: int, uids: Sequence[int]) -> list[tuple[int, int]]:
    """(uid, epoch seconds when it came into this mailbox), of ``uids`` (sorted) and perhaps of others between them."""
    if not uids:
        return []
    low = number << UID_BITS
    return connection.execute(
        "SELECT id & 4294967295, saved FROM message WHERE id BETWEEN ? AND ?", (low | uids[0], low | uids[-1])
    ).fetchall()


def find_base(connection: sqlite3.Connection, number: int, base: str) -> tuple[int, str, int, int] | None:
    """(uid, file, fresh, flags) of the message that bears this base, or None."""
    found: tuple[int, str, int, int] | None = connection.execute(
        "SELECT id & 4294967295, base || tail, fresh, flags FROM message INDEXED BY message_base "
        "WHERE base = ? AND id BETWEEN ? AND ?",
        (base, *bounds(number)),
    ).fetchone()
    return found


def held_bases(connection: sqlite3.Connection, number: int, bases: Sequence[str]) -> set[str]:
    """Those of ``bases`` that messages of this mailbox bear."""
    found: set[str] = set()
    for start in range(0, len(bases), _IN_CHUNK):
        chunk = bases[start : start + _IN_CHUNK]
        rows = connection.execute(
            f"SELECT base FROM message INDEXED BY message_base WHERE base IN ({','.join('?' * len(chunk))}) "
            "AND id BETWEEN ? AND ?",
            (*chunk, *bounds(number)),
        )
        found.update([base for (base,) in rows])
    return found


def insert_columns(connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int | str, ...]]) -> None:
    """New messages as (uid, base, tail, …), in the order of the columns."""
    low = number << UID_BITS
    connection.executemany(f"INSERT OR REPLACE INTO message VALUES ({low} | ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def update_files(
    connection: sqlite3.Connection, number: int, changes: Iterable[tuple[int, str, bool, int, int]]
) -> None:
    """(uid, file, fresh, flags, modseq): a message has other flags in its name, another place or other keywords."""
    low = number << UID_BITS
    connection.executemany(
        "UPDATE message SET tail=?, fresh=?, flags=?, modseq=? WHERE id=?",
        [(halves(file)[1], fresh, signed(flags), modseq, low | uid) for uid, file, fresh, flags, modseq in changes],
    )


def move_files(connection: sqlite3.Connection, number: int, moved: Iterable[tuple[int, str, bool]]) -> None:
    """(uid, file, in new/): other letters in its name or another place, and nothing else."""
    low = number << UID_BITS
    connection.executemany(
        "UPDATE message SET tail=?, fresh=? WHERE id=?",
        [(halves(file)[1], fresh, low | uid) for uid, file, fresh in moved],
    )


def save_sizes(connection: sqlite3.Connection, number: int, sizes: Iterable[tuple[int, int]]) -> None:
    """(uid, octets with CRLF) of messages whose size was UNKNOWN."""
    low = number << UID_BITS
    connection.executemany("UPDATE message SET size=? WHERE id=?", [(size, low | uid) for uid, size in sizes])
    connection.execute("UPDATE mailbox SET counts='' WHERE number=?", (number,))


def runs(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Sorted UIDs as ranges (first, last) without gaps."""
    found: list[tuple[int, int]] = []
    first = last = -1
    for uid in uids:
        if uid != last + 1:
            if last >= 0:
                found.append((first, last))
            first = uid
        last = uid
    return [*found, (first, last)] if last >= 0 else found


def remove_messages(connection: sqlite3.Connection, row: MailboxRow, uids: Sequence[int], modseq: int) -> MailboxRow:
    """Expunged: rows go, ``vanished_since`` remembers (bounded). Returns the row, not saved yet."""
    low = row.number << UID_BITS
    spans = [(low | first, low | last) for first, last in runs(uids)]
    connection.executemany("DELETE FROM message WHERE id BETWEEN ? AND ?", spans)
    for kind in kinds(connection).values():
        connection.executemany(f"DELETE FROM rendered_{kind} WHERE id BETWEEN ? AND ?", spans)
    for span in spans:
        words.forget(connection, *span)
    connection.executemany(
        "INSERT OR IGNORE INTO expunged VALUES (?, ?, ?)", [(row.number, modseq, uid) for uid in uids]
    )
    (held,) = connection.execute("SELECT count(*) FROM expunged WHERE mailbox=?", (row.number,)).fetchone()
    if held <= MOST_EXPUNGED + MOST_EXPUNGED // 4:
        return row
    (floor,) = connection.execute(
        "SELECT modseq FROM expunged WHERE mailbox=? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
        (row.number, MOST_EXPUNGED),
    ).fetchone()
    connection.execute("DELETE FROM expunged WHERE mailbox=? AND modseq<=?", (row.number, floor))
    return replace(row, forgotten_to=max(row.forgotten_to, floor))


def forget_beyond(connection: sqlite3.Connection, row: MailboxRow) -> None:
    """Rows from UIDNEXT up are of a first look that was cut off before it came to the oldest messages."""
    low = row.number << UID_BITS
    connection.execute("DELETE FROM message WHERE id BETWEEN ? AND ?", (low | row.uidnext, bounds(row.number)[1]))


def vanished_since(connection: sqlite3.Connection, number: int, modseq: int) -> tuple[int, ...]:
    """UIDs expunged after ``modseq``, sorted."""
    rows = connection.execute(
        "SELECT uid FROM expunged WHERE mailbox=? AND modseq>? ORDER BY uid", (number, modseq)
    ).fetchall()
    return tuple(uid for (uid,) in rows)
