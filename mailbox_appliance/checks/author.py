"""Whose name stands in From: one address that every reader finds, or no author at all (RFC 5322 §3.6.2).

smtp/ has looked before and refuses what nobody reads alike. This second reader takes the address list apart by the
grammar, and then looks for anything else that somebody might take for an address. Where more than one author could be
meant, nothing may count as proven for anybody.
"""

from __future__ import annotations

import re

from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.addresses import addresses_of
from mailbox_appliance.mail.header import unfold
from mailbox_appliance.mailauth.canonical import HeaderBlock

MOST_OCTETS = 2048  # honest ones stay far below
# What programs write against the grammar, and nobody mistakes: Eve [Sales] <eve@example.org>, Eve eve@example.org
_NAME, _PART = rb"[^\"()<>@,:;\\]*", rb"([^\s\"()<>@,:;\\\[\]]+)"
_LOOSE = (
    re.compile(_NAME + rb"<" + _PART + rb"@" + _PART + rb">"),
    re.compile(_NAME + rb"[ \t]" + _PART + rb"@" + _PART),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_QUOTED = re.compile(rb"\"(?:[^\"\\]|\\.)*\"")
_COMMENT = re.compile(rb"\([^()]*\)")
_PLAIN_LOCAL = re.compile(rb"[^\s\"()<>@,:;\\]+(?: [^\s\"()<>@,:;\\]+)*")


def author_of(block: HeaderBlock) -> Address | None:
    """The author, or None when it is not perfectly clear who that is."""
    fields = block.all(b"from")
    if block.cut or len(fields) != 1 or len(fields[0].raw) > MOST_OCTETS:
        return None
    value = unfold(fields[0].value).strip()
    pair = _address_in(value)
    if pair is None or not _PLAIN_LOCAL.fullmatch(pair[0]) or _names_more(value, *pair):
        return None
    try:
        return Address.of(pair[0].decode("utf-8"), pair[1].decode("utf-8"))
    except (AddressError, UnicodeDecodeError):
        return None


def _address_in(value: bytes) -> tuple[bytes, bytes] | None:
    """Local part and domain of the one address, by the grammar."""
    for pattern in _LOOSE:
        loose = pattern.fullmatch(value)
        if loose is not None:
            return loose[1], loose[2]
    found: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
    for mailbox in addresses_of(value):
        if mailbox.route:
            return None
        if mailbox.is_whole and mailbox.local is not None and mailbox.domain is not None:
            found[mailbox.local.lower(), mailbox.domain.lower()] = (mailbox.local, mailbox.domain)
    return next(iter(found.values())) if len(found) == 1 else None


def _names_more(value: bytes, local: bytes, domain: bytes) -> bool:
    """Is there anything besides the address itself that looks like one?"""
    if _CONTROL.search(value):
        return True
    address = re.escape(local.lower() + b"@" + domain.lower())
    rest = value.lower().replace(b'"' + local.lower() + b'"@' + domain.lower(), b" ")
    rest = _QUOTED.sub(b" ", rest)
    for _ in range(8):  # comments within comments, from the inside out
        rest, changed = _COMMENT.subn(b" ", rest)
        if not changed:
            break
    rest = re.sub(rb"(?<![^\s<,;:])" + address + rb"(?![^\s>,;])", b" ", rest)
    return rest.count(b"<") > 1 or any(sign in rest for sign in (b"@", b"(", b'"'))
