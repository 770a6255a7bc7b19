"""What SORT and THREAD compare, as octets that the index keeps with each message (RFC 5256 §2–3, RFC 5957 §3).

Both are fields between NULs, UTF-8. Text is upper case already, so that octets compare as i;unicode-casemap would,
well enough for order.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.dates import parse_date
from mailbox_appliance.mail.header import unfold
from mailbox_appliance.mail.subject import (
    base_subject,
    display_key,
    first_list,
    mailbox_key,
    message_ids,
    references_of,
)
from mailbox_appliance.wire.imap.render_envelope import Fields


class SortKeys(NamedTuple):
    """``sent`` is ASCII digits (perhaps with a sign), b"" when there is no Date to be read."""

    sent: bytes
    subject: bytes
    sender: bytes
    to: bytes
    cc: bytes
    display_from: bytes
    display_to: bytes


class ThreadKeys(NamedTuple):
    """``is_reply`` is b"1" or b"0"; ids are without angle brackets, ``references`` oldest first."""

    sent: bytes
    is_reply: bytes
    subject: bytes
    message_id: bytes
    references: list[bytes]


def keys_of_fields(fields: Fields) -> tuple[bytes, bytes]:
    """SortKeys and ThreadKeys of a message's grouped fields (mail.header.group_fields), as octets."""
    values = fields.get(b"date")
    sent = parse_date(values[0]) if values else None
    date = b"" if sent is None else b"%d" % sent.epoch
    values = fields.get(b"subject")
    base, is_reply = _base_subject_of(values[0][:4000]) if values else ("", False)
    subject = _octets(base)
    values = fields.get(b"message-id")
    ids = message_ids(values[0]) if values else ()
    from_key, display_from = _keys_of_field(fields.get(b"from"))
    to_key, display_to = _keys_of_field(fields.get(b"to"))
    cc_key, _ = _keys_of_field(fields.get(b"cc"))
    sort = (date, subject, *map(_octets, (from_key, to_key, cc_key, display_from, display_to)))
    thread = (date, b"1" if is_reply else b"0", subject, ids[0] if ids else b"", *references_of(fields))
    return b"\0".join(sort), b"\0".join([part.replace(b"\0", b"?") for part in thread])


@functools.lru_cache(maxsize=512)
def _base_subject_of(value: bytes) -> tuple[str, bool]:
    return base_subject(decode_words(unfold(value)))


@functools.lru_cache(maxsize=512)
def _keys_of_value(value: bytes) -> tuple[str, str]:
    mailboxes = first_list([value])
    return mailbox_key(mailboxes), display_key(mailboxes)


def _keys_of_field(values: list[bytes] | None) -> tuple[str, str]:
    """What SORT and SORT=DISPLAY compare of the values of an address field."""
    return _keys_of_value(values[0][:400]) if values else ("", "")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "replace").replace(b"\0", b"?")


def read_sort_keys(octets: bytes) -> SortKeys:
    """From the index; what is no such row is a message without keys."""
    parts = octets.split(b"\0")
    return SortKeys(*parts) if len(parts) == len(SortKeys._fields) else SortKeys(*[b""] * len(SortKeys._fields))


def read_thread_keys(octets: bytes) -> ThreadKeys:
    """The same."""
    parts = octets.split(b"\0")
    if len(parts) < 4:
        return ThreadKeys(b"", b"0", b"", b"", [])
    sent, is_reply, subject, message_id, *references = parts
    return ThreadKeys(sent, is_reply, subject, message_id, references)
