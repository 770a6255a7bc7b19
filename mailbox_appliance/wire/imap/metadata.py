"""METADATA's arguments and answers (RFC 5464 §5): entries are paths below /private and /shared."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailbox_appliance.wire.imap import commands
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.strings import string

MOST_ENTRIES = 100
LONGEST_NAME = 200
_NAME = re.compile(r"/(?:private|shared)(?:/[^/*%\x00-\x1f\x7f-\uffff]+)+")


def entry_names(cursor: Cursor) -> tuple[str, ...]:
    """entries: one, or a list of them in parentheses. Raises BadSyntax."""
    if not cursor.skip(b"("):
        return (_entry(cursor),)
    names = [_entry(cursor)]
    while not cursor.skip(b")"):
        cursor.space()
        names.append(_entry(cursor))
        if len(names) > MOST_ENTRIES:
            raise BadSyntax("too many entries")
    return tuple(names)


def _entry(cursor: Cursor) -> str:
    octets = cursor.astring()
    name = octets.decode("ascii", "replace").lower()  # names are compared without regard to case
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise BadSyntax("an entry is a path below /private or /shared")
    return name


def get_metadata(cursor: Cursor) -> commands.GetMetadata:
    """GETMETADATA [SP "(" options ")"] SP mailbox SP entries; the options may stand behind the mailbox, too."""
    cursor.space()
    most: int | None = None
    depth: int | None = 0
    if cursor.skip(b"("):
        most, depth = _options(cursor)
        cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    if (cursor.comes(b"(MAXSIZE") or cursor.comes(b"(DEPTH")) and cursor.skip(b"("):
        most, depth = _options(cursor)
        cursor.space()
    entries = entry_names(cursor)
    cursor.end()
    return commands.GetMetadata(mailbox, entries, most, depth)


def _options(cursor: Cursor) -> tuple[int | None, int | None]:
    most: int | None = None
    depth: int | None = 0
    while True:
        word = cursor.word()
        cursor.space()
        if word == "MAXSIZE":
            most = cursor.number()
        elif word == "DEPTH":
            level = cursor.word()
            if level not in ("0", "1", "INFINITY"):
                raise BadSyntax("DEPTH is 0, 1 or infinity")
            depth = None if level == "INFINITY" else int(level)
        else:
            raise BadSyntax("unknown option of GETMETADATA")
        if cursor.skip(b")"):
            return most, depth
        cursor.space()


def set_metadata(cursor: Cursor) -> commands.SetMetadata:
    """SETMETADATA SP mailbox SP "(" entry SP value … ")\""""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    cursor.expect(b"(")
    entries: list[tuple[str, bytes | None]] = []
    while True:
        name = _entry(cursor)
        cursor.space()
        entries.append((name, cursor.nstring()))
        if len(entries) > MOST_ENTRIES:
            raise BadSyntax("too many entries")
        if cursor.skip(b")"):
            break
        cursor.space()
    cursor.end()
    return commands.SetMetadata(mailbox, tuple(entries))


def metadata_line(mailbox: bytes, entries: Iterable[tuple[str, bytes | None]]) -> bytes:
    """METADATA with values; ``mailbox`` as responses.mailbox gives it."""
    pairs = [b"%b %b" % (name.encode("ascii"), b"NIL" if value is None else _value(value)) for name, value in entries]
    return b"* METADATA %b (%b)\r\n" % (mailbox, b" ".join(pairs))


def _value(value: bytes) -> bytes:
    return b"~{%d}\r\n%b" % (len(value), value) if b"\0" in value else string(value)
