"""Newcomers get their UIDs: the one place where that happens, in worker threads, in batches.

Under Dovecot's lock: whatever Dovecot has numbered meanwhile keeps its numbers, the rest gets the next ones in order
of their names; the lines are appended to dovecot-uidlist and synced; then the rows are written. Only after that is
anybody told.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Sequence
from dataclasses import field, replace
from operator import attrgetter
from typing import NamedTuple

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store import index, message_rows, quota
from mailbox_appliance.store import uidlist as uidlists
from mailbox_appliance.store.changes import Newcomer, next_modseq
from mailbox_appliance.store.dotlock import dotlock
from mailbox_appliance.store.filenames import (
    UniqueNames,
    are_plain,
    base_of,
    flags_of,
    is_tidy,
    order_of,
    time_of,
    wire_size_of,
)
from mailbox_appliance.store.index import UNKNOWN, MailboxRow
from mailbox_appliance.store.keywords import HIGH_BITS
from mailbox_appliance.store.message_rows import MessageRow
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.scan import listing
from mailbox_appliance.store.sizes import LARGEST, count_crlf
from mailbox_appliance.store.uidlist import UidList

FEW = 64  # so many files are read for their size at once, in the hope that they are at hand; more are read later


class Restart(Exception):
    """dovecot-uidlist has become another one meanwhile: look again first."""


@dataclass(slots=True)
class Admitted:
    """The new rows in order of UID, and messages that turned out to be known under another name."""

    row: MailboxRow
    rows: list[MessageRow] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # UIDs by the newcomers' names
    changed: list[tuple[int, int]] = field(default_factory=list)
    modseq: int = 0
    octets: int = 0  # of ours among them
    counted: int = 0


class _Fact(NamedTuple):
    newcomer: Newcomer
    base: str
    file: str
    octets: int
    size: int
    date: int


def _facts(
    connection: sqlite3.Connection,
    done: Admitted,
    folder: Folder,
    newcomers: Sequence[Newcomer],
    names: UniqueNames,
    now: float,
) -> list[_Fact]:
    facts = []
    number = done.row.number
    bases = [base_of(newcomer.file) for newcomer in newcomers]
    plain = are_plain(bases)
    held = message_rows.held_bases(connection, number, bases if plain else [base for base in bases if is_tidy(base)])
    twice = len(set(bases)) < len(bases)
    taken: dict[str, tuple[int, int]] = {}
    new, cur = folder.message(True, ""), folder.message(False, "")
    for newcomer, base in zip(newcomers, bases, strict=True):
        file = newcomer.file
        path = (new if newcomer.fresh else cur) + file
        try:
            found = os.lstat(path)
        except OSError:
            continue
        if not stat.S_ISREG(found.st_mode):
            continue
        is_known = base in held
        if is_known:
            known = message_rows.find_base(connection, number, base)
            if known is not None and not _is_another(connection, done, folder, newcomer, known, found, now):
                continue
        if base in taken:
            if taken[base] == (found.st_ino, found.st_dev):
                continue  # one file under two names, on its way from one to the other
            is_known = True
        if is_known or not (plain or is_tidy(base)):
            # A second message under a known name, or a name that cannot stand in a uidlist: it gets a name of ours.
            info = file[len(base) :]
            base = names.make(now)
            if not os.access(folder.cur, os.W_OK):
                continue
            os.rename(path, folder.message(newcomer.fresh, base + info))
            file = base + info
            path = folder.message(newcomer.fresh, file)
        size = newcomer.size
        if size is None:
            size = wire_size_of(base)
        if size is not None:
            size = min(size, LARGEST)
        else:
            size = UNKNOWN
            if len(newcomers) <= FEW:
                try:
                    size = count_crlf(path)
                except OSError:
                    continue
        if twice:
            taken[base] = found.st_ino, found.st_dev
        date = int(found.st_mtime) if newcomer.date is None else newcomer.date
        facts.append(_Fact(newcomer, base, file, found.st_size, size, date))
    return facts


def _is_another(
    connection: sqlite3.Connection,
    done: Admitted,
    folder: Folder,
    newcomer: Newcomer,
    known: tuple[int, str, int, int],
    found: os.stat_result,
    now: float,
) -> bool:
    """False when the newcomer is the known message itself under another name (its row is brought up to date)."""
    uid, file, fresh, flags = known
    old = folder.message(bool(fresh), file)
    if (bool(fresh), file) == (newcomer.fresh, newcomer.file):
        return False
    try:
        there = os.stat(old, follow_symlinks=False)
    except OSError:
        there = None
    if there is not None and (there.st_ino, there.st_dev) != (found.st_ino, found.st_dev):
        return True
    if there is not None:
        # One file under two names: somebody moves it by link and unlink. Only a name in new/ is ours to take away.
        if bool(fresh) == newcomer.fresh:
            return False
        if newcomer.fresh:
            with contextlib.suppress(OSError):
                os.unlink(folder.message(True, newcomer.file))
            return False
        with contextlib.suppress(OSError):
            os.unlink(old)
    bits = flags_of(newcomer.file) | (flags & HIGH_BITS)
    done.modseq = done.modseq or next_modseq(done.row, now)
    message_rows.update_files(connection, done.row.number, [(uid, newcomer.file, newcomer.fresh, bits, done.modseq)])
    if bits != flags:
        done.changed.append((uid, bits))
    return False


def admit(
    connection: sqlite3.Connection,
    row: MailboxRow,
    folder: Folder,
    newcomers: Sequence[Newcomer],
    names: UniqueNames,
    now: float,
    *,
    final: bool = True,
    listed: tuple[uidlists.Signature, UidList] | None = None,
    doubt: int | None = None,
) -> Admitted:
    """Give UIDs to ``newcomers``; durable on return. ``final`` False: more of the same look are to follow.

    ``doubt`` is what the look that found them leaves behind; None where no look did.
    Raises Restart, OSError, LockTimeout.
    """
    done = Admitted(row)
    facts = _facts(connection, done, folder, newcomers, names, now)
    path = folder.file(uidlists.NAME)
    with dotlock(path):
        signature = uidlists.signature(path)
        theirs: UidList | None = None
        if signature != row.known.uidlist:
            theirs = listed[1] if listed is not None and listed[0] == signature else uidlists.read(path)
            if theirs.validity != row.uidvalidity or theirs.damaged:
                raise Restart(path)
        given = theirs.uids if theirs is not None else {}
        numbered = {f.base: given[f.base] for f in facts if given.get(f.base, 0) >= row.uidnext}
        strangers = [f for f in facts if f.base not in numbered]
        if strangers and theirs is not None:
            # Files that another program has numbered and we have not seen yet come first, else their UIDs were lost.
            here = {f.base for f in facts}
            others = {base for base, uid in given.items() if uid >= row.uidnext and base not in here}
            if others:
                more = [Newcomer(True, n) for n in listing(folder.new) if base_of(n) in others]
                more += [Newcomer(False, n) for n in listing(folder.cur) if base_of(n) in others]
                found = _facts(connection, done, folder, more, names, now)
                facts += found
                numbered |= {f.base: given[f.base] for f in found if f.base in given}
        next_uid = max(row.uidnext, theirs.next if theirs is not None and (strangers or final) else 0)
        plain = are_plain([f.base for f in strangers])
        strangers.sort(key=attrgetter("base") if plain else lambda f: order_of(f.base))
        fresh_lines: list[tuple[int, str]] = []
        for fact in strangers:
            numbered[fact.base] = next_uid
            fresh_lines.append((next_uid, fact.base))
            next_uid += 1
        next_uid = max([next_uid, *(uid + 1 for uid in numbered.values())])
        if fresh_lines:
            signature = uidlists.append(path, fresh_lines)
    complete = theirs is None or final or bool(strangers)
    lines = (theirs.lines if theirs is not None else row.known.lines) + len(fresh_lines)
    known = replace(row.known, uidlist=signature if complete else row.known.uidlist, lines=lines)
    if final and doubt is not None:
        known = replace(known, doubt=doubt)
    done.row = replace(done.row, uidnext=next_uid, known=known)
    _write_rows(connection, done, folder, facts, numbered, now)
    return done


def _write_rows(
    connection: sqlite3.Connection,
    done: Admitted,
    folder: Folder,
    facts: list[_Fact],
    numbered: dict[str, int],
    now: float,
) -> None:
    if facts:
        done.modseq = done.modseq or next_modseq(done.row, now)
    facts.sort(key=lambda f: numbered[f.base])
    modseq = done.modseq
    for newcomer, base, file, octets, size, date in facts:
        uid = done.numbers[newcomer.file] = numbered[base]
        bits = flags_of(file) | newcomer.flags & HIGH_BITS
        saved = newcomer.saved or time_of(base) or date
        done.rows.append(MessageRow(uid, file, newcomer.fresh, bits, modseq, size, octets, date, newcomer.zone, saved))
        if newcomer.counted:
            done.octets += octets
            done.counted += 1
    if done.modseq:
        done.row = replace(done.row, highest_modseq=done.modseq)
    bits = 0
    for message in done.rows:
        bits |= message.flags
    done.row = index.with_letters(done.row, bits)
    message_rows.insert_messages(connection, done.row.number, done.rows)
    index.save_mailbox(connection, done.row)
    quota.add(folder.root, done.octets, done.counted)
