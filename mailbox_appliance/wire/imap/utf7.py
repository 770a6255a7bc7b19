"""Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3) to text and back.

Only the canonical spelling is taken: printable ASCII stands for itself, runs of everything else are base64 of UTF-16BE
between "&" and "-", two runs never touch, and nothing that ASCII can say is encoded.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

_ENCODED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_RUN = re.compile(r"[^\x20-\x7e]+|&")


class BadName(ValueError):
    """The octets are no modified UTF-7."""


def decode(octets: bytes) -> str:
    """Read a mailbox name. Raises BadName for 8-bit octets, controls, broken or needless encoding.

    >>> decode(b"Entw&APw-rfe")
    'Entwürfe'
    """
    if not _PRINTABLE.fullmatch(octets):
        raise BadName("a mailbox name is printable ASCII in modified UTF-7")
    if b"&" not in octets:
        return octets.decode("ascii")
    pieces: list[str] = []
    at = 0
    after_run = False
    while (start := octets.find(b"&", at)) >= 0:
        pieces.append(octets[at:start].decode("ascii"))
        after_run = after_run and start == at
        found = _ENCODED.match(octets, start)
        if found is None:
            raise BadName("the modified UTF-7 is not ended by a hyphen")
        run = found[1]
        if not run:
            pieces.append("&")
            after_run = False
        elif after_run:
            raise BadName("two encoded runs touch")
        else:
            pieces.append(_decode_run(run))
            after_run = True
        at = found.end()
    pieces.append(octets[at:].decode("ascii"))
    return "".join(pieces)


def decode_utf8(octets: bytes) -> str:
    """A name in UTF-8, in normalization form C as RFC 5198 has it. Raises BadName for controls and broken UTF-8."""
    try:
        name = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("a mailbox name is UTF-8") from None
    if _CONTROL.search(name):
        raise BadName("a mailbox name holds no control characters")
    return unicodedata.normalize("NFC", name)


def _decode_run(run: bytes) -> str:
    padded = run.replace(b",", b"/") + b"=" * (-len(run) % 4)
    try:
        text = base64.b64decode(padded, validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise BadName("the modified UTF-7 is broken") from None
    if not text or _encode_run(text) != run:
        raise BadName("the modified UTF-7 is not in its shortest form")
    if any(" " <= c <= "~" for c in text):
        raise BadName("the modified UTF-7 hides ASCII")
    return text


def _encode_run(text: str) -> bytes:
    return base64.b64encode(text.encode("utf-16-be", "surrogatepass")).rstrip(b"=").replace(b"/", b",")


def encode(name: str) -> bytes:
    """Say a mailbox name.

    >>> encode("Entwürfe & mehr")
    b'Entw&APw-rfe &- mehr'
    """
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode("ascii")
    return _RUN.sub(_spell, name).encode("ascii")


def _spell(found: re.Match[str]) -> str:
    run = found[0]
    return "&-" if run == "&" else f"&{_encode_run(run).decode('ascii')}-"
