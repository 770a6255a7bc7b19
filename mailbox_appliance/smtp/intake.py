"""Content on its way in: small messages stay in memory, large ones go to a spool file while they arrive.

All sessions share one budget of memory. The header block is kept in memory in any case; a spool file holds the body
alone, and whoever accepts the message copies it once behind the final header. Writing is awaited, and while it is
awaited the peer is not read, so a fast peer on a slow disk holds no more than one piece.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Awaitable, Callable

from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.smtp.limits import Limits

TOO_LARGE = Reply(552, "5.3.4", "Message too large")
HEADER_TOO_LARGE = Reply(552, "5.3.4", "Header block too large")
DISK_FULL = Reply(452, "4.3.1", "Not enough room, try again later")
DISK_BROKEN = Reply(451, "4.3.0", "Cannot keep mail now, try again later")

_PREFIX, _SUFFIX = "smtp-", ".body"


class Budget:
    """Octets of memory that all messages on their way in may use together."""

    def __init__(self, octets: int) -> None:
        self.left = octets

    def take(self, octets: int) -> bool:
        """True when they were there to take."""
        if octets > self.left:
            return False
        self.left -= octets
        return True

    def give(self, octets: int) -> None:
        """Back."""
        self.left += octets


def sweep(spool: str) -> int:
    """Remove what a crash left behind; called at start, before any session. Returns how many files went."""
    swept = 0
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(spool):
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                os.unlink(entry.path)
                swept += 1
    return swept


def _open(path: str) -> int:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _write(descriptor: int, octets: bytes) -> None:
    view = memoryview(octets)
    while view:
        view = view[os.write(descriptor, view) :]


class Intake:
    """One message. ``take`` pieces, then ``finish``; ``discard`` in any case when done with it."""

    def __init__(
        self,
        trace: str,
        spool: str,
        limits: Limits,
        workers: Workers,
        budget: Budget,
        broken: Callable[[BaseException], None],
    ) -> None:
        self._path = os.path.join(spool, f"{_PREFIX}{trace}{_SUFFIX}")
        self._limits = limits
        self._workers = workers
        self._budget = budget
        self._broken = broken
        self._charged = 0
        self._buffer = bytearray()
        self._header: bytes | None = None
        self._searched = 0
        self._descriptor = -1
        self._spooled = 0
        self._octets = 0
        self._lines = 0
        self.refusal: Reply | None = None

    @property
    def wire_size(self) -> int:
        """Octets with CRLF seen so far, kept or not."""
        return self._octets + self._lines

    async def take(self, piece: bytes, lines: int) -> None:
        """Keep a piece (LF line ends). Never raises: what goes wrong is ``refusal``, and the rest is dropped."""
        self._octets += len(piece)
        self._lines += lines
        if self.refusal is not None or not piece:
            return
        limits = self._limits
        if limits.message_size and self._octets + self._lines > limits.message_size:
            await self._refuse(TOO_LARGE)
            return
        self._buffer += piece
        if self._budget.take(len(piece)):
            self._charged += len(piece)
            if self._descriptor < 0 and len(self._buffer) <= limits.in_memory:
                return
            if self._descriptor >= 0 and len(self._buffer) < limits.spool_piece:
                return
        if self._header is None and not self._split_header():
            if len(self._buffer) > limits.header_block:
                await self._refuse(HEADER_TOO_LARGE)
            return
        await self._spool()

    async def finish(self) -> Content | Reply:
        """The whole message, or why not. The spool file lives until ``discard``."""
        if self.refusal is not None:
            return self.refusal
        if self._header is None and not self._split_header():
            # No empty line: all of it is header (RFC 5322 §3.5 lets the body be absent).
            if self._buffer and not self._buffer.endswith(b"\n"):
                self._buffer += b"\n"
                self._lines += 1
            self._header = bytes(self._buffer)
            self._buffer.clear()
        header = self._header
        assert header is not None
        limits = self._limits
        lines = header.count(b"\n")
        if len(header) + lines > limits.header_block or lines > limits.header_lines:
            await self._refuse(HEADER_TOO_LARGE)
            return HEADER_TOO_LARGE
        if self._descriptor < 0:
            return Content(header, bytes(self._buffer), self._lines)
        await self._spool()
        if self.refusal is not None:
            return self.refusal
        return Content(header, SpooledBody(self._path, 0, self._spooled), self._lines)

    async def discard(self) -> None:
        """Let go of memory and file."""
        self._budget.give(self._charged)
        self._charged = 0
        self._buffer = bytearray()
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
            try:
                await self._workers.run("disk", os.unlink, self._path)
            except (Busy, OSError) as error:
                self._broken(error)  # sweep() finds it at the next start

    def _split_header(self) -> bool:
        """Cut the header block, with its empty line, off the buffer."""
        buffer = self._buffer
        if buffer[:1] == b"\n":
            end = 1
        else:
            found = buffer.find(b"\n\n", max(0, self._searched - 1))
            if found < 0:
                self._searched = len(buffer)
                return False
            end = found + 2
        self._header = bytes(buffer[:end])
        del buffer[:end]
        return True

    async def _spool(self) -> None:
        piece = bytes(self._buffer)
        self._buffer.clear()
        if self._descriptor < 0:
            opened = await self._at_disk(_open, self._path)
            if opened is None:
                await self._refuse(self.refusal or DISK_BROKEN)
                return
            self._descriptor = opened
        if piece:
            await self._at_disk(_write, self._descriptor, piece)
            self._spooled += len(piece)
        self._budget.give(self._charged)
        self._charged = 0
        if self.refusal is not None:
            await self._refuse(self.refusal)

    async def _at_disk(self, job: Callable[..., int | None], *args: object) -> int | None:
        """Run ``job`` beside the reactor; trouble becomes ``refusal``."""
        try:
            waiting: Awaitable[int | None] = self._workers.run("disk", job, *args)
            return await waiting
        except Busy:
            self.refusal = DISK_BROKEN
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self.refusal = DISK_FULL if full else DISK_BROKEN
            if not full:
                self._broken(error)
        return None

    async def _refuse(self, reply: Reply) -> None:
        self.refusal = reply
        await self.discard()
