"""What FETCH says about a message, as octets ready for the wire: pure functions from octets to octets.

ENVELOPE and structures have files of their own; here are the parts of BODY[…]: header fields by name, sections by
number (RFC 3501 §6.4.5), and dates.
"""

from __future__ import annotations

import functools
import re

from mailbox_appliance.mail.dates import imap_date_time
from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.mime_scan import to_crlf
from mailbox_appliance.wire.imap.render_envelope import render_envelope
from mailbox_appliance.wire.imap.render_structure import render_body, render_bodystructure

__all__ = [
    "filter_header",
    "part_at",
    "render_body",
    "render_bodystructure",
    "render_envelope",
    "render_internaldate",
    "section",
]


def render_internaldate(epoch: float, zone_minutes: int = 0) -> bytes:
    """INTERNALDATE with its quotes; ``zone_minutes`` east of UTC."""
    return imap_date_time(epoch, zone_minutes)


_FOLDS = re.compile(rb"\n([ \t][^\n]*(?:\n[ \t][^\n]*)*)")


@functools.lru_cache(maxsize=128)
def _names_pattern(names: frozenset[str], exclude: bool) -> re.Pattern[bytes]:
    """Fields with (or without) these names. Every match begins with the line end before the field."""
    listed = b"|".join([re.escape(name.encode("utf-8", "surrogateescape")) for name in sorted(names)])
    if exclude:
        # Lines without a colon are shown, too: with NOT, what was not asked to go stays.
        return re.compile(rb"\n(?!(?:" + listed + rb")[ \t]*:)([^\s][^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)
    return re.compile(rb"\n((?:" + listed + rb")[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)


def filter_header(header: bytes, names: frozenset[str] | tuple[str, ...], exclude: bool = False) -> bytes:
    """BODY[HEADER.FIELDS (…)], or .NOT: the fields as written, CRLF line ends, and the empty line (RFC 3501 §6.4.5).

    ``names`` in lower case. Only the block up to its empty line is looked at.
    """
    if not names:
        return to_crlf(header[: header_end(header)]) if exclude else b"\r\n"
    pattern = _names_pattern(names if isinstance(names, frozenset) else frozenset(names), exclude)
    block = b"\n" + header[: header_end(header)]
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    found = pattern.findall(block)
    if exclude:
        if block[1:2] in (b" ", b"\t"):  # a fold of nothing
            found[:0] = _FOLDS.findall(block)[:1]
        if not block.endswith(b"\n\n"):  # no empty line, and no body: none is made up (RFC 3501 §6.4.5)
            return b"\n".join([*found, b""]).replace(b"\n", b"\r\n")
    if not found:
        return b"\r\n"
    found.append(b"\n")
    return b"\n".join(found).replace(b"\n", b"\r\n")


def part_at(part: Part, path: tuple[int, ...]) -> Part | None:
    """The part a section number names (RFC 3501 §6.4.5); () is the message itself. None when there is none.

    In a multipart numbers are its parts; what is no multipart has its body as part 1.
    """
    is_message = True
    for number in path:
        if not is_message and _encloses(part):
            part, is_message = part.children[0], True
        if part.type == "multipart":
            if not 1 <= number <= len(part.children):
                return None
            part = part.children[number - 1]
        elif number != 1 or not is_message:
            return None
        is_message = False
    return part


def _encloses(part: Part) -> bool:
    return part.type == "message" and part.subtype == "rfc822" and len(part.children) == 1


def section(part: Part, path: tuple[int, ...], what: str = "") -> tuple[int, int] | None:
    """The offsets of BODY[path.what]: ``what`` is "", "HEADER", "TEXT" or "MIME" (upper case). None means NIL.

    HEADER and TEXT of a numbered part exist only where it is an enclosed message; MIME is the part's own header.
    """
    found = part_at(part, path)
    if found is None:
        return None
    if not path:
        if what == "MIME":
            return None
        return {"HEADER": (found.start, found.body), "TEXT": (found.body, found.end)}.get(
            what, (found.start, found.end)
        )
    if what == "MIME":
        return found.start, found.body
    if what:
        if not _encloses(found):
            return None
        inner = found.children[0]
        return (inner.start, inner.body) if what == "HEADER" else (inner.body, inner.end)
    return found.body, found.end
