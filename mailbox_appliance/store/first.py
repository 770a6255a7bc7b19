"""A first look at a mailbox that another program has filled: thousands of names at once, in whole columns.

What admission does for each newcomer is done here for all of them, where there is nothing to weigh: no message of the
mailbox is known yet, all names are plain and different, and the directories stood still while they were listed. Else
there is no crowd, and everything goes the usual way. Runs in worker threads.
"""

from __future__ import annotations

import os
import sqlite3
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import repeat

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store import index, message_rows
from mailbox_appliance.store import uidlist as uidlists
from mailbox_appliance.store.dotlock import dotlock
from mailbox_appliance.store.filenames import are_plain, base_of, flags_of, wire_size_of
from mailbox_appliance.store.index import UNKNOWN, MailboxRow
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.sizes import LARGEST
from mailbox_appliance.store.uidlist import UidList

FEWEST = 500  # messages for which it is worth while
NEWEST = 500  # whose rows are written before the others', for they are what a client asks first
CHUNK = 1000  # of which the facts are asked and written in one transaction


@dataclass(slots=True)
class Crowd:
    """Messages without a row, those with a UID of another program first, then as their names say when they came."""

    bases: list[str]
    tails: list[str]
    fresh: bytes  # 1: the file lies in new/


@dataclass(slots=True)
class Numbered:
    """The same with their UIDs, which are durable; ``row`` is not saved yet.

    ``sizes`` with CRLF or UNKNOWN; ``dates`` in epoch seconds, until the files are asked those of their names.
    """

    crowd: Crowd
    row: MailboxRow
    uids: array[int]
    flags: array[int]
    sizes: array[int]
    dates: array[int]


def gather(new: Sequence[str], cur: Sequence[str], given: Mapping[str, int]) -> Crowd | None:
    """A crowd of these files, or None; ``given`` are UIDs by base."""
    if len(new) + len(cur) < FEWEST:
        return None
    parts = [name.partition(":") for name in (*new, *cur)]
    bases = [part[0] for part in parts]
    if not are_plain(bases) or len(set(bases)) < len(bases):
        return None
    keys: Sequence[object] = [(given.get(base, 1 << 32), base) for base in bases] if given else bases
    order = sorted(range(len(bases)), key=keys.__getitem__)  # type: ignore[arg-type]
    tails = [colon + info for _, colon, info in parts]
    fresh = bytes([1]) * len(new) + bytes(len(cur))
    return Crowd([bases[at] for at in order], [tails[at] for at in order], bytes([fresh[at] for at in order]))


def number(
    row: MailboxRow, folder: Folder, crowd: Crowd, listed: tuple[uidlists.Signature, UidList] | None, modseq: int
) -> Numbered | None:
    """Give UIDs; they are synced on return. None: somebody has numbered messages since. Raises OSError, LockTimeout."""
    path = folder.file(uidlists.NAME)
    count = len(crowd.bases)
    with dotlock(path):
        signature = uidlists.signature(path)
        uids: list[int] = []
        next_uid, lines = row.uidnext, row.known.lines
        if signature != row.known.uidlist:
            if listed is None or listed[0] != signature:
                return None
            theirs = listed[1]
            uids = [uid for base in crowd.bases if (uid := theirs.uids.get(base, 0))]
            if uids and uids[0] < row.uidnext:
                return None
            next_uid, lines = max(next_uid, theirs.next, uids[-1] + 1 if uids else 0), theirs.lines
        strangers = crowd.bases[len(uids) :]
        uids += range(next_uid, next_uid + len(strangers))
        if strangers:
            signature = uidlists.append(path, zip(uids[-len(strangers) :], strangers, strict=True))
    known = replace(row.known, uidlist=signature, lines=lines + len(strangers))
    row = replace(row, uidnext=next_uid + len(strangers), highest_modseq=modseq, known=known)
    if row.recent_from == 0:  # nobody has seen what lies in new/ behind everything else (RFC 3501 §2.3.2)
        behind = count - len(crowd.fresh.rstrip(b"\1"))
        row = replace(row, recent_from=uids[-behind] if behind else row.uidnext)
    bits = {tail: flags_of(tail) for tail in set(crowd.tails)}
    everything = 0
    for some in bits.values():
        everything |= some
    sizes = [min(wire_size_of(base) or UNKNOWN, LARGEST) if ",W=" in base else UNKNOWN for base in crowd.bases]
    return Numbered(
        crowd,
        index.with_letters(row, everything),
        array("I", uids),
        array("Q", [bits[tail] for tail in crowd.tails]),
        array("I", sizes),
        array("q", [int(base[:10]) for base in crowd.bases]),
    )


def chunks(count: int) -> list[tuple[int, int]]:
    """Where to begin and to stop, the newest first."""
    found = [(max(count - NEWEST, 0), count)]
    while found[-1][0] > 0:
        found.append((max(found[-1][0] - CHUNK, 0), found[-1][0]))
    return found


def write(connection: sqlite3.Connection, folder: Folder, numbered: Numbered, start: int, stop: int) -> array[int]:
    """Ask the files and write the rows of a chunk; with the oldest ones the mailbox's row too. Raises OSError.

    Returns the files' times. Rows from UIDNEXT up are of a look that was cut off: whoever finds such ones forgets them.
    """
    crowd = numbered.crowd
    bases, tails, fresh = crowd.bases[start:stop], crowd.tails[start:stop], crowd.fresh[start:stop]
    octets, dates = _asked(folder, bases, tails, fresh)
    message_rows.insert_columns(
        connection,
        numbered.row.number,
        zip(
            numbered.uids[start:stop],
            bases,
            tails,
            fresh,
            numbered.flags[start:stop],
            repeat(numbered.row.highest_modseq),
            numbered.sizes[start:stop],
            octets,
            dates,
            repeat(0),
            numbered.dates[start:stop],  # when the file was made
            strict=False,
        ),
    )
    if start == 0:
        index.save_mailbox(connection, numbered.row)
    return array("q", dates)


def _asked(folder: Folder, bases: Sequence[str], tails: Sequence[str], fresh: bytes) -> tuple[list[int], list[int]]:
    """Octets on disk and times. Of a file that is gone, which the next look tells, its name's time."""
    octets: list[int] = []
    dates: list[int] = []
    lost: list[int] = []
    new, cur = os.open(folder.new, os.O_RDONLY | os.O_DIRECTORY), os.open(folder.cur, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for base, tail, is_fresh in zip(bases, tails, fresh, strict=True):
            try:
                found = os.stat(base + tail, dir_fd=new if is_fresh else cur, follow_symlinks=False)
            except FileNotFoundError:
                lost.append(len(octets))
                octets.append(0)
                dates.append(int(base[:10]))
            else:
                octets.append(found.st_size)
                dates.append(int(found.st_mtime))
    finally:
        os.close(new)
        os.close(cur)
    if lost:
        there = {base_of(name): f"{place}/{name}" for place in (folder.new, folder.cur) for name in os.listdir(place)}
        for at in lost:
            try:
                found = os.lstat(there[bases[at]])
            except (KeyError, FileNotFoundError):
                continue
            octets[at], dates[at] = found.st_size, int(found.st_mtime)
    return octets, dates
