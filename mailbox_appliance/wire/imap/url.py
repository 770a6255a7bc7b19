"""The part of IMAP URLs that CATENATE needs (RFC 5092, RFC 4469): a message of this account, or a section of it."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.imap.commands import Section
from mailbox_appliance.wire.imap.fetch import read_section
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor, mailbox_name

_URL = re.compile(
    r"(?:/(?P<mailbox>[^;]+?))?/?(?:;UIDVALIDITY=(?P<validity>[0-9]{1,10}))?/?;UID=(?P<uid>[0-9]{1,10})"
    r"(?:/;SECTION=(?P<section>[^;]+?))?(?:/;PARTIAL=(?P<offset>[0-9]{1,18})(?:\.(?P<length>[0-9]{1,18}))?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """``mailbox`` is '' for the one that is selected; ``uidvalidity`` 0 when the URL does not say."""

    mailbox: str
    uidvalidity: int
    uid: int
    section: Section


def read_url(octets: bytes) -> MessageUrl | None:
    """``/mailbox;UIDVALIDITY=…/;UID=…/;SECTION=…/;PARTIAL=…``, or from ``;UID`` on; None for anything else."""
    try:
        found = _URL.fullmatch(octets.decode("ascii"))
        if found is None:
            return None
        name = unquote_to_bytes(found["mailbox"] or "").decode("utf-8")
        spelled = unquote_to_bytes(found["section"] or "")
        if b"]" in spelled:
            return None
        section = read_section(Cursor(b"[%b]" % spelled), peek=True)
    except (UnicodeDecodeError, BadSyntax):
        return None
    partial = None
    if found["offset"] is not None:
        partial = (int(found["offset"]), int(found["length"] or 1 << 62))
    return MessageUrl(
        mailbox_name(name),
        int(found["validity"] or 0),
        int(found["uid"]),
        Section(section.label, section.part, section.text, section.fields, partial),
    )
