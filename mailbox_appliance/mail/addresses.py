"""Address lists of header fields (RFC 5322 §3.4, obsolete forms of §4.4 included): what From, To and Cc name.

Nothing raises: whatever is broken comes back as a mailbox that says so, the way Dovecot says it, so that a client
shows at least what it can. Most fields are a few plain addresses and are read by one pattern; the rest by a reader
that goes over the octets once or twice. Text stays octets: RFC 2047 words are decoded by who wants to read them.
"""

from __future__ import annotations

import re

from mailbox_appliance.mail.address_reader import (
    ATEXT,
    ATEXT_DOT,
    DOT_ATOM,
    GROUP_END,
    LARGEST_FIELD,
    MOST_ADDRESSES,
    Mailbox,
    Reader,
)

__all__ = ["GROUP_END", "MOST_ADDRESSES", "Mailbox", "addresses_of"]

# A plain address and the comma or end behind it: "Name" <a@b>, Name Of It <a@b>, <a@b>, a@b.
_PLAIN = re.compile(
    rb"[ \t\r\n]*(?:(?:\"([^\"\\\r\n\0]*)\" *|(" + ATEXT + ATEXT_DOT + rb"*(?: " + ATEXT_DOT + rb"+)*) *)?"
    rb"<(" + DOT_ATOM + rb")@(" + DOT_ATOM + rb")>|(" + DOT_ATOM + rb")@(" + DOT_ATOM + rb"))[ \t\r\n]*(,|$)"
)


def addresses_of(value: bytes) -> list[Mailbox]:
    """The addresses of one field's raw value (folded or not)."""
    value = value[:LARGEST_FIELD]
    found: list[Mailbox] = []
    at, end = 0, len(value)
    while at < end:
        match = _PLAIN.match(value, at)
        if match is None:
            # Something rarer: read it all again slowly, so that the answer depends on one reader only.
            return Reader(value).address_list()
        quoted, phrase, local, domain, bare_local, bare_domain, comma = match.groups()
        if bare_local is not None:
            found.append(Mailbox(None, None, bare_local, bare_domain))
        else:
            found.append(Mailbox(quoted or phrase or None, None, local, domain))
        if len(found) >= MOST_ADDRESSES:
            break
        at = match.end()
        if comma and at == end:
            break
    return found
