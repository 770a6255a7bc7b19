"""What FETCH may ask of a message (RFC 3501 §6.4.5; RFC 7162 CHANGEDSINCE, RFC 8970 PREVIEW, RFC 8514 SAVEDATE)."""

from __future__ import annotations

import re
from collections.abc import Callable

from mailbox_appliance.ports.store import Column
from mailbox_appliance.wire.imap import commands
from mailbox_appliance.wire.imap.commands import Attribute, Item, Nothing, Prerendered, Section
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.sets import partial_range, read_set

MOST_ATTRIBUTES = 100
MOST_FIELDS = 200
DEEPEST_PART = 100

_COLUMNS = {
    word: Prerendered(word.encode("ascii"), column)
    for word, column in {
        "ENVELOPE": Column.ENVELOPE,
        "INTERNALDATE": Column.INTERNALDATE,
        "RFC822.SIZE": Column.SIZE,
        "BODYSTRUCTURE": Column.BODYSTRUCTURE,
        "SAVEDATE": Column.SAVEDATE,
        "PREVIEW": Column.PREVIEW,
        "EMAILID": Column.EMAILID,
    }.items()
}
_BODY = Prerendered(b"BODY", Column.BODY)
_SIMPLE: dict[str, Attribute] = {
    **_COLUMNS,
    "UID": Item.UID,
    "FLAGS": Item.FLAGS,
    "MODSEQ": Item.MODSEQ,
    "THREADID": Nothing(b"THREADID"),
    "RFC822": Section(b"RFC822", peek=False),
    "RFC822.HEADER": Section(b"RFC822.HEADER", text="HEADER"),
    "RFC822.TEXT": Section(b"RFC822.TEXT", text="TEXT", peek=False),
}
_MACROS: dict[str, tuple[Attribute, ...]] = {
    "FAST": (Item.FLAGS, _COLUMNS["INTERNALDATE"], _COLUMNS["RFC822.SIZE"]),
    "ALL": (Item.FLAGS, _COLUMNS["INTERNALDATE"], _COLUMNS["RFC822.SIZE"], _COLUMNS["ENVELOPE"]),
    "FULL": (Item.FLAGS, _COLUMNS["INTERNALDATE"], _COLUMNS["RFC822.SIZE"], _COLUMNS["ENVELOPE"], _BODY),
}
_PART = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*")
_SECTION_TEXT = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_PARTIAL = re.compile(rb"<([0-9]{1,19})\.([0-9]{1,19})>")
_WORD = re.compile(rb"[A-Za-z0-9.]+")
_FIELD_NAME = re.compile(rb"[!-9;-~]+")


def fetching(*, uids: bool) -> Callable[[Cursor], commands.Fetch]:
    """The parser of FETCH or UID FETCH."""

    def fetch(cursor: Cursor) -> commands.Fetch:
        cursor.space()
        messages = read_set(cursor, uids=uids)
        cursor.space()
        attributes = read_attributes(cursor)
        changed_since = None
        vanished = False
        partial = None
        if cursor.skip(b" "):
            cursor.expect(b"(")
            while True:
                word = cursor.word()
                if word == "CHANGEDSINCE" and changed_since is None:
                    cursor.space()
                    changed_since = cursor.modseq()
                elif word == "VANISHED" and uids:
                    vanished = True
                elif word == "PARTIAL" and uids and partial is None:
                    cursor.space()
                    partial = partial_range(cursor)
                else:
                    raise BadSyntax("unknown modifier of FETCH")
                if cursor.skip(b")"):
                    break
                cursor.space()
            if vanished and changed_since is None:
                raise BadSyntax("VANISHED needs CHANGEDSINCE")
        cursor.end()
        implied = uids and Item.UID not in attributes
        if implied:  # RFC 3501 §6.4.8: the answer of UID FETCH always holds the UID
            attributes = (Item.UID, *attributes)
        return commands.Fetch(messages, attributes, changed_since, vanished, partial, implied)

    return fetch


def read_attributes(cursor: Cursor) -> tuple[Attribute, ...]:
    """A macro, one attribute, or a list of them; doubles are left out. Raises BadSyntax."""
    if not cursor.skip(b"("):
        found = _WORD.match(cursor.octets, cursor.at)
        macro = _MACROS.get(found[0].decode("ascii").upper()) if found else None
        if found and macro:
            cursor.at = found.end()
            return macro
        return (_attribute(cursor),)
    attributes = {_attribute(cursor): None}
    for _ in range(MOST_ATTRIBUTES):
        if cursor.skip(b")"):
            return tuple(attributes)
        cursor.space()
        attributes[_attribute(cursor)] = None
    raise BadSyntax("too many attributes")


