"""BODY and BODYSTRUCTURE (RFC 3501 §7.4.2) out of a tree of parts.

A multipart without parts cannot be said in the grammar; it is shown with one empty text part inside (as Dovecot and
Cyrus do). Types, dispositions, encodings and parameter names are shown in lower case: they mean the same in any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.parameters import Parameters
from mailbox_appliance.wire.imap.render_envelope import render_envelope
from mailbox_appliance.wire.imap.strings import nstring, string

_EMPTY_PART = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
_EMPTY_PART_EXTENDED = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'


class Shape(Protocol):
    """What the two kinds of parts (mail.mime.Part, mail.mime_scan.Node) have in common."""

    @property
    def body(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def subtype(self) -> str: ...
    @property
    def parameters(self) -> Parameters: ...
    @property
    def encoding(self) -> str: ...
    @property
    def content_id(self) -> bytes | None: ...
    @property
    def description(self) -> bytes | None: ...
    @property
    def disposition(self) -> tuple[str, Parameters] | None: ...
    @property
    def language(self) -> tuple[str, ...]: ...
    @property
    def location(self) -> bytes | None: ...
    @property
    def md5(self) -> bytes | None: ...
    @property
    def children(self) -> Sequence[Shape]: ...


EnvelopeOf = Callable[[Shape], bytes]


def render_bodystructure(part: Part, octets: bytes) -> bytes:
    """BODYSTRUCTURE; ``octets`` are those that ``part``'s offsets belong to."""
    return structure_of(part, _envelopes_in(octets), extended=True)


def render_body(part: Part, octets: bytes) -> bytes:
    """BODY: the same without extension data."""
    return structure_of(part, _envelopes_in(octets), extended=False)


def _envelopes_in(octets: bytes) -> EnvelopeOf:
    def envelope(message: Shape) -> bytes:
        assert isinstance(message, Part)
        return render_envelope(octets[message.start : message.body])

    return envelope


def structure_of(part: Shape, envelope: EnvelopeOf, *, extended: bool) -> bytes:
    """Any tree; ``envelope`` is asked for each enclosed message."""
    if part.type == "multipart":
        return _multipart(part, envelope, extended)
    return _leaf(part, envelope, extended)


def _multipart(part: Shape, envelope: EnvelopeOf, extended: bool) -> bytes:
    inner = b"".join([structure_of(child, envelope, extended=extended) for child in part.children])
    if not inner:
        inner = _EMPTY_PART_EXTENDED if extended else _EMPTY_PART
    if not extended:
        return b"(%b %b)" % (inner, _text(part.subtype))
    return b"(%b %b %b%b)" % (inner, _text(part.subtype), _parameters(part.parameters), _extension(part))


def _leaf(part: Shape, envelope: EnvelopeOf, extended: bool) -> bytes:
    is_text = part.type == "text"
    is_message = part.type == "message" and part.subtype == "rfc822" and len(part.children) == 1
    parameters = part.parameters
    if is_text and not any(name == "charset" for name, _ in parameters):
        parameters = (*parameters, ("charset", "us-ascii"))  # RFC 2045 §5.2
    out = b"(%b %b %b %b %b %b %d" % (
        _text(part.type),
        _text(part.subtype),
        _parameters(parameters),
        b"NIL" if part.content_id is None else string(part.content_id),
        b"NIL" if part.description is None else string(part.description),
        _text(part.encoding),
        part.end - part.body,
    )
    if is_text:
        out = b"%b %d" % (out, part.lines)
    elif is_message:
        child = part.children[0]
        out = b"%b %b %b %d" % (out, envelope(child), structure_of(child, envelope, extended=extended), part.lines)
    if extended:
        return b"%b %b%b)" % (out, nstring(part.md5), _extension(part))
    return out + b")"


def _extension(part: Shape) -> bytes:
    """Disposition, language, location, each with a blank before it."""
    if part.disposition is None:
        disposition = b"NIL"
    else:
        disposition = b"(%b %b)" % (_text(part.disposition[0]), _parameters(part.disposition[1]))
    language = b"(%b)" % b" ".join([_text(tag) for tag in part.language]) if part.language else b"NIL"
    return b" %b %b %b" % (disposition, language, nstring(part.location))


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (_text(name), _text(value)) for name, value in parameters])


_known_texts: dict[str, bytes] = {
    text: b'"%b"' % text.encode("ascii")
    for text in (
        "text plain html mixed alternative related report signed message rfc822 application octet-stream image jpeg "
        "png gif pdf charset us-ascii utf-8 iso-8859-1 windows-1252 boundary name filename attachment inline format "
        "flowed 7bit 8bit base64 quoted-printable"
    ).split()
}


def _text(text: str) -> bytes:
    return _known_texts.get(text) or string(text.encode("utf-8", "surrogateescape"))
