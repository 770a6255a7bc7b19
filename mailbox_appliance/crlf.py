"""Files with LF line ends read as if they had CRLF, any slice without the rest (for workers).

A file is walked once to learn where its lines end (a checkpoint every 64 KiB); after that any slice of its CRLF form
is read without touching the rest.
"""

from __future__ import annotations

import bisect
import os
from array import array

from mailbox_appliance.mail.mime_scan import to_crlf

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
