"""A message on its way in: line ends made one, what cannot be kept mended, everything in bounded pieces.

On disk lines end with LF. CRLF and a lone CR become LF; NUL, which IMAP cannot say (RFC 3501 §9), becomes 0x80 as
Dovecot shows it; a message without the empty line behind its header gets one. Fields of the source's format are taken
out of the header. All of that is told, so that the report can say it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import field
from typing import Protocol

from mailbox_appliance.mail.dates import parse_date
from mailbox_appliance.mail.header import every, first, remove_named
from mailbox_appliance.mail.values import dataclass

LARGEST = 1 << 30
HEADER_OCTETS = 1 << 20


class TooLarge(Exception):
    """The message is larger than anything we keep."""


class Empty(Exception):
    """There is nothing in it."""


class Sink(Protocol):
    """Where it goes: a file open for writing."""

    def write(self, octets: bytes, /) -> object:
        """All of it."""


@dataclass(slots=True)
class Normal:
    """A message as written: ``octets`` and ``lines`` on disk; ``remarks`` are words for the report."""

    octets: int = 0
    lines: int = 0
    digest: str = ""
    header: bytes = b""
    remarks: list[str] = field(default_factory=list)

    @property
    def date(self) -> tuple[float, int] | None:
        """When it came, as its header says: the topmost Received, else Date (epoch seconds, minutes east of UTC)."""
        received = [value.rpartition(b";")[2] for value in every(self.header, "received")[:1]]
        for value in (*received, first(self.header, "date") or b""):
            found = parse_date(value.strip()) if value.strip() else None
            if found is not None and 0 < found.epoch < 1 << 35:
                return float(found.epoch), found.zone
        return None


def copy(pieces: Iterable[bytes], sink: Sink, strip: frozenset[bytes] = frozenset()) -> Normal:
    """Write the message into ``sink``. Raises TooLarge, Empty, and what ``pieces`` raises; the sink is then no good."""
    done = Normal()
    sha = hashlib.sha256()
    held = b""  # the header, until it is whole
    in_header = True
    last = b""

    def put(octets: bytes) -> None:
        done.octets += len(octets)
        done.lines += octets.count(b"\n")
        if done.octets > LARGEST:
            raise TooLarge
        sha.update(octets)
        sink.write(octets)

    for piece in _plain(pieces, done):
        if not in_header:
            put(piece)
            last = piece[-1:] or last
            continue
        held += piece
        end = _header_end(held)
        if end < 0 and len(held) < HEADER_OCTETS:
            continue
        in_header = False
        if end < 0:
            done.remarks.append("its header has no end within 1 MiB")
            end = len(held)
        done.header = remove_named(held[:end], [name.decode() for name in strip]) if strip else held[:end]
        put(done.header)
        put(held[end:])
        last = held[-1:]
        held = b""
    if in_header:
        if not held.strip():
            raise Empty
        if not held.endswith(b"\n"):
            held += b"\n"
        done.remarks.append("it had no body; the empty line behind its header was put there")
        done.header = remove_named(held, [name.decode() for name in strip]) + b"\n"
        put(done.header)
        last = b"\n"
    if last != b"\n":
        put(b"\n")
    done.digest = sha.hexdigest()
    return done


def _header_end(octets: bytes) -> int:
    """Behind the empty line; -1 when that has not come yet."""
    if octets.startswith(b"\n"):
        return 1
    found = octets.find(b"\n\n")
    return found + 2 if found >= 0 else -1


def _plain(pieces: Iterable[bytes], done: Normal) -> Iterable[bytes]:
    """LF line ends and no NUL."""
    carried = b""
    nul = cr = False
    for piece in pieces:
        piece = carried + piece
        carried = b""
        if piece.endswith(b"\r"):
            piece, carried = piece[:-1], b"\r"
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n")
            if b"\r" in piece:
                cr = True
                piece = piece.replace(b"\r", b"\n")
        if b"\0" in piece:
            nul = True
            piece = piece.replace(b"\0", b"\x80")
        if piece:
            yield piece
    if carried:
        yield b"\n"
    if cr:
        done.remarks.append("lone CRs in it became line ends")
    if nul:
        done.remarks.append("NUL octets in it became 0x80")
