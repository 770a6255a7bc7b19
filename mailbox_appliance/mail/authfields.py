"""What our own Authentication-Results on top of a kept message says, as small words ("spf pass"; RFC 8601 §2.2)."""

from __future__ import annotations

import re

from mailbox_appliance.mail.header import header_end, unfold

_FIELD = re.compile(rb"^authentication-results[ \t]*:((?:.*\n[ \t])*.*)", re.IGNORECASE | re.MULTILINE)
_RESULT = re.compile(rb"(?:^|;)\s*(spf|dkim|dmarc|arc|iprev)\s*=\s*([a-z]{2,12})", re.IGNORECASE)
_COMMENT = re.compile(rb"\([^()]*\)")
_TOP = 16_384  # octets: ours stands above what the sender wrote


def seen_words(octets: bytes, authserv_id: str) -> tuple[str, ...]:
    """Each method with its result, once; () where no field of ``authserv_id`` is there.

    Fields that claim to be ours are taken out at the border, so this one is.
    """
    head = octets[: min(header_end(octets), _TOP)].replace(b"\r\n", b"\n")
    ours = authserv_id.encode("ascii", "replace").lower()
    for match in _FIELD.finditer(head):
        value = _COMMENT.sub(b" ", unfold(match[1])).strip()
        name, _, rest = value.partition(b";")
        if name.strip().lower().split(b" ")[:1] == [ours]:
            found = {b"%b %b" % pair for pair in _RESULT.findall(b";" + rest)}
            return tuple(sorted(one.decode("ascii").lower() for one in found))
    return ()
