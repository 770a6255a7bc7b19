"""The columns of FETCH made of one message's octets, by the name of their kind.

A *kind* is a named column of rendered octets: "envelope", "bodystructure", "body", "preview", "emailid", a list of
header fields ("fields:cc,date,…", "but:received"), or the casemapped text of a field for searching ("text:subject").
"""

from __future__ import annotations

import functools
import hashlib
import mmap
from collections.abc import Mapping, Sequence

from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.header import group_fields, header_end, unfold
from mailbox_appliance.mail.mime_scan import Node, find_parts
from mailbox_appliance.mail.text import casemap, field_texts
from mailbox_appliance.ports.store import Column, Fields
from mailbox_appliance.wire.imap.keys import keys_of_fields
from mailbox_appliance.wire.imap.preview import preview_of
from mailbox_appliance.wire.imap.render import filter_header
from mailbox_appliance.wire.imap.render_envelope import envelope_of
from mailbox_appliance.wire.imap.render_structure import Shape, structure_of

LARGEST_HEAD = 1024 * 1024
KEYS = frozenset({"sortkeys", "threadkeys"})
STRUCTURES = frozenset({"bodystructure", "body"})
_OF_PARTS = STRUCTURES | {"preview"}  # what the message's parts must be found for

_CACHED_OCTETS = 256

Grouped = Mapping[bytes, list[bytes]]  # mail.header.group_fields


def kind_of(column: Column | Fields) -> str | None:
    """The kind's name, or None when the arrays have the answer."""
    if isinstance(column, Fields):
        names = sorted(set(column.names))
        return ("but:" if column.exclude else "fields:") + ",".join(names)
    if column in (Column.INTERNALDATE, Column.SIZE, Column.SAVEDATE):
        return None
    return str(column.value)


def _text_of(fields: Grouped, name: str, header: bytes) -> bytes:
    """What a search in the field ``name`` looks at, casemapped (mail.text.field_texts)."""
    values = fields.get(name.encode("latin-1", "replace"), ())
    if any(b"(" in value for value in values):
        texts = [casemap(text) for text in field_texts(header, name)]
    else:
        texts = [_cached(value) if len(value) <= _CACHED_OCTETS else _searched(value) for value in values]
    return "\n".join(texts).encode("utf-8", "surrogatepass")


def _searched(value: bytes) -> str:
    return casemap(decode_words(unfold(value)).strip())


_cached = functools.lru_cache(maxsize=1024)(_searched)  # people write to the same people


def _filtered(kind: str, header: bytes) -> bytes:
    sort, _, rest = kind.partition(":")
    return filter_header(header, tuple(rest.split(",")) if rest else (), sort == "but")


def _enclosed(message: Shape) -> bytes:
    return envelope_of(message.fields or {}) if isinstance(message, Node) else b"NIL"


def render_one(octets: bytes | mmap.mmap, kinds: Sequence[str]) -> dict[str, bytes]:
    """The values of ``kinds`` for one message (LF or CRLF line ends). Its fields are split once for all of them."""
    made: dict[str, bytes] = {}
    fields: Grouped | None = None
    if not _OF_PARTS.isdisjoint(kinds):
        root = find_parts(octets, crlf=True)
        fields = root.fields
        if "preview" in kinds:
            made["preview"] = preview_of(root, octets)
        for kind in STRUCTURES.intersection(kinds):
            made[kind] = structure_of(root, _enclosed, extended=kind == "bodystructure")
    if "emailid" in kinds:
        made["emailid"] = b"M" + hashlib.blake2b(octets, digest_size=12).hexdigest().encode()
    if len(made) == len(kinds):
        return made
    header = octets[: min(header_end(octets), LARGEST_HEAD)]
    if fields is None:
        fields = {} if all(kind.startswith(("fields:", "but:")) for kind in kinds) else group_fields(header)
    if not KEYS.isdisjoint(kinds):
        made["sortkeys"], made["threadkeys"] = keys_of_fields(fields)
    values: dict[str, bytes] = {}
    for kind in kinds:
        value = made.get(kind)
        if value is None:
            if kind == "envelope":
                value = envelope_of(fields)
            elif kind.startswith("text:"):
                value = _text_of(fields, kind[5:], header)
            else:
                value = _filtered(kind, header)
        values[kind] = value
    return values
