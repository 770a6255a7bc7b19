"""What SORT and THREAD compare, as octets that the index keeps with each message (RFC 5256 §2–3, RFC 5957 §3).

Both are fields between NULs, UTF-8. Text is upper case already, so that octets compare as i;unicode-casemap would,
well enough for order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailbox_appliance.mail.dates import SentDate, parse_date
from mailbox_appliance.mail.header import Octets, group_fields, header_end
from mailbox_appliance.mail.subject import message_ids, references_of
from mailbox_appliance.wire.imap.prerender import Prerendered, base_subject_of, keys_of_field
from mailbox_appliance.wire.imap.render_envelope import Fields

_HEAD = 1 << 20


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


def render_keys(octets: Octets) -> tuple[bytes, bytes]:
    """SortKeys and ThreadKeys of a message, or of its header alone, as octets."""
    return keys_of_fields(group_fields(octets[: min(header_end(octets), _HEAD)]))


def keys_of_fields(fields: Fields) -> tuple[bytes, bytes]:
    """The same, of grouped fields (mail.header.group_fields)."""
    values = fields.get(b"date")
    sent = parse_date(values[0]) if values else None
    values = fields.get(b"subject")
    subject, is_reply = base_subject_of(values[0][:4000]) if values else ("", False)
    values = fields.get(b"message-id")
    ids = message_ids(values[0]) if values else ()
    from_key, display_from = keys_of_field(fields.get(b"from"))
    to_key, display_to = keys_of_field(fields.get(b"to"))
    cc_key, _ = keys_of_field(fields.get(b"cc"))
    own = ids[0] if ids else b""
    texts = (from_key, to_key, cc_key, display_from, display_to)
    return _joined(sent, subject, is_reply, own, references_of(fields), texts)


def keys_of(made: Prerendered) -> tuple[bytes, bytes]:
    """The same, of what was made already."""
    texts = (made.from_key, made.to_key, made.cc_key, made.display_from, made.display_to)
    return _joined(made.sent, made.subject, made.is_reply, made.message_id, made.references, texts)


def _joined(
    sent: SentDate | None,
    subject: str,
    is_reply: bool,
    message_id: bytes,
    references: Sequence[bytes],
    texts: Sequence[str],
) -> tuple[bytes, bytes]:
    date = b"" if sent is None else b"%d" % sent.epoch
    topic = _octets(subject)
    sort = (date, topic, *map(_octets, texts))
    thread = (date, b"1" if is_reply else b"0", topic, message_id, *references)
    return b"\0".join(sort), b"\0".join([part.replace(b"\0", b"?") for part in thread])


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
