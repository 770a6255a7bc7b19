"""BINARY (RFC 3516): contents out of their transfer encoding, and into one where they hold NUL."""

from __future__ import annotations

import binascii
import re

from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.mime_scan import scan
from mailbox_appliance.mail.text import decode_base64

IDENTITY = frozenset({"7bit", "8bit", "binary", ""})
KNOWN = IDENTITY | {"base64", "quoted-printable"}
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_LINE_TAIL = re.compile(rb"[ \t]+(\r?\n|\Z)")
_LONGEST_LINE = 65_536
_ENCODING = re.compile(rb"^Content-Transfer-Encoding:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)


class Decoder:
    """Contents of one part, decoded as they come; what is broken is read as far as it goes."""

    __slots__ = ("_encoding", "_rest")

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._rest = b""

    def take(self, octets: bytes, *, last: bool) -> bytes:
        """The next octets, decoded as far as they can be."""
        if self._encoding in IDENTITY:
            return octets
        octets = self._rest + octets
        if self._encoding == "base64":
            octets = _NOT_BASE64.sub(b"", octets)
            cut = len(octets) if last else len(octets) // 4 * 4
            self._rest = octets[cut:]
            return decode_base64(octets[:cut]) if cut else b""
        cut = len(octets) if last else octets.rfind(b"\n") + 1
        if not cut and len(octets) > _LONGEST_LINE:
            cut = octets.rfind(b"=", len(octets) - 3)
            cut = len(octets) if cut < 0 else cut
        self._rest = octets[cut:]
        # White space at a line's end is none of the author's (RFC 2045 §6.7, rule 3).
        return binascii.a2b_qp(_LINE_TAIL.sub(rb"\1", octets[:cut])) if cut else b""


def literal8(octets: bytes) -> bytes:
    """A literal, of the kind that may hold NUL where it does (RFC 3516 §4.2)."""
    return b"%b{%d}\r\n%b" % (b"~" if b"\0" in octets else b"", len(octets), octets)


def without_nul(octets: bytes) -> bytes | None:
    """A message whose binary parts became base64 (RFC 3516 §4.3); None when NULs are elsewhere."""
    pieces: list[bytes] = []
    at = 0
    waiting = [scan(octets)]
    while waiting:
        part = waiting.pop()
        if b"\0" not in octets[part.body : part.end]:
            continue
        pieces.append(octets[at : part.start])
        header = octets[part.start : part.body]
        if part.children:
            pieces.append(_with_encoding(header, b"8bit"))
            at = part.body
            waiting += reversed(part.children)
        elif part.encoding == "binary":
            body = octets[part.body : part.end]
            lines = [binascii.b2a_base64(body[i : i + 57], newline=False) for i in range(0, len(body), 57)]
            pieces += (
                _with_encoding(header, b"base64"),
                b"\r\n".join(lines),
                b"" if _ends_open(part, octets) else b"\r\n",
            )
            at = part.end
        else:
            return None
    pieces.append(octets[at:])
    whole = b"".join(pieces)
    return None if b"\0" in whole else whole


def _ends_open(part: Part, octets: bytes) -> bool:
    """Does a boundary's own line end follow?"""
    return octets.startswith((b"\r\n", b"\n"), part.end)


def _with_encoding(header: bytes, encoding: bytes) -> bytes:
    line = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    if _ENCODING.search(header):
        return _ENCODING.sub(line, header, count=1)
    return line + header
