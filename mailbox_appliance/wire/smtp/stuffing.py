"""Content on its way out: LF becomes CRLF, leading dots are doubled, and no bare CR or LF ever leaves.

RFC 5321 §2.3.8 (line ends), §4.5.2 (transparency). Two ``bytes.replace`` a chunk; chunks may be cut anywhere.
"""

from __future__ import annotations


class Stuffing:
    """One message. ``chunk`` each piece in order, then ``end``."""

    def __init__(self) -> None:
        self._at_line_start = True
        self._held_cr = False

    def chunk(self, octets: bytes) -> bytes:
        """The wire form of one piece of the content (LF line ends; a stray CR counts as a line end)."""
        if self._held_cr or b"\r" in octets:
            octets = self._without_cr(octets)
        if not octets:
            return b""
        dot = b"." if self._at_line_start and octets[0] == 46 else b""
        self._at_line_start = octets[-1] == 10
        return dot + octets.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")

    def end(self) -> bytes:
        """What closes the content: a line end if one is missing, and the dot line."""
        last = self.chunk(b"\n") if self._held_cr else b""
        return last + (b".\r\n" if self._at_line_start else b"\r\n.\r\n")

    def _without_cr(self, octets: bytes) -> bytes:
        # Rare: what we accepted has no CR. Still, no line end but CRLF may pass (smuggling).
        if self._held_cr:
            octets = b"\r" + octets
        self._held_cr = octets.endswith(b"\r")
        if self._held_cr:
            octets = octets[:-1]
        return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
