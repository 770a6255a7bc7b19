"""One message of an APPEND on its way in: line ends become LF, a large one goes into a spool file as it arrives.

A bare LF is a line end from here on, as in every Maildir; CRs right before a line end belong to it (a file's CRLF is
read as one line end, so no more of them could be given back); a bare CR elsewhere stays what it is. NUL is not a
character of IMAP (RFC 3501 §9, CHAR8). Memory is bounded by ``in_memory`` and one chunk; the disk is written by the
workers.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.spoolfile import open_spool, remove_spool
from mailbox_appliance.wire.imap.binary import without_nul

_LINE_END = re.compile(rb"\r+\n")
_MOST_CRS = 65_536


class HoldsNul(Exception):
    """The message holds a NUL."""


class Intake:
    """Take chunks, finish into a Content, discard the spool file when it was stored or given up."""

    def __init__(self, workers: Workers, folder: str, in_memory: int) -> None:
        self._workers = workers
        self._folder = folder
        self._in_memory = in_memory
        self._parts: list[bytes] = []
        self._length = 0  # of ``_parts``
        self._binary: list[bytes] = []  # as it came, for there line ends are no line ends
        self._binary_length = 0
        self._lines = 0
        self._crs = 0  # CRs at the end of what came, whose LF may still come
        self._file: BinaryIO | None = None
        self._header = b""
        self._body_at = 0  # octets in the spool file

    async def take(self, octets: bytes) -> None:
        """The next octets. Raises HoldsNul, OSError (disk full), Busy."""
        if b"\0" in octets:
            raise HoldsNul
        crs = self._crs
        rest = octets.rstrip(b"\r")
        self._crs = len(octets) - len(rest)
        if not rest:
            self._crs += crs
            if self._crs > _MOST_CRS:
                self._keep(b"\r" * (self._crs - 1))
                self._crs = 1
        else:
            octets = b"\r" * crs + rest if crs else rest
            octets = octets.replace(b"\r\n", b"\n")
            self._keep(_LINE_END.sub(b"\n", octets) if b"\r\n" in octets else octets)
        if self._length > self._in_memory and self._folder:
            await self._spool()

    async def take_binary(self, octets: bytes) -> None:
        """The next octets of a literal that may hold NUL (RFC 3516 §4.3): such parts become base64, if they are small.

        Raises as ``take``.
        """
        self._binary.append(octets)
        self._binary_length += len(octets)
        if self._binary_length > self._in_memory:
            await self._settle_binary(whole=False)

    async def _settle_binary(self, *, whole: bool) -> None:
        octets = b"".join(self._binary)
        self._binary.clear()
        self._binary_length = 0
        if whole and b"\0" in octets and not (self._parts or self._file):
            octets = without_nul(octets) or octets
        if octets:
            await self.take(octets)

    def _keep(self, octets: bytes) -> None:
        self._lines += octets.count(b"\n")
        self._parts.append(octets)
        self._length += len(octets)

    async def _spool(self) -> None:
        octets = b"".join(self._parts)
        self._parts.clear()
        self._length = 0
        if self._file is None:
            end = header_end(octets)
            self._header = octets[:end] if end < len(octets) else b""
            self._file = await self._workers.run("disk", open_spool, self._folder)
        await self._workers.run("disk", self._file.write, octets)
        self._body_at += len(octets)

    async def finish(self) -> Content:
        """The whole message. Raises HoldsNul, OSError, Busy."""
        await self._settle_binary(whole=True)
        if self._crs:
            self._keep(b"\r" * self._crs)
        if self._file is None:
            octets = b"".join(self._parts)
            end = header_end(octets)
            return Content(octets[:end], octets[end:], self._lines)
        await self._spool()
        await self._workers.run("disk", self._file.flush)
        header = len(self._header)
        return Content(self._header, SpooledBody(self._file.name, header, self._body_at - header), self._lines)

    async def discard(self) -> None:
        """Let go of the spool file."""
        file, self._file = self._file, None
        if file is not None:
            await self._workers.run("disk", remove_spool, file)
