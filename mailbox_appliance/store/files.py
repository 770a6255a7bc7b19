"""Messages' octets for IMAP: CRLF line ends over LF files, small ones in batches, large ones in slices.

How a slice of a large file is found stands in ``crlf``; what was learnt of it (structure, line ends) is remembered by
the mailbox for a while.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred

from mailbox_appliance.crlf import BLOCK, LargeFile, SmallFile, line_map
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.mime_scan import to_crlf
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import MessageFile
from mailbox_appliance.store import at_hand, message_rows
from mailbox_appliance.store.durable import NO_PLAIN_FILE, READING, is_plain
from mailbox_appliance.store.expunge import find_again
from mailbox_appliance.store.filenames import base_of
from mailbox_appliance.store.index import UNKNOWN
from mailbox_appliance.store.index_file import Index
from mailbox_appliance.store.paths import Folder

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

LARGE = 256 * 1024  # octets; above this a message is read in slices
BATCH_OCTETS = 1024 * 1024
BATCH_MESSAGES = 64
USUAL = 16 * 1024  # octets, a message of unknown size is taken for
REMEMBERED = 32  # structures and line maps of large messages, a mailbox
T = TypeVar("T")


@dataclass(slots=True)
class Read:
    """One file as a worker found it: its octets as on disk, or (large) an open descriptor and its line map."""

    uid: int
    octets: bytes = b""
    fd: int = -1
    lines: array[int] | None = None

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def open_again(folder: Folder, fresh: bool, file: str) -> int | None:
    """A descriptor of the message's file, wherever another program has put it; None when it is gone."""
    try:
        return os.open(folder.message(fresh, file), READING)
    except FileNotFoundError:
        pass
    except OSError as error:
        _gone(error)
        return None
    found = find_again(folder, base_of(file))
    if found is None:
        return None
    try:
        return os.open(folder.message(*found), READING)
    except FileNotFoundError:
        return None
    except OSError as error:
        _gone(error)
        return None


def _gone(error: OSError) -> None:
    """It says that what has taken a message's place is no plain file; otherwise ``error`` is raised again."""
    if error.errno not in NO_PLAIN_FILE:
        raise error


def read_files(
    store: Index,
    folder: Folder,
    number: int,
    uids: Sequence[int],
    maps: dict[int, array[int]],
    most: int | None,
    crlf: bool = False,
) -> tuple[list[Read], bool]:
    """Read messages (their first ``most`` octets only, if given); tells whether some were missing. For workers.

    ``crlf``: with CRLF line ends. Every system call gives the interpreter away and must win it back, so they are few.
    """
    rows = store.read(lambda connection: message_rows.files_of(connection, number, uids))
    found: list[Read] = []
    missing = len(rows) < len(uids)
    for uid, file, fresh, _, size in rows:
        fd = open_again(folder, bool(fresh), file)
        if fd is None:
            missing = True
            continue
        try:
            if most is None and size > LARGE and is_plain(fd):
                lines = maps.get(uid)
                found.append(Read(uid, fd=fd, lines=lines if lines is not None else line_map(fd)))
                fd = -1
                continue
            octets = _read_all(fd, size) if most is None else os.read(fd, min(size, most))
            if not octets and not is_plain(fd):
                missing = True
                continue
            if crlf:
                octets = with_crlf(octets)
            found.append(Read(uid, octets))
        except OSError as error:
            _gone(error)
            missing = True
        finally:
            if fd >= 0:
                os.close(fd)
    return found, missing


def with_crlf(octets: bytes) -> bytes:
    """The same lines with CRLF."""
    return to_crlf(octets) if b"\r" in octets else octets.replace(b"\n", b"\r\n")


def _read_all(fd: int, size: int) -> bytes:
    """One call, unless the file is longer than it was when it came."""
    octets = os.read(fd, size + 1)
    if len(octets) <= size:
        return octets
    pieces = [octets]
    while octets := os.read(fd, BLOCK):
        pieces.append(octets)
    return b"".join(pieces)


def batches(
    box: OpenMailbox, uids: Sequence[int], octets: int = BATCH_OCTETS, messages: int = BATCH_MESSAGES
) -> Iterator[list[int]]:
    """``uids`` that are still there, in batches bounded in number and octets; a large message stands alone."""
    batch: list[int] = []
    total = 0
    for uid in uids:
        at = box.position(uid)
        if at < 0:
            continue
        size = box.sizes[at]
        if size == UNKNOWN:
            size = USUAL
        if batch and (total + size > octets or len(batch) >= messages):
            yield batch
            batch, total = [], 0
        batch.append(uid)
        total += size
    if batch:
        yield batch


class RememberedFile(LargeFile):
    """A large message whose structure its mailbox remembers."""

    __slots__ = ("_structures",)

    def __init__(self, box: OpenMailbox, uid: int, fd: int, lines: array[int]) -> None:
        super().__init__(box.account.disk, uid, fd, lines)
        self._structures = box.structures

    async def structure(self) -> Part:
        known = self._structures.get(self.uid)
        if known is None:
            known = await super().structure()
            remember(self._structures, self.uid, known)
        return known


def remember(held: dict[int, T], uid: int, value: T) -> None:
    """Keep a few of the latest."""
    if len(held) >= REMEMBERED:
        held.pop(next(iter(held)))
    held[uid] = value


async def read_ahead(
    box: OpenMailbox, uids: Sequence[int], most: int | None, *, crlf: bool = False
) -> AsyncGenerator[tuple[list[Read], bool], None]:
    """``read_files`` of one batch after another, a batch ahead of whoever works on them."""
    account = box.account

    def begin(batch: list[int] | None) -> Deferred[tuple[list[Read], bool]] | None:
        if batch is None:
            return None
        maps = dict(box.line_maps) if most is None else {}
        job = account.disk(read_files, account.index, box.folder, box.number, batch, maps, most, crlf)
        return Deferred.fromCoroutine(job)

    todo = batches(box, uids)
    ahead = begin(next(todo, None))
    try:
        while ahead is not None:
            found = await ahead
            ahead = begin(next(todo, None))
            yield found
    finally:
        if ahead is not None:
            ahead.addErrback(lambda failure: None)  # whoever asked has gone


def _at_hand(box: OpenMailbox, uids: Sequence[int]) -> list[SmallFile] | None:
    """A few small messages that the kernel has in memory; None when a worker must read."""
    account, number = box.account, box.number
    rows = account.glance(lambda connection: message_rows.files_of(connection, number, uids))
    if rows is None or len(rows) < len(uids):
        return None
    found: list[SmallFile] = []
    for uid, file, fresh, _, size in rows:
        octets = account.at_hand.read(box.folder.message(bool(fresh), file), size)
        if octets is None:
            return None
        found.append(SmallFile(uid, with_crlf(octets)))
    return found


async def files(box: OpenMailbox, uids: Sequence[int]) -> AsyncIterator[Sequence[MessageFile]]:
    """ports.store.Mailbox.files."""
    if uids:
        await box.written(uids[0])
    if len(uids) <= at_hand.FEW:
        few = _at_hand(box, uids)
        if few is not None:
            yield few
            return
    async for found, missing in read_ahead(box, uids, None, crlf=True):
        if missing:
            box.look_again_in(0.2)
        result: list[MessageFile] = []
        for read in found:
            if read.lines is None:
                result.append(SmallFile(read.uid, read.octets))
                continue
            remember(box.line_maps, read.uid, read.lines)
            result.append(RememberedFile(box, read.uid, read.fd, read.lines))
            read.fd = -1  # the descriptor is the file's now
        if result:
            yield result
