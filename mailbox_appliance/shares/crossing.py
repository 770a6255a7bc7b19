"""COPY and MOVE from one account's mailbox into another's: read here, append there, a bounded batch at a time.

All or nothing: what was appended before something failed is taken away again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import BinaryIO

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT, SYSTEM_FLAGS
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Appended, Mailbox, MessageFile, NewMessage
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.spoolfile import open_spool, remove_spool

MESSAGES = 200  # of one batch
OCTETS = 16 * 1024 * 1024
IN_MEMORY = 65_536  # octets of one message; a larger one waits in a file
PIECE = 262_144

Put = Callable[[Sequence[NewMessage]], Awaitable[Appended]]


def flag_names(bits: int, keywords: Sequence[str]) -> frozenset[str]:
    """A message's flags by name."""
    names = [name for bit, name in SYSTEM_FLAGS if bits & bit]
    names += [keyword for number, keyword in enumerate(keywords) if bits >> FIRST_KEYWORD_BIT + number & 1]
    return frozenset(names)


@dataclass(slots=True)
class Batch:
    """Messages read and not yet put."""

    uids: list[int] = field(default_factory=list)
    messages: list[NewMessage] = field(default_factory=list)
    octets: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.uids) >= MESSAGES or self.octets >= OCTETS


class Crossing:
    """One COPY. ``folder`` is where large messages wait; use it as a context: they are gone after it."""

    def __init__(
        self, workers: Workers, folder: str, source: Mailbox, flags: Callable[[frozenset[str]], frozenset[str]]
    ):
        self._workers = workers
        self._folder = folder
        self._source = source
        self._flags = flags
        self._file: BinaryIO | None = None
        self.source_uids: list[int] = []
        self.target_uids: list[int] = []
        self.read_uids: list[int] = []  # of the target: those that were \\Seen
        self.uidvalidity = 0

    async def go(self, uids: Sequence[int], put: Put) -> None:
        """Copy ``uids``; what is gone already is left out. Raises StoreError, OSError."""
        batch = Batch()
        try:
            async for files in self._source.files(uids):
                try:
                    for file in files:
                        message = await self._taken(file)
                        if message is not None:
                            batch.uids.append(file.uid)
                            batch.messages.append(message)
                            batch.octets += file.size
                        if batch.is_full:
                            await self._put(batch, put)
                            batch = Batch()
                finally:
                    for file in files:
                        file.close()
            await self._put(batch, put)
        finally:
            await self._discard()

    async def _put(self, batch: Batch, put: Put) -> None:
        if not batch.messages:
            return
        done = await put([self._allowed(message) for message in batch.messages])
        self.uidvalidity = done.uidvalidity
        self.source_uids += batch.uids
        self.target_uids += done.uids
        pairs = zip(batch.messages, done.uids, strict=True)
        self.read_uids += [uid for message, uid in pairs if "\\Seen" in message.flags]

    def _allowed(self, message: NewMessage) -> NewMessage:
        return NewMessage(message.content, self._flags(message.flags), message.date, message.date_zone)

    async def _taken(self, file: MessageFile) -> NewMessage | None:
        source = self._source
        content = await self._content(file)
        at = bisect_left(source.uids, file.uid)
        if at == len(source.uids) or source.uids[at] != file.uid:
            return None
        names = flag_names(source.flags[at], source.keywords)
        return NewMessage(content, names, float(source.dates[at]), source.zones[at])

    async def _content(self, file: MessageFile) -> Content:
        """The file's octets with LF line ends."""
        octets = await _pieces(file, 0, min(file.size, IN_MEMORY))
        offset = len(octets)
        while offset < file.size and header_end(octets) == len(octets):
            octets += (piece := await file.read(offset, PIECE))
            offset += len(piece)
            if not piece:
                break
        held = b""
        if octets.endswith(b"\r") and offset < file.size:
            octets, held = octets[:-1], b"\r"
        octets = octets.replace(b"\r\n", b"\n")
        end = header_end(octets)
        header, start = octets[:end], octets[end:]
        if offset >= file.size:
            return Content(header, start, octets.count(b"\n"))
        lines = octets.count(b"\n")
        spool = self._file
        if spool is None:
            spool = self._file = await self._workers.run("disk", open_spool, self._folder)
        at = spool.tell()
        await self._workers.run("disk", spool.write, start)
        while offset < file.size:
            piece = await file.read(offset, PIECE)
            if not piece:
                break
            offset += len(piece)
            piece = held + piece
            held = b"\r" if piece.endswith(b"\r") and offset < file.size else b""
            piece = piece.removesuffix(held).replace(b"\r\n", b"\n")
            lines += piece.count(b"\n")
            await self._workers.run("disk", spool.write, piece)
        await self._workers.run("disk", spool.flush)
        return Content(header, SpooledBody(spool.name, at, spool.tell() - at), lines)

    async def _discard(self) -> None:
        spool, self._file = self._file, None
        if spool is not None:
            await self._workers.run("disk", remove_spool, spool)


async def _pieces(file: MessageFile, offset: int, end: int) -> bytes:
    octets = b""
    while len(octets) < end - offset:
        piece = await file.read(offset + len(octets), min(PIECE, end - offset - len(octets)))
        if not piece:
            break
        octets += piece
    return octets
