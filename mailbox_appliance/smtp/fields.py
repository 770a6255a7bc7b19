"""The header block at the border: what it says, what is taken out of it, what is put on top.

RFC 5322 §3.6 (Date, Message-ID, From, Bcc), RFC 5321 §4.4 (Received, Return-Path), §6.3 (loops), RFC 8601 §5 (forged
Authentication-Results), RFC 6409 §8 (what a submission server may mend), RFC 3848 and RFC 6531 §4.3 (the "with" word).

Fields taken out, whoever sends them: Return-Path, Delivered-To, X-Spam-*, and Authentication-Results and Received-SPF
that bear our own name. From what users and devices submit also Bcc and Resent-Bcc.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from email.utils import formatdate

from mailbox_appliance.mail.authfields import without_comments
from mailbox_appliance.mail.client import Client, IPAddress
from mailbox_appliance.mail.header import group_fields, remove_fields, unfold
from mailbox_appliance.mail.values import dataclass

STRIPPED = frozenset({"return-path", "delivered-to", "x-mailappliance-link", "x-mailappliance-again"})
STRIPPED_PREFIX = "x-spam-"
STRIPPED_WHEN_OURS = frozenset({"authentication-results", "received-spf"})
STRIPPED_ON_SUBMISSION = frozenset({"bcc", "resent-bcc"})

_SUSPECTS = frozenset(name.encode("ascii") for name in STRIPPED | STRIPPED_WHEN_OURS | STRIPPED_ON_SUBMISSION)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What the border needs to know of a header block."""

    authors: list[bytes]  # raw values of all From fields
    message_id: str  # "" when there is none
    has_date: bool
    received: int
    suspicious: bool  # there may be something to take out


def read_facts(header: bytes) -> HeaderFacts:
    """One pass over the block (LF line ends, empty line included)."""
    groups = group_fields(header)
    identifiers = groups.get(b"message-id", ())
    message_id = unfold(identifiers[0]).strip().decode("ascii", "replace") if identifiers else ""
    prefix = STRIPPED_PREFIX.encode("ascii")
    return HeaderFacts(
        authors=groups.get(b"from", []),
        message_id=_UNPRINTABLE.sub("?", message_id)[:250],
        has_date=b"date" in groups,
        received=len(groups.get(b"received", ())),
        suspicious=any(name in _SUSPECTS or name.startswith(prefix) for name in groups),
    )


def strip_border_fields(header: bytes, authserv_id: str, *, submission: bool) -> bytes:
    """The block without what only we may say, and on submission without Bcc."""
    is_ours = _said_by(authserv_id)

    def unwanted(name: str, value: bytes) -> bool:
        if name in STRIPPED or name.startswith(STRIPPED_PREFIX):
            return True
        return is_ours(name, value) or (submission and name in STRIPPED_ON_SUBMISSION)

    return remove_fields(header, unwanted)


def strip_paired_fields(header: bytes, authserv_id: str) -> bytes:
    """The block without what a stranger has said in our name: the other half of a pair knows it by another name."""
    return remove_fields(header, _said_by(authserv_id))


def _said_by(authserv_id: str) -> Callable[[str, bytes], bool]:
    """Is a field one of the results that only we may state (RFC 8601 §5)?"""
    ours = authserv_id.encode("ascii", "replace").lower()
    named = re.compile(rb"(?<![a-z0-9.\-])" + re.escape(ours) + rb"(?![a-z0-9\-]|\.[a-z0-9])")

    def is_ours(name: str, value: bytes) -> bool:
        if name == "authentication-results":
            # A comment may hold a semicolon, and quotes the name in pieces; what is broken is read as it stands.
            heads = (text.lower().partition(b";")[0] for text in (value, without_comments(unfold(value))))
            return any(named.search(head) is not None for head in heads)
        return name == "received-spf" and named.search(value.lower()) is not None

    return is_ours


@functools.lru_cache(maxsize=2)
def _date_of(second: int) -> str:
    return formatdate(second).removesuffix("-0000") + "+0000"  # UTC, and not "time zone unknown" (RFC 5322 §3.3)


def date_field(now: float) -> bytes:
    """A Date field for a submitted message that has none."""
    return f"Date: {_date_of(int(now))}\n".encode("ascii")


def message_id_field(trace: str, hostname: str) -> tuple[bytes, str]:
    """A Message-ID field for a submitted message that has none, and its value."""
    value = f"<{trace}@{hostname}>"
    return f"Message-ID: {value}\n".encode("ascii"), value


def address_literal(address: IPAddress) -> str:
    """[192.0.2.1], [IPv6:2001:db8::1] (RFC 5321 §4.1.3)."""
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def protocol_word(client: Client, smtputf8: bool) -> str:
    """What stands behind "with": SMTP, ESMTP, ESMTPS, ESMTPSA, UTF8SMTPS … (RFC 3848, RFC 6531 §4.3)."""
    if client.service == "lmtp":
        return "UTF8LMTP" if smtputf8 else "LMTP"
    if not client.extended:
        return "SMTP"
    word = "UTF8SMTP" if smtputf8 else "ESMTP"
    return word + ("S" if client.tls else "") + ("A" if client.account else "")


def received_field(
    client: Client, hostname: str, trace: str, now: float, *, recipient: str, smtputf8: bool, hide_client: bool
) -> bytes:
    """Our Received field (RFC 5321 §4.4). ``recipient`` "" leaves the for clause out.

    ``hide_client``: of what our own people submit, neither address nor name of their machine is told to the world.
    """
    if hide_client:
        source = "submission" if client.account else client.helo if client.service == "link" else "lan"
    else:
        source = f"{client.helo or 'unknown'} ({address_literal(client.address)})"
    tls = f" ({client.tls} {client.cipher})".replace(" )", ")") if client.tls else ""
    whom = f"\n\tfor <{recipient}>" if recipient else ""
    return (
        f"Received: from {source}\n\tby {hostname} with {protocol_word(client, smtputf8)}{tls}"
        f"\n\tid {trace}{whom}; {_date_of(int(now))}\n"
    ).encode()
