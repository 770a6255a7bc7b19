"""What our own people submit goes to hosts without SMTPUTF8 too, where its header block can be said in ASCII.

Texts outside ASCII (Subject, display names) become encoded words (RFC 2047), domains A-labels (RFC 5891). This happens
at submission (RFC 6409 §8.5), before our signatures are made: later it would break them. An address whose local part
is not ASCII cannot be written otherwise; its field stays, and so the message needs SMTPUTF8 (RFC 6531 §3.5). A host
that does not offer it gets nothing, and the sender a report with 5.6.7. Mail of others is never changed.
"""

from __future__ import annotations

import re

from mailbox_appliance.mail.address import AddressError, domain_to_ascii

_PEOPLE = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
_ADDRESSES = frozenset((*_PEOPLE, *(b"resent-" + name for name in _PEOPLE)))
_TEXTS = frozenset((b"subject", b"comments", b"organization", b"thread-topic", b"resent-comments"))
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:((?:[^\n]|\n[ \t])*)\n", re.MULTILINE)
_DOMAIN = re.compile(r"(?<=@)[^\s<>,;:\"()@\[\]\\]+")
_LONGEST = 20_000  # octets of a field that are worth the time; folding is quadratic in places


def in_ascii(header: bytes) -> bytes:
    """The header block (LF line ends, empty line included), with each field in ASCII where that is possible."""
    if header.isascii():
        return header
    return _FIELD.sub(_said_otherwise, header)


def _said_otherwise(match: re.Match[bytes]) -> bytes:
    """One whole field with its line end, or another way to write it."""
    field, name = match[0], match[1]
    kind = name.lower()
    if field.isascii() or len(field) > _LONGEST or kind not in _ADDRESSES | _TEXTS:
        return field
    try:
        text = re.sub(r"\n(?=[ \t])", "", match[2].decode("utf-8")).strip()
    except UnicodeDecodeError:
        return field  # some older character set: nobody knows which
    if kind in _ADDRESSES:
        text = _DOMAIN.sub(_a_label, text)
    return _encoded(name.decode("ascii", "replace"), text) or field


def _a_label(match: re.Match[str]) -> str:
    try:
        return domain_to_ascii(match[0])
    except AddressError:
        return match[0]


def _encoded(name: str, text: str) -> bytes | None:
    """The field in ASCII; None when that would change what it says."""
    from email import policy  # a rare path: not for every start
    from email.errors import MessageError

    make = policy.default.header_factory
    try:
        meant = make(name, text)
        octets: bytes = meant.fold(policy=policy.default.clone(linesep="\n", max_line_length=76)).encode("ascii")
        read = make(name, re.sub(r"\n(?=[ \t])", "", octets.decode("ascii").partition(":")[2].strip()))
    except (UnicodeError, MessageError, ValueError, IndexError, AttributeError, TypeError):
        return None  # not a field as the library reads them
    if str(read) != str(meant) or max(map(len, octets.split(b"\n"))) > 998 or octets.count(b"\n\n"):
        return None
    addresses = getattr(meant, "addresses", None)
    if addresses is not None:
        if not addresses or meant.defects or not all(one.addr_spec.isascii() for one in addresses):
            return None
        if [one.addr_spec for one in read.addresses] != [one.addr_spec for one in addresses]:
            return None
    return octets
