"""Files with LF line ends read as if they had CRLF, any slice without the rest (for workers).

A file is walked once to learn where its lines end (a checkpoint every 64 KiB); after that any slice of its CRLF form
is read without touching the rest. SmallFile and LargeFile are messages so read (ports.store.MessageFile).
"""

from __future__ import annotations

import bisect
import contextlib
import mmap
import os
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.mime_scan import scan, scan_lf, to_crlf

BLOCK = 64 * 1024


def line_map(fd: int) -> array[int]:
    """CRLF offsets of every 64 KiB block's first octet, and of the end."""
    offsets: array[int] = array("Q", [0])
    at = 0
    last = b""
    while block := os.read(fd, BLOCK):
        bare = block.count(b"\n")
        if b"\r" in block or last == b"\r":
            bare -= block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
        at += len(block) + bare
        last = block[-1:]
        offsets.append(at)
        if len(block) < BLOCK:
            break
    return offsets


def read_slice(fd: int, offsets: array[int], offset: int, length: int) -> bytes:
    """Octets [offset, offset + length) of the CRLF form. For workers."""
    stop = min(offset + length, offsets[-1])
    if offset >= stop:
        return b""
    first = bisect.bisect_right(offsets, offset) - 1
    last = bisect.bisect_left(offsets, stop)
    raw = os.pread(fd, (last - first) * BLOCK, first * BLOCK)
    if first and raw[:1] == b"\n" and os.pread(fd, 1, first * BLOCK - 1) == b"\r":
        text = b"\n" + to_crlf(raw[1:])  # a CRLF lies across the cut
    else:
        text = to_crlf(raw)
    start = offset - offsets[first]
    return text[start : start + stop - offset]


class SmallFile:
    """A message in memory; ``octets`` have CRLF."""

    __slots__ = ("_octets", "size", "uid")

    def __init__(self, uid: int, octets: bytes) -> None:
        self.uid = uid
        self._octets = octets
        self.size = len(octets)

    async def read(self, offset: int, length: int) -> bytes:
        return self._octets[offset : offset + length] if offset or length < self.size else self._octets

    async def structure(self) -> Part:
        return scan(self._octets)

    def close(self) -> None:
        self._octets = b""


class LargeFile:
    """A message over an open descriptor, which it closes; ``disk`` runs a function in a worker for the disk."""

    __slots__ = ("_disk", "_fd", "_lines", "size", "uid")

    def __init__(self, disk: Callable[..., Awaitable[Any]], uid: int, fd: int, lines: array[int]) -> None:
        self.uid = uid
        self.size = lines[-1]
        self._disk = disk
        self._fd = fd
        self._lines = lines

    async def read(self, offset: int, length: int) -> bytes:
        octets: bytes = await self._disk(self._read, offset, length)
        return octets

    def _read(self, offset: int, length: int) -> bytes:
        fd = os.dup(self._fd)  # the reader may close the file while a worker still reads
        try:
            return read_slice(fd, self._lines, offset, length)
        finally:
            os.close(fd)

    async def structure(self) -> Part:
        part: Part = await self._disk(self._scan)
        return part

    def _scan(self) -> Part:
        with contextlib.closing(mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ)) as octets:
            return scan_lf(octets)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()
