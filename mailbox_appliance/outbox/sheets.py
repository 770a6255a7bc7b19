"""One message of a folder of our own making: octets in memory, or a file on disk that is read in slices when large.

Line ends are LF here; CRLF is made for IMAP.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import TypeVar

from mailbox_appliance.crlf import LargeFile, SmallFile, line_map
from mailbox_appliance.mail.dates import parse_date
from mailbox_appliance.mail.header import first, header_end
from mailbox_appliance.mail.mime_scan import find_parts, to_crlf
from mailbox_appliance.mail.text import body_texts, casemap, field_texts
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.wire.imap.columns import render_one

T = TypeVar("T")
Octets = bytes | mmap.mmap
LARGE = 256 * 1024  # octets; above this a message is never wholly in memory
LARGEST_HEAD = 1024 * 1024


@dataclass(slots=True, eq=False)
class Sheet:
    """``flags`` and ``modseq`` change, all else never does under one UID. ``path`` '' means that ``octets`` is all."""

    uid: int
    date: int
    size: int  # with CRLF
    flags: int = 0
    modseq: int = 0
    octets: bytes = field(default=b"", repr=False)
    path: str = ""
    length: int = 0  # of the file
    keywords: frozenset[str] = frozenset()

    @property
    def is_large(self) -> bool:
        """Is it read in slices?"""
        return bool(self.path) and self.length > LARGE

    def look(self, at: Callable[[Octets], T]) -> T:
        """Call ``at`` with the octets. For workers. Raises OSError."""
        if not self.path:
            return at(self.octets)
        with open(self.path, "rb") as file:
            if not self.is_large:
                return at(file.read(LARGE))
            with contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as octets:
                return at(octets)


def render_all(sheets: Sequence[Sheet], kinds: Sequence[str]) -> dict[int, dict[str, bytes]]:
    """Columns by UID and kind; a message whose file is gone is left out. For workers."""
    found: dict[int, dict[str, bytes]] = {}
    for sheet in sheets:
        with contextlib.suppress(OSError):
            found[sheet.uid] = sheet.look(lambda octets: render_one(octets, kinds))
    return found


def in_header(octets: Octets, name: str, needle: str) -> bool:
    """Is ``needle`` (casemapped) in a field ``name``; with '' is there such a field?"""
    texts = field_texts(_head(octets), name)
    return any(needle in casemap(text) for text in texts) if needle else next(texts, None) is not None


def in_text(octets: Octets, needle: str, *, whole: bool) -> bool:
    """Is ``needle`` (casemapped) in the body's texts, or (``whole``) in the header's?"""
    if whole and any(needle in casemap(text) for text in field_texts(_head(octets))):
        return True
    return any(needle in casemap(text) for text in body_texts(find_parts(octets), octets, overlap=len(needle) + 8))


def sent_day(octets: Octets) -> int | None:
    """The day of the Date field, as written."""
    value = first(_head(octets), "date")
    sent = parse_date(value) if value else None
    return None if sent is None else sent.day


def _head(octets: Octets) -> bytes:
    return octets[: min(header_end(octets), LARGEST_HEAD)]


async def open_sheet(workers: Workers, sheet: Sheet) -> SmallFile | LargeFile | None:
    """The message for reading; None when its file is gone."""
    try:
        if not sheet.is_large:
            octets = await workers.run("disk", sheet.look, bytes) if sheet.path else sheet.octets
            return SmallFile(sheet.uid, to_crlf(octets))
        fd, lines = await workers.run("disk", _open_large, sheet.path)
    except OSError:
        return None
    return LargeFile(functools.partial(workers.run, "disk"), sheet.uid, fd, lines)


def _open_large(path: str) -> tuple[int, array[int]]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return fd, line_map(fd)
    except BaseException:
        os.close(fd)
        raise
