"""``dovecot-uidlist``: the truth about UIDs, in Dovecot's format (version 3; version 1 is read too).

First line ``3 V<uidvalidity> N<next uid> G<guid>``, then ``<uid> [W<size> …] :<file name>`` in order of UID. A line may
stand for a file that is gone; a UID below N or below any line is never given again. Lines are appended and synced
before anybody hears of their UIDs; the file is rewritten whole (temporary file, fsync, rename) only now and then.
All of this happens in worker threads, writing under Dovecot's dotlock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import field

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store.durable import read_file, replace_file, write_all

NAME = "dovecot-uidlist"
HIGHEST_UID = 0xFFFFFFFF
MOST_OCTETS = 256 * 1024 * 1024
_LINE = re.compile(r"(\d{1,10}) ?([^:\n]*?) ?:([^\n]+)")
_OLD_LINE = re.compile(r"(\d{1,10}) ([^\n]+)")

Signature = tuple[int, int, int]  # mtime in ns, size, inode; (0, 0, 0): there is none
NONE: Signature = (0, 0, 0)


@dataclass(slots=True)
class UidList:
    """What the file says. ``validity`` 0: nothing usable. ``uids`` by base, ``extras`` by UID ("W1234")."""

    validity: int = 0
    next: int = 1
    guid: str = ""
    uids: dict[str, int] = field(default_factory=dict)
    extras: dict[int, str] = field(default_factory=dict)
    lines: int = 0
    damaged: bool = False  # something in it could not be read: rewrite it


def parse(octets: bytes) -> UidList:
    """Read the file's octets; whatever cannot be read is passed over and marks the list as damaged."""
    found = UidList()
    text = octets.decode("utf-8", "surrogateescape")
    head, newline, rest = text.partition("\n")
    old = head.startswith("1 ")
    if not newline or not (_read_old_head(found, head) if old else _read_head(found, head)):
        return UidList(damaged=bool(octets))
    if rest and not rest.endswith("\n"):
        found.damaged = True  # a torn last line: its UID was told to nobody
        rest = rest[: rest.rfind("\n") + 1]
    pattern = _OLD_LINE if old else _LINE
    uids = found.uids
    last = 0
    for line in rest.split("\n")[:-1]:
        match = pattern.fullmatch(line)
        if match is None:
            found.damaged = True
            continue
        uid = int(match[1])
        base = match[match.lastindex or 0].partition(":")[0]
        if not 0 < uid <= HIGHEST_UID or not base or "\udc80" <= max(base) <= "\udcff":
            found.damaged = True
            continue
        found.lines += 1
        if uid <= last:
            found.damaged = True
        last = max(last, uid)
        if uid > uids.get(base, 0):
            uids[base] = uid
        if not old and match[2]:
            found.extras[uid] = match[2]
    found.next = max(found.next, last + 1)
    if len(set(uids.values())) != len(uids):
        _drop_shared_uids(found)
    return found


def _read_head(found: UidList, head: str) -> bool:
    version, _, rest = head.partition(" ")
    if version != "3":
        return False
    for word in rest.split(" "):
        kind, value = word[:1], word[1:]
        if kind == "V" and value.isdecimal() and 0 < int(value[:11]) <= HIGHEST_UID:
            found.validity = int(value)
        elif kind == "N" and value.isdecimal() and 0 < int(value[:11]) <= HIGHEST_UID:
            found.next = int(value)
        elif kind == "G" and re.fullmatch(r"[0-9a-f]{32}", value):
            found.guid = value
    return found.validity > 0


def _read_old_head(found: UidList, head: str) -> bool:
    words = head.split(" ")
    if len(words) != 3 or not all(word.isdecimal() and 0 < int(word[:11]) <= HIGHEST_UID for word in words[1:]):
        return False
    found.validity, found.next = int(words[1]), int(words[2])
    return True


def _drop_shared_uids(found: UidList) -> None:
    """Two files under one UID: the first keeps it, the others are strangers again."""
    taken: set[int] = set()
    for base, uid in list(found.uids.items()):
        if uid in taken:
            del found.uids[base]
        taken.add(uid)
    found.damaged = True


def signature(path: str) -> Signature:
    """What tells one state of the file from another."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return NONE
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def read(path: str) -> UidList:
    """The list in ``path``; an empty one when there is none."""
    octets = read_file(path, MOST_OCTETS)
    return UidList() if octets is None else parse(octets)


def line_of(uid: int, base: str, extra: str = "") -> str:
    """One line of the file."""
    return f"{uid} {extra} :{base}\n" if extra else f"{uid} :{base}\n"


def append(path: str, entries: Iterable[tuple[int, str]]) -> Signature:
    """Add lines to a sound file and sync it; call under the lock. Returns the new signature."""
    octets = "".join(map("%d :%s\n".__mod__, entries)).encode()
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    try:
        write_all(fd, octets)
        os.fdatasync(fd)
        stat = os.fstat(fd)
    finally:
        os.close(fd)
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def rewrite(path: str, validity: int, next_uid: int, guid: str, entries: Iterable[tuple[int, str, str]]) -> Signature:
    """Replace the file by (uid, base, extra) lines, in order of UID; call under the lock."""
    head = f"3 V{validity} N{next_uid} G{guid}\n"
    body = "".join([line_of(uid, base, extra) for uid, base, extra in entries])
    replace_file(path, (head + body).encode(), temporary=path + ".tmp")
    return signature(path)
