"""RFC822.SIZE of files whose names do not tell it: counted when somebody asks, or when nobody wants anything.

A tree that another program has made may hold tens of thousands of names without ``W=``; to read every file before the
first SELECT is answered would take seconds. Until it is counted a message's size is UNKNOWN, in the arrays and in the
index.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailbox_appliance.store import message_rows
from mailbox_appliance.store.durable import READING
from mailbox_appliance.store.index import UNKNOWN
from mailbox_appliance.store.index_file import Index
from mailbox_appliance.store.paths import Folder

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

LARGEST = UNKNOWN - 1  # octets, what the packed arrays hold
STEP = 256  # files read by one job
_BLOCK = 1 << 18


def count_crlf(path: str, directory: int | None = None) -> int:
    """The file's size with CRLF line ends; ``path`` may be relative to an open ``directory``. Raises OSError."""
    fd = os.open(path, READING, dir_fd=directory)
    try:
        size = 0
        last = b""
        while block := os.read(fd, _BLOCK):
            size += len(block) + block.count(b"\n")
            if b"\r" in block or last == b"\r":
                size -= block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
            last = block[-1:]
            if len(block) < _BLOCK:
                break
        return min(size, LARGEST)
    finally:
        os.close(fd)


def _measure(store: Index, folder: Folder, number: int, uids: Sequence[int]) -> list[tuple[int, int]]:
    """(uid, size) of files that are where the index has them. For workers."""
    found: list[tuple[int, int]] = []
    rows = store.read(lambda connection: message_rows.files_of(connection, number, uids))
    with contextlib.ExitStack() as stack:
        cur = os.open(folder.cur, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, cur)
        for uid, file, fresh, _, _ in rows:
            try:
                size = count_crlf(folder.message(True, file)) if fresh else count_crlf(file, cur)
                found.append((uid, size))
            except OSError:
                continue  # renamed or gone: the next look tells

    def save(connection: sqlite3.Connection) -> None:
        message_rows.save_sizes(connection, number, found)

    store.now(save)
    return found


async def measure(box: OpenMailbox, uids: Sequence[int]) -> None:
    """ports.store.Mailbox.measure."""
    if not box.is_measured and uids:
        await box.written(uids[0])
        await _measure_all(box, _unknown(box, uids), quietly=False)


async def measure_some(box: OpenMailbox) -> None:
    """One step of what nobody waits for, newest first."""
    unknown = [uid for uid, size in zip(box.uids, box.sizes, strict=True) if size == UNKNOWN]
    await _measure_all(box, unknown[-STEP:], quietly=True)
    if len(unknown) <= STEP:
        # What is unknown still cannot be read; it is tried again when somebody asks.
        box.is_measured = UNKNOWN not in box.sizes
        box.is_measurable = False


def _unknown(box: OpenMailbox, uids: Sequence[int]) -> list[int]:
    held, sizes = box.uids, box.sizes
    return [held[at] for at in box.positions(uids) if sizes[at] == UNKNOWN]


async def _measure_all(box: OpenMailbox, uids: Sequence[int], *, quietly: bool) -> None:
    ground = box.account.quietly if quietly else box.account
    lost = False
    for start in range(0, len(uids), STEP):
        chunk = uids[start : start + STEP]
        found = await ground.disk(_measure, box.account.index, box.folder, box.number, chunk)
        known = dict(found)
        for at in box.positions(list(known)):
            box.sizes[at] = known[box.uids[at]]
        lost = lost or len(found) < len(chunk)
    if lost and not quietly:
        await box.refresh()
        rest = _unknown(box, uids)
        if rest and len(rest) < len(uids):
            await _measure_all(box, rest, quietly=False)
    if uids:
        box.measured()