def _attribute(cursor: Cursor) -> Attribute:
    found = _WORD.match(cursor.octets, cursor.at)
    if found is None:
        raise BadSyntax("expected a fetch attribute")
    word = found[0].decode("ascii").upper()
    cursor.at = found.end()
    if word in ("BODY", "BODY.PEEK") and cursor.comes(b"["):
        return read_section(cursor, peek=word == "BODY.PEEK")
    if word == "BODY":
        return _BODY
    if word in ("BINARY", "BINARY.PEEK", "BINARY.SIZE"):
        return _binary(cursor, word)
    if word == "PREVIEW" and cursor.skip(b" ("):  # RFC 8970 §3.1: the LAZY modifier
        if not cursor.skip_word("LAZY"):
            raise BadSyntax("unknown modifier of PREVIEW")
        cursor.expect(b")")
    try:
        return _SIMPLE[word]
    except KeyError:
        raise BadSyntax("unknown fetch attribute") from None


def _binary(cursor: Cursor, word: str) -> Section:
    """section-binary: part numbers alone (RFC 3516 §6)."""
    section = read_section(cursor, peek=word != "BINARY")
    size = word == "BINARY.SIZE"
    if section.text or (size and section.partial):
        raise BadSyntax("this is no section of BINARY")
    label = (b"BINARY.SIZE" if size else b"BINARY") + section.label.removeprefix(b"BODY")
    return Section(label, section.part, "", (), section.partial, section.peek, decoded=True, size_only=size)


def read_section(cursor: Cursor, *, peek: bool) -> Section:
    """ "[" [section-spec] "]" ["<" number "." nz-number ">"]"""
    cursor.expect(b"[")
    part: tuple[int, ...] = ()
    spelled = b""
    found = _PART.match(cursor.octets, cursor.at)
    if found is not None:
        spelled = found[0]
        part = tuple(map(int, spelled.split(b".")))
        if len(part) > DEEPEST_PART:
            raise BadSyntax("the part lies too deep")
        cursor.at = found.end()
        if cursor.skip(b"."):
            spelled += b"."
        elif not cursor.comes(b"]"):
            raise BadSyntax("this is no section")
    text = ""
    fields: tuple[str, ...] = ()
    if not cursor.comes(b"]"):
        kind = _SECTION_TEXT.match(cursor.octets, cursor.at)
        if kind is None:
            raise BadSyntax("this is no section")
        cursor.at = kind.end()
        text = kind[0].decode("ascii").upper()
        if text == "MIME" and not part:
            raise BadSyntax("MIME belongs to a part")
        spelled += kind[0].upper()
        if text.startswith("HEADER.FIELDS"):
            cursor.space()
            names, said = _field_names(cursor)
            fields = names
            spelled += b" (" + said + b")"
    elif spelled.endswith(b"."):
        raise BadSyntax("this is no section")
    cursor.expect(b"]")
    label = b"BODY[" + spelled + b"]"
    partial = None
    cut = _PARTIAL.match(cursor.octets, cursor.at)
    if cut is not None:
        partial = (int(cut[1]), int(cut[2]))
        if not partial[1]:
            raise BadSyntax("a slice of nothing")
        if max(partial) >= 1 << 63:
            raise BadSyntax("the number is too large")
        label += b"<%d>" % partial[0]
        cursor.at = cut.end()
    return Section(label, part, text, fields, partial, peek)


def _field_names(cursor: Cursor) -> tuple[tuple[str, ...], bytes]:
    """header-list: the names in lower case, and as they are said in the answer."""
    cursor.expect(b"(")
    names: list[str] = []
    said: list[bytes] = []
    while True:
        name = cursor.astring()
        if not _FIELD_NAME.fullmatch(name) or len(name) > 200:
            raise BadSyntax("this is no field name")
        names.append(name.decode("ascii").lower())
        # Said as the client wrote it (an atom where it can be), for clients which compare the label.
        said.append(name if _is_atom(name) else b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"')
        if cursor.skip(b")"):
            return tuple(dict.fromkeys(names)), b" ".join(said)
        if len(names) == MOST_FIELDS:
            raise BadSyntax("too many field names")
        cursor.space()


def _is_atom(name: bytes) -> bool:
    return not set(name) & set(b'(){%*"\\')
