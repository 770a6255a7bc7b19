"""The account's index: one SQLite file that can be thrown away at any time and costs only time then.

It remembers what the directories, dovecot-uidlist and the keyword files said when they were last read (so that they
need not be read again), which UIDs were expunged when (RFC 7162), and octets rendered for IMAP. A message's row id is
``mailbox number << 32 | UID``: a mailbox's messages lie together, in order. Functions that take a connection run in
worker threads inside one transaction of :class:`~mailbox_appliance.store.index_file.Index`.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from typing import NamedTuple

from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import UNKNOWN_SIZE
from mailbox_appliance.store import uidlist as uidlists
from mailbox_appliance.store import words
from mailbox_appliance.store.keywords import Signatures, placeholder
from mailbox_appliance.store.rendered import UID_BITS, bounds, kinds
from mailbox_appliance.store.uidlist import Signature

MIGRATIONS = (
    """
CREATE TABLE mailbox (
  number INTEGER PRIMARY KEY, disk TEXT NOT NULL UNIQUE, uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL,
  highest_modseq INTEGER NOT NULL, guid TEXT NOT NULL, recent_from INTEGER NOT NULL, forgotten_to INTEGER NOT NULL,
  keywords TEXT NOT NULL, known TEXT NOT NULL, counts TEXT NOT NULL DEFAULT '');
CREATE TABLE message (
  id INTEGER PRIMARY KEY, base TEXT NOT NULL, tail TEXT NOT NULL, fresh INTEGER NOT NULL, flags INTEGER NOT NULL,
  modseq INTEGER NOT NULL, size INTEGER NOT NULL, octets INTEGER NOT NULL, date INTEGER NOT NULL,
  zone INTEGER NOT NULL, saved INTEGER NOT NULL);
