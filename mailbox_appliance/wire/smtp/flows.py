"""Content flowing: octets received become pieces with LF line ends, until DATA's dot or BDAT's last octet."""

from __future__ import annotations

from mailbox_appliance.wire.smtp.commands import Incoming
from mailbox_appliance.wire.smtp.content import ChunkScanner, DataScanner
from mailbox_appliance.wire.smtp.events import Content


class DataFlow:
    """The content of one DATA."""

    def __init__(self) -> None:
        self._scanner = DataScanner()

    def read(self, incoming: Incoming) -> Content | None:
        """The next piece; None when more octets are needed."""
        if not incoming:
            return None
        piece, lines, end = self._scanner.feed(incoming.octets, incoming.at)
        if end < 0:
            incoming.clear()
            return Content(piece, lines) if piece else None
        incoming.at = end
        return Content(piece, lines, message_ends=True, flaw=self._scanner.flaw)


class ChunkFlow:
    """The content of the BDATs of one message (RFC 3030)."""

    def __init__(self) -> None:
        self._scanner = ChunkScanner()
        self._left = 0
        self._last = False

    def expect(self, size: int, last: bool) -> None:
        """One BDAT."""
        self._left, self._last = size, last

    def read(self, incoming: Incoming) -> Content | None:
        """The next piece; None when more octets are needed."""
        octets = incoming.take(self._left)
        self._left -= len(octets)
        ends = not self._left
        piece, lines = self._scanner.feed(octets, last=ends and self._last)
        if ends:
            flaw = self._scanner.flaw
            return Content(piece, lines, chunk_ends=not self._last, message_ends=self._last, flaw=flaw)
        return Content(piece, lines) if piece else None
