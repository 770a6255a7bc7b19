"""The account's index: one SQLite file that can be thrown away at any time and costs only time then.

It remembers what the directories, dovecot-uidlist and the keyword files said when they were last read (so that they
need not be read again), which UIDs were expunged when (RFC 7162), and octets rendered for IMAP. Here are its tables and
the rows of mailboxes; those of messages are in ``store.message_rows``. A message's row id is ``mailbox number << 32 |
UID``: a mailbox's messages lie together, in order. Functions that take a connection run in worker threads inside one
transaction of :class:`~mailbox_appliance.store.index_file.Index`.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import field, replace

from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import UNKNOWN_SIZE
from mailbox_appliance.store import uidlist as uidlists
from mailbox_appliance.store import words
from mailbox_appliance.store.keywords import Signatures, placeholder
from mailbox_appliance.store.rendered import bounds, kinds
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


def load_mailbox(connection: sqlite3.Connection, disk: str) -> MailboxRow:
    """The row of a folder; a fresh one with a number of its own when the index has never seen it."""
    found = connection.execute(
        "SELECT number, disk, uidvalidity, uidnext, highest_modseq, guid, recent_from, forgotten_to, keywords, known "
        "FROM mailbox WHERE disk = ?",
        (disk,),
    ).fetchone()
    if found is not None:
        number, name, validity, uidnext, modseq, guid, recent, forgotten, names, known = found
        try:
            keywords, seen = tuple(json.loads(names)), Known.of_text(known)
        except (ValueError, TypeError, AttributeError) as error:
            raise sqlite3.DatabaseError(f"the row of {name} is malformed: {error}") from error
        return MailboxRow(number, name, validity, uidnext, modseq, guid, recent, forgotten, keywords, seen)
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