CREATE INDEX message_fresh ON message (id) WHERE fresh;
CREATE INDEX message_base ON message (base);
CREATE TABLE expunged (
  mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, uid INTEGER NOT NULL, PRIMARY KEY (mailbox, modseq, uid)
) WITHOUT ROWID;
CREATE TABLE kind (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, used INTEGER NOT NULL)
""",
    words.SCHEMA,
)
UNKNOWN = UNKNOWN_SIZE
MOST_EXPUNGED = 10_000
_IN_CHUNK = 500
_MOST_ALIKE = 16
_PARTS = "SELECT id & 4294967295, base, tail, fresh, flags FROM message WHERE id"

Part = tuple[int, str, str, int, int]  # uid, base, tail, fresh, flags
Retailed = tuple[int, str, int, str, int]  # uid, tail and flags before, tail and flags now


@dataclass(frozen=True, slots=True)
class Known:
    """What of a mailbox's files has been seen. Times are st_mtime_ns.

    ``doubt`` 0: nothing; 1: only our own changes since a listing, which we know of; 2: a directory was so young when it
    was listed that it may have changed again in the same tick: look again.
    """

    new: int = 0
    cur: int = 0
    doubt: int = 2
    uidlist: Signature = uidlists.NONE
    lines: int = 0  # of dovecot-uidlist
    keywords: Signatures = (uidlists.NONE, uidlists.NONE)

    def as_text(self) -> str:
        return json.dumps([self.new, self.cur, self.doubt, self.uidlist, self.lines, self.keywords])

    @classmethod
    def of_text(cls, text: str) -> Known:
        new, cur, doubt, listed, lines, (dovecot, ours) = json.loads(text)
        return cls(new, cur, doubt, tuple(listed), lines, (tuple(dovecot), tuple(ours)))


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """One mailbox as the index knows it. ``uidvalidity`` 0: not known yet."""

    number: int
    disk: str
    uidvalidity: int = 0
    uidnext: int = 1
    highest_modseq: int = 1
    guid: str = ""
    recent_from: int = 1
    forgotten_to: int = 0  # vanished_since is complete from here on
    keywords: tuple[str, ...] = ()
    known: Known = field(default_factory=Known)


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


# ---------------------------------------------------------------- mailboxes


def load_mailbox(connection: sqlite3.Connection, disk: str) -> MailboxRow:
    """The row of a folder; a fresh one with a number of its own when the index has never seen it."""
    found = connection.execute(
        "SELECT number, disk, uidvalidity, uidnext, highest_modseq, guid, recent_from, forgotten_to, keywords, known "
        "FROM mailbox WHERE disk = ?",
        (disk,),
    ).fetchone()
    if found is not None:
        number, name, validity, uidnext, modseq, guid, recent, forgotten, names, known = found
        return MailboxRow(
            number, name, validity, uidnext, modseq, guid, recent, forgotten, tuple(json.loads(names)),
            Known.of_text(known),
        )  # fmt: skip
    row = MailboxRow(0, disk)
    cursor = connection.execute(
        "INSERT INTO mailbox (disk, uidvalidity, uidnext, highest_modseq, guid, recent_from, forgotten_to, keywords, "
        "known) VALUES (?, 0, 1, 1, '', 1, 0, '[]', ?)",
        (disk, row.known.as_text()),
    )
    return replace(row, number=cursor.lastrowid or 0)


def save_mailbox(connection: sqlite3.Connection, row: MailboxRow) -> None:
    """Write everything but the disk name; counts are to be made anew."""
    connection.execute(
        "UPDATE mailbox SET uidvalidity=?, uidnext=?, highest_modseq=?, guid=?, recent_from=?, forgotten_to=?, "
        "keywords=?, known=?, counts='' WHERE number=?",
        (
            row.uidvalidity,
            row.uidnext,
            row.highest_modseq,
            row.guid,
            row.recent_from,
            row.forgotten_to,
            json.dumps(row.keywords),
            row.known.as_text(),
            row.number,
        ),
    )


def with_letters(row: MailboxRow, bits: int) -> MailboxRow:
    """The row with a name, be it a placeholder, for every keyword in ``bits``, the flags of some messages."""
    most = (bits >> FIRST_KEYWORD_BIT).bit_length()
    if most <= len(row.keywords):
        return row
    return replace(row, keywords=(*row.keywords, *[placeholder(number) for number in range(len(row.keywords), most)]))


def rename_mailbox(connection: sqlite3.Connection, disk: str, to: str) -> None:
    """A folder has got another name."""
    forget_mailbox(connection, to)
    connection.execute("UPDATE mailbox SET disk=? WHERE disk=?", (to, disk))


def forget_mailbox(connection: sqlite3.Connection, disk: str) -> None:
    """Remove a mailbox and all its rows."""
    for (number,) in connection.execute("SELECT number FROM mailbox WHERE disk=?", (disk,)).fetchall():
        forget_messages(connection, number)
        connection.execute("DELETE FROM mailbox WHERE number=?", (number,))


def forget_messages(connection: sqlite3.Connection, number: int) -> None:
    """Remove all messages of a mailbox, with what was rendered of them and what was expunged."""
    low, high = bounds(number)
    connection.execute("DELETE FROM message WHERE id BETWEEN ? AND ?", (low, high))
    connection.execute("DELETE FROM expunged WHERE mailbox=?", (number,))
    words.forget(connection, low, high)
    for kind in kinds(connection).values():
        connection.execute(f"DELETE FROM rendered_{kind} WHERE id BETWEEN ? AND ?", (low, high))


def counts(
    connection: sqlite3.Connection, row: MailboxRow, *, sized: bool = True
) -> tuple[int, int, int, int, int] | None:
    """Messages, unseen, deleted, octets with CRLF, recent; remembered until something changes.

    While there is a message of unknown size: None, or (not ``sized``) too many octets.
    """
    (text,) = connection.execute("SELECT counts FROM mailbox WHERE number=?", (row.number,)).fetchone()
    if text:
        messages, unseen, deleted, size, recent = json.loads(text)
        return messages, unseen, deleted, size, recent
    low, high = bounds(row.number)
    found = connection.execute(
        "SELECT count(*), coalesce(sum(flags & 1 = 0), 0), coalesce(sum(flags & 8 != 0), 0), coalesce(sum(size), 0), "
        "coalesce(sum(id >= ?), 0), coalesce(max(size), 0) FROM message WHERE id BETWEEN ? AND ?",
        (low | row.recent_from, low, high),
    ).fetchone()
    if found[5] != UNKNOWN:
        connection.execute("UPDATE mailbox SET counts=? WHERE number=?", (json.dumps(found), row.number))
    elif sized:
        return None
    return found[0], found[1], found[2], found[3], found[4]


def usage(connection: sqlite3.Connection) -> tuple[int, int]:
    """Octets on disk and messages of the whole account, as far as the index knows."""
    octets, messages = connection.execute("SELECT coalesce(sum(octets), 0), count(*) FROM message").fetchone()
    return octets, messages


# ---------------------------------------------------------------- messages


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


def vanished_since(connection: sqlite3.Connection, number: int, modseq: int) -> tuple[int, ...]:
    """UIDs expunged after ``modseq``, sorted."""
    rows = connection.execute(
        "SELECT uid FROM expunged WHERE mailbox=? AND modseq>? ORDER BY uid", (number, modseq)
    ).fetchall()
    return tuple(uid for (uid,) in rows)
