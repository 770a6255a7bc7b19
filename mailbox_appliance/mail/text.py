"""The text people search in: fields decoded, bodies out of their transfer encoding and charset, HTML without tags.

Comparison is i;unicode-casemap (RFC 5051): title case, then decomposition. Bodies come in pieces of bounded size, each
beginning with the end of the one before, so that a needle on the seam is found. Nothing raises: octets that do not
decode are read as far as they do.
"""

from __future__ import annotations

import binascii
import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Protocol

from mailbox_appliance.mail.addresses import addresses_of
from mailbox_appliance.mail.charset import SlicedText, decode, decode_words
from mailbox_appliance.mail.header import Octets, split_fields, unfold
from mailbox_appliance.mail.html import html_to_text
from mailbox_appliance.mail.parameters import Parameters

PIECE = 1 << 18  # octets of a body that are decoded at once
OVERLAP = 256  # characters of the piece before

# Characters whose simple title case is not what str.upper gives: sharp s, ligatures, Georgian, Greek with marks
# (a test compares this with Unicode's tables). For use within the brackets of a pattern.
SPECIAL = (
    "\u00df\u0149\u01c4-\u01cc\u01f0-\u01f3\u0390\u03b0\u0587\u10d0-\u10fa\u10fd-\u10ff\u1e96-\u1e9a"
    "\u1f50\u1f52\u1f54\u1f56\u1f80-\u1faf\u1fb2-\u1fb4\u1fb6-\u1fb7\u1fbc\u1fc2-\u1fc4\u1fc6-\u1fc7"
    "\u1fcc\u1fd2-\u1fd3\u1fd6-\u1fd7\u1fe2-\u1fe4\u1fe6-\u1fe7\u1ff2-\u1ff4\u1ff6-\u1ff7\u1ffc"
    "\ufb00-\ufb06\ufb13-\ufb17"
)


