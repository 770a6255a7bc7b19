"""The end-of-data scanner: content is taken in the pieces the network gave, never line by line.

RFC 5321 §4.1.1.4 (only CRLF "." CRLF ends DATA), §4.5.2 (dot-stuffing), §2.3.8 (CR and LF only as CRLF);
RFC 3030 (BDAT).

A piece leaves here with LF line ends and without stuffed dots. Two things make whole pieces possible:

* The tail of a piece which may be the beginning of CRLF "." CRLF is held back, so that a CRLF, or the dot behind it, is
  never cut in two. DATA begins as if a CRLF stood before it, so that a first line is like every other.
* A bare CR or LF is a question of counting: no CR may stand before anything but LF, and there must be as many LF as
  CR.

Content with a flaw is still read to its true end, so that nothing of it is ever taken for commands; it is just not
kept.
"""

from __future__ import annotations

import enum
import re

_END = b"\r\n.\r\n"


class Flaw(enum.Enum):
    """Why content cannot be kept."""

    BARE_CR = "bare CR"
    BARE_LF = "bare LF"
    NUL = "NUL"


_BARE_CR = re.compile(rb"\r[^\n]").search
_LINE_WITH_DOT = re.compile(rb"\n\.").search


def _convert(raw: bytes) -> tuple[bytes, int, Flaw | None]:
    """(LF form, line ends in it, flaw) of octets that begin and end with whole line ends.

    Taking the CRs out and searching for a CR before something else costs half of replacing CRLF by LF.
    """
    piece = raw.replace(b"\r", b"")
    lines = len(raw) - len(piece)
    if _BARE_CR(raw) or raw.endswith(b"\r"):
        return piece, lines, Flaw.BARE_CR
    if piece.count(b"\n") != lines:
        return piece, lines, Flaw.BARE_LF
    if b"\0" in piece:
        return piece, lines, Flaw.NUL
    return piece, lines, None


class DataScanner:
    """The content behind one DATA."""

    __slots__ = ("_begun", "_held", "flaw")

    def __init__(self) -> None:
        self._held = b"\r\n"  # the CRLF of the DATA command itself
        self._begun = False
        self.flaw: Flaw | None = None

    def feed(self, octets: bytes, start: int = 0) -> tuple[bytes, int, int]:
        """Take ``octets[start:]``. Returns (piece, line ends in it, offset behind the end of data or -1).

        At most five octets are held from one call to the next. After a flaw the pieces are empty.
        """
        held = self._held
        window = held + octets[start:]
        found = window.find(_END)
        if found >= 0:
            end = start + found + 5 - len(held)
            raw = window[: found + 2]
            self._held = b""
        else:
            end = -1
            keep = 0
            for length in (4, 3, 2, 1):
                if window.endswith(_END[:length]):
                    keep = length
                    break
            self._held = window[len(window) - keep :]
            raw = window[: len(window) - keep] if keep else window
        if not raw or self.flaw is not None:
            return b"", 0, end
        piece, lines, self.flaw = _convert(raw)
        if self.flaw is not None:
            return b"", 0, end
        if _LINE_WITH_DOT(piece):
            piece = piece.replace(b"\n.", b"\n")
        if not self._begun:
            self._begun = True
            return piece[1:], lines - 1, end
        return piece, lines, end


class ChunkScanner:
    """The content behind the BDATs of one message: as it is, but for its line ends."""

    __slots__ = ("_held", "flaw")

    def __init__(self) -> None:
        self._held = b""
        self.flaw: Flaw | None = None

    def feed(self, octets: bytes, *, last: bool) -> tuple[bytes, int]:
        """Take ``octets``; ``last`` when the message ends with them. Returns (piece, line ends in it)."""
        raw = self._held + octets if self._held else octets
        self._held = b""
        if raw.endswith(b"\r") and not last:
            raw, self._held = raw[:-1], b"\r"
        if not raw or self.flaw is not None:
            return b"", 0
        piece, lines, self.flaw = _convert(raw)
        return (b"", 0) if self.flaw is not None else (piece, lines)
