"""IMAP strings as the server writes them: quoted, literal or NIL (RFC 3501 §4.3, §9)."""

from __future__ import annotations

import re

# Beyond this many escapes a literal is shorter and easier on clients.
_MOST_ESCAPES = 4
_PLAIN = re.compile(rb"[^\"\\\r\n\0\x80-\xff]*")
_QUOTABLE = re.compile(rb"[^\r\n\0\x80-\xff]*")
_ESCAPED = re.compile(rb"[\"\\]")
_RUN_OF_BLANKS = re.compile(rb"[ \t\r\n]+")
_NEEDS_FOLDING = re.compile(rb"[\t\r\n]|  |^ | $")
_UNFOLDED = re.compile(rb"[\r\n]+([ \t]?)")


def string(value: bytes) -> bytes:
    """A quoted string where the grammar allows it, else a literal. NUL, which neither may hold, becomes U+FFFD."""
    if _PLAIN.fullmatch(value):
        return b'"' + value + b'"'
    if b"\0" in value:
        value = value.replace(b"\0", b"\xef\xbf\xbd")
    if _QUOTABLE.fullmatch(value) and len(_ESCAPED.findall(value)) <= _MOST_ESCAPES:
        return b'"' + _ESCAPED.sub(rb"\\\g<0>", value) + b'"'
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """The same; None is NIL."""
    return b"NIL" if value is None else string(value)


def field_string(value: bytes | None) -> bytes:
    """A field's raw value on one line: line ends vanish, or become a blank where none follows."""
    if value is None:
        return b"NIL"
    if b"\n" in value or b"\r" in value:
        value = _UNFOLDED.sub(lambda fold: fold[1] or b" ", value.rstrip(b"\r\n"))
    return string(value)


def human_string(value: bytes | None) -> bytes:
    """Text for people (subject, display name): runs of white space are one blank, none at the ends."""
    if value is None:
        return b"NIL"
    if _NEEDS_FOLDING.search(value):
        value = _RUN_OF_BLANKS.sub(b" ", value).strip(b" ")
    return string(value)