class TextPart(Protocol):
    """The names of a part that are needed here (mail.mime.Part and mail.mime_scan.Node have them)."""

    @property
    def start(self) -> int: ...
    @property
    def body(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def subtype(self) -> str: ...
    @property
    def parameters(self) -> Parameters: ...
    @property
    def encoding(self) -> str: ...
    @property
    def disposition(self) -> tuple[str, Parameters] | None: ...
    @property
    def children(self) -> Sequence[TextPart]: ...


# ---- comparison


def casemap(text: str) -> str:
    """``text`` as i;unicode-casemap compares it (RFC 5051 §2); substring search on two such texts is the match."""
    if text.isascii():
        return text.upper()
    octets = text.encode("utf-8", "surrogatepass")
    foreign = octets.translate(None, _ASCII)
    if len(foreign) * 8 <= len(octets) and (mapped := _mapped_by_kind(octets, foreign)) is not None:
        return mapped
    return _mapped(text)


def _mapped(text: str) -> str:
    if _SPECIAL.search(text):
        return "".join(
            [
                _title(piece) if index % 2 else unicodedata.normalize("NFKD", piece.upper())
                for index, piece in enumerate(_SPECIAL.split(text))
            ]
        )
    return unicodedata.normalize("NFKD", text.upper())


def _mapped_by_kind(octets: bytes, foreign: bytes) -> str | None:
    """``casemap`` of UTF-8 with few kinds of characters beyond ASCII, a whole text at a time for each kind.

    None where one character's map depends on its neighbours (marks are put in order), or on other kinds.
    """
    kinds = set(foreign.decode("utf-8", "surrogatepass"))
    if len(kinds) > _FEW:
        return None
    maps = [(kind, _map_of(kind)) for kind in kinds]
    for kind, mapped in maps:
        if unicodedata.combining(mapped[0]) or (kind != mapped and not kinds.isdisjoint(mapped)):
            return None
    octets = octets.upper()
    for kind, mapped in maps:
        if kind != mapped:
            octets = octets.replace(kind.encode("utf-8", "surrogatepass"), mapped.encode("utf-8", "surrogatepass"))
    return octets.decode("utf-8", "surrogatepass")


@functools.lru_cache(maxsize=1024)
def _map_of(character: str) -> str:
    return _mapped(character)


_ASCII = bytes(range(128))
_FEW = 16


def _title(character: str) -> str:
    title = character.title()
    return unicodedata.normalize("NFKD", title if len(title) == 1 else character)


_SPECIAL = re.compile(f"([{SPECIAL}])")


# ---- fields


def field_texts(header: bytes, name: str | None = None) -> Iterator[str]:
    """The decoded text of the fields ``name`` (lower case), or "Name: text" of all of them."""
    for field, value in split_fields(header):
        if name is None:
            yield f"{field.decode('latin-1')}: {decode_words(unfold(value))}"
        elif field.rstrip().lower().decode("latin-1") == name:
            text = decode_words(unfold(value)).strip()
            # An address that comments interrupt is found as what it means, too.
            yield f"{text}\n{_spelled_plainly(value)}" if b"(" in value and name in _ADDRESSED else text


def _spelled_plainly(value: bytes) -> str:
    """Addresses without their comments, one a line."""
    found = [mailbox for mailbox in addresses_of(unfold(value)) if mailbox.local and mailbox.domain]
    return b"\n".join([b"%b@%b" % (mailbox.local or b"", mailbox.domain or b"") for mailbox in found]).decode(
        "utf-8", "replace"
    )


_ADDRESSED = frozenset({"from", "to", "cc", "bcc", "sender", "reply-to"})


# ---- bodies


def body_texts(part: TextPart, octets: Octets, *, overlap: int = OVERLAP) -> Iterator[str]:
    """The searchable text below ``part`` in pieces: text/* and message/*, the headers of parts and enclosed messages.

    A part's header names its file, which people look for (RFC 3501 §6.4.4: BODY and TEXT are of the whole body).

    ``overlap`` ≥ the needle's length finds it across pieces of one part. ``octets`` are those of ``part``'s offsets.
    """
    waiting: list[tuple[TextPart, bool]] = [(part, False)]
    while waiting:
        found, is_enclosed = waiting.pop()
        if is_enclosed:
            yield from field_texts(octets[found.start : found.body])
        if found.type == "multipart":
            waiting += [(child, True) for child in reversed(found.children)]
        elif found.children:
            waiting += [(child, True) for child in reversed(found.children)]
        elif found.type in ("text", "message"):
            yield from _leaf_texts(found, octets, overlap)


def _leaf_texts(part: TextPart, octets: Octets, overlap: int) -> Iterator[str]:
    charset = charset_of(part)
    is_html = part.subtype == "html"
    if part.end - part.body <= PIECE:
        text = decode(decode_transfer(octets[part.body : part.end], part.encoding), charset)
        yield html_to_text(text) if is_html else text
        return
    slices = SlicedText(charset)
    tail = ""
    for piece, last in _slices(part, octets):
        text = slices.take(decode_transfer(piece, part.encoding), last=last)
        text = html_to_text(text) if is_html else text
        yield tail + text
        tail = text[-overlap:] if overlap else ""


def _slices(part: TextPart, octets: Octets) -> Iterator[tuple[bytes, bool]]:
    """The body cut behind line ends where there are any; base64 is cut at groups of four letters."""
    at = part.body
    left_over = b""
    while at < part.end:
        stop = min(at + PIECE, part.end)
        last = stop == part.end
        piece = octets[at:stop]
        if part.encoding == "base64":
            letters = left_over + _NOT_BASE64.sub(b"", piece)
            usable = len(letters) if last else len(letters) // 4 * 4
            left_over = letters[usable:]
            yield letters[:usable], last
        else:
            if not last:
                cut = piece.rfind(b"\n") + 1
                if cut > PIECE // 2:
                    piece = piece[:cut]
            yield piece, last
        at += len(piece)


def charset_of(part: TextPart) -> str:
    """The charset parameter, "" when there is none."""
    for name, value in part.parameters:
        if name == "charset":
            return value
    return ""


_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} ", re.MULTILINE)


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Out of the Content-Transfer-Encoding (RFC 2045 §6); broken base64 is read as far as it goes."""
    if encoding == "quoted-printable":
        return binascii.a2b_qp(octets)
    if encoding == "base64":
        return decode_base64(octets)
    return octets


def decode_base64(octets: bytes) -> bytes:
    """Base64 as people send it: without padding, with rubbish in it, cut off in the middle."""
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        letters = _NOT_BASE64.sub(b"", octets).replace(b"=", b"")  # padding in the middle says nothing
        return binascii.a2b_base64(letters[: len(letters) - (len(letters) % 4 == 1)] + b"==")


# ---- preview

_UNSEEN = re.compile(r"[\u200b-\u200f\u034f\ufeff\u00ad]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def beginning_of(part: TextPart, octets: Octets, start: int, end: int, characters: int) -> str:
    """The first ``characters`` of a text part whose body is ``octets[start:end]``, on one line."""
    text = ""
    # A little is nearly always enough; HTML may need more, for what is not seen comes first.
    for size in (1024, 8192, 65536):
        piece = octets[start : min(end, start + size)]
        if part.encoding == "base64":
            letters = _NOT_BASE64.sub(b"", piece)
            piece = letters[: len(letters) // 4 * 4]
        text = decode(decode_transfer(piece, part.encoding), charset_of(part))
        if part.subtype == "html":
            text = html_to_text(text)
        if not text.isascii():
            text = _UNSEEN.sub(" ", text)
        text = " ".join(text.split())
        if len(text) > characters or start + size >= end:
            break
    return _CONTROLS.sub("", text[:characters]).rstrip()


def first_text(part: TextPart) -> TextPart | None:
    """What a preview is made of: the first plain text that is no attachment, or else the first HTML."""
    waiting: list[TextPart] = [part]
    html: TextPart | None = None
    for _ in range(1000):
        if not waiting:
            break
        found = waiting.pop()
        if found.children:
            waiting += reversed(found.children)
        elif found.type == "text" and (found.disposition is None or found.disposition[0] != "attachment"):
            if found.subtype != "html":
                return found
            html = html or found
    return html
