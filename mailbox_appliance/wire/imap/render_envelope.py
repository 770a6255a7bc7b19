"""ENVELOPE (RFC 3501 §7.4.2): the ten values that clients list messages by, out of a header block.

Several From (To, Cc …) fields are read as one list, so that no client shows less than what was checked; of Date,
Subject, Message-ID and In-Reply-To the last counts. Both are what Dovecot does.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from mailbox_appliance.mail.addresses import Mailbox, addresses_of
from mailbox_appliance.mail.header import group_fields, header_end
from mailbox_appliance.wire.imap.strings import field_string, human_string, nstring

Fields = Mapping[bytes, list[bytes]]

_CACHED_OCTETS = 256


def render_envelope(header: bytes) -> bytes:
    """The envelope of a header block (LF or CRLF; what follows its empty line is not looked at)."""
    return envelope_of(group_fields(header[: header_end(header)]))


def envelope_of(fields: Fields) -> bytes:
    """The envelope of grouped fields (mail.header.group_fields)."""
    values = fields.get(b"date")
    date = field_string(values[-1]) if values else b"NIL"
    values = fields.get(b"subject")
    subject = human_string(_without_fold_end(values[-1])) if values else b"NIL"
    from_ = _list(fields.get(b"from"))
    sender = _list(fields.get(b"sender"))
    reply_to = _list(fields.get(b"reply-to"))
    values = fields.get(b"in-reply-to")
    in_reply_to = field_string(values[-1]) if values else b"NIL"
    values = fields.get(b"message-id")
    message_id = field_string(values[-1]) if values else b"NIL"
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        date,
        subject,
        from_,
        from_ if sender == b"NIL" else sender,
        from_ if reply_to == b"NIL" else reply_to,
        _list(fields.get(b"to")),
        _list(fields.get(b"cc")),
        _list(fields.get(b"bcc")),
        in_reply_to,
        message_id,
    )


def _without_fold_end(value: bytes) -> bytes:
    return value.rstrip(b"\r\n")


def _list(values: list[bytes] | None) -> bytes:
    if values is None:
        return b"NIL"
    rendered = b"".join(
        [_cached_addresses(value) if len(value) <= _CACHED_OCTETS else _addresses(value) for value in values]
    )
    return b"(%b)" % rendered if rendered else b"NIL"


def _addresses(value: bytes) -> bytes:
    return b"".join([_address(mailbox) for mailbox in addresses_of(value)])


_cached_addresses = functools.lru_cache(maxsize=1024)(_addresses)


def _address(mailbox: Mailbox) -> bytes:
    name, route, local, domain = mailbox
    return b"(%b %b %b %b)" % (human_string(name), nstring(route), nstring(local), nstring(domain))
