"""Everything the index keeps of a message, made in one pass when it is delivered or first seen.

One scan finds the parts; envelope, structures, preview and the keys of SORT and THREAD (RFC 5256, RFC 5957) come of
it. Octets are those of the file (LF line ends); every size is that of the CRLF form.
"""

from __future__ import annotations

import functools

from mailbox_appliance.mail.addresses import Mailbox
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.dates import SentDate, parse_date
from mailbox_appliance.mail.header import Octets, unfold
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.mime_scan import Node, find_parts
from mailbox_appliance.mail.subject import (
    base_subject,
    display_key,
    first_list,
    mailbox_key,
    message_ids,
    references_of,
)
from mailbox_appliance.mail.text import beginning_of, first_text
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.imap.render_envelope import envelope_of
from mailbox_appliance.wire.imap.render_structure import Shape, structure_of

PREVIEW_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Prerendered:
    """One message's row. ``sent`` is None when there is no Date to be read; keys are upper case (i;unicode-casemap
    compares them well enough for order); ids are without angle brackets, ``references`` oldest first."""

    envelope: bytes
    body: bytes
    bodystructure: bytes
    size: int  # octets with CRLF, RFC822.SIZE
    header_size: int  # of these, the header with its empty line
    preview: bytes  # UTF-8, one line, at most PREVIEW_CHARACTERS
    sent: SentDate | None
    subject: str  # base subject
    is_reply: bool
    message_id: bytes
    references: tuple[bytes, ...]
    from_key: str
    to_key: str
    cc_key: str
    display_from: str
    display_to: str


def prerender(octets: Octets) -> Prerendered:
    """``octets``: the file, LF line ends (CRLF here and there does no harm). Never raises for what it contains."""
    root = find_parts(octets, crlf=True)
    fields = root.fields or {}
    text = first_text(root)
    if isinstance(text, Node):
        beginning = beginning_of(text, octets, text.body_at, text.end_at, PREVIEW_CHARACTERS)
    else:
        beginning = ""
    values = fields.get(b"date")
    sent = parse_date(values[0]) if values else None
    values = fields.get(b"subject")
    subject, is_reply = base_subject_of(values[0][:4000]) if values else ("", False)
    values = fields.get(b"message-id")
    ids = message_ids(values[0]) if values else []
    from_key, display_from = keys_of_field(fields.get(b"from"))
    to_key, display_to = keys_of_field(fields.get(b"to"))
    cc_key, _ = keys_of_field(fields.get(b"cc"))
    return Prerendered(
        envelope_of(fields),
        structure_of(root, _envelope, extended=False),
        structure_of(root, _envelope, extended=True),
        root.end,
        root.body,
        beginning.encode("utf-8", "replace"),
        sent,
        subject,
        is_reply,
        ids[0] if ids else b"",
        references_of(fields),
        from_key,
        to_key,
        cc_key,
        display_from,
        display_to,
    )


def preview(part: Part, octets: bytes) -> bytes:
    """PREVIEW (RFC 8970 §3): the beginning of the text; ``octets`` are those that ``part``'s offsets belong to."""
    text = first_text(part)
    if text is None:
        return b""
    return beginning_of(text, octets, text.body, text.end, PREVIEW_CHARACTERS).encode("utf-8", "replace")


def _envelope(message: Shape) -> bytes:
    """Of an enclosed message: its fields were grouped when it was found."""
    assert isinstance(message, Node)
    return envelope_of(message.fields or {})


@functools.lru_cache(maxsize=512)
def base_subject_of(value: bytes) -> tuple[str, bool]:
    """Of a Subject field's raw value."""
    return base_subject(decode_words(unfold(value)))


@functools.lru_cache(maxsize=512)
def _keys_of_value(value: bytes) -> tuple[str, str]:
    mailboxes: list[Mailbox] = first_list([value])
    return mailbox_key(mailboxes), display_key(mailboxes)


def keys_of_field(values: list[bytes] | None) -> tuple[str, str]:
    """What SORT and SORT=DISPLAY compare of the values of an address field."""
    return _keys_of_value(values[0][:400]) if values else ("", "")
