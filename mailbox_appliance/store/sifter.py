"""A process beside the service that reads messages for SEARCH: ``python -m mailbox_appliance.store.sifter``.

It reads questions from its standard input and writes answers to its standard output, each a marshalled tuple behind
its length in four octets; both ends are of one installation. It knows no index, writes nothing, and ends with its
input. ``store.sifters`` starts it.
"""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os

from mailbox_appliance.store.durable import READING
from mailbox_appliance.store.sift import INDEXED_OCTETS, SEAM, TEXT_OCTETS, held_by, holds, texts_of

NICENESS = 2  # whoever reads and writes mail goes first
PIPE_OCTETS = 1 << 20
NO, YES, UNREAD = 0, 1, 2

Question = tuple[str, bool, bool, list[str]]  # needle ("": none), in the header too, texts wanted, paths
Answer = tuple[bytes, list[tuple[str, str] | None]]  # NO, YES, UNREAD for each path; its texts if they are usable


def answer(question: Question) -> Answer:
    """A message that cannot be read is UNREAD, and whoever asked sees to it."""
    needle, whole, wants_texts, paths = question
    found = bytearray()
    texts: list[tuple[str, str] | None] = []
    descriptors = [_opened(path) for path in paths]
    try:
        for fd in descriptors:
            result, text = (UNREAD, None) if fd < 0 else _look(fd, needle, whole, wants_texts)
            found.append(result)
            if wants_texts:
                texts.append(text)
    finally:
        for fd in descriptors:
            if fd >= 0:
                os.close(fd)
    return bytes(found), texts


def _opened(path: str) -> int:
    try:
        fd = os.open(path, READING)
    except OSError:
        return -1
    with contextlib.suppress(OSError):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)  # the disk is asked for all of them at once
    return fd


def _look(fd: int, needle: str, whole: bool, wants_texts: bool) -> tuple[int, tuple[str, str] | None]:
    try:
        octets = _read(fd)
        if not wants_texts or len(octets) > INDEXED_OCTETS or len(needle) >= SEAM:
            return (YES if needle and holds(octets, needle, whole=whole) else NO), None
        texts = texts_of(0, octets)
        hit = bool(needle) and held_by(texts, octets, needle, whole=whole)
        return (YES if hit else NO), (texts.header, texts.body) if texts.is_usable() else None
    except (OSError, MemoryError, ValueError, LookupError):
        return UNREAD, None


def _read(fd: int) -> bytes:
    pieces = [os.read(fd, 1 << 17)]
    if len(pieces[0]) < 1 << 17:
        return pieces[0]
    left = TEXT_OCTETS - len(pieces[0])
    while left > 0 and (piece := os.read(fd, min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


# ------------------------------------------------------------ the pipes


def write(fd: int, value: Question | Answer) -> None:
    """Blocks until the other end has taken it. Raises OSError."""
    octets = marshal.dumps(value)
    left = memoryview(len(octets).to_bytes(4, "little") + octets)
    while left:
        left = left[os.write(fd, left) :]


def read(fd: int) -> bytes:
    """What ``write`` wrote, without its length; b"" where the other end has gone."""
    return read_exactly(fd, int.from_bytes(read_exactly(fd, 4), "little"))


def read_exactly(fd: int, length: int) -> bytes:
    """So many octets, or none when the other end has gone before."""
    pieces = []
    while length > 0:
        piece = os.read(fd, length)
        if not piece:
            return b""
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def widen(fd: int) -> None:
    """Let much pass at a time."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_OCTETS)


def main() -> None:
    """Answer until nobody asks any more."""
    os.nice(NICENESS)
    with contextlib.suppress(BrokenPipeError):
        while octets := read(0):
            write(1, answer(marshal.loads(octets)))


if __name__ == "__main__":
    main()
