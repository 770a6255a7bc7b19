"""The envelope of one message: who sends it, to whom, and what was asked for (RFC 5321 §2.3.1, RFC 3461)."""

from __future__ import annotations

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT: the forward path and its DSN parameters (RFC 3461 §4.1, §4.2).

    ``marks``: keywords decided on when the message came, for a copy that waits until its mailbox has room.
    """

    forward_path: Address
    notify: frozenset[str] = frozenset()  # of NEVER SUCCESS FAILURE DELAY; empty = not said
    original: str = ""  # ORCPT, "rfc822;ann@example.org", xtext decoded
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Envelope:
    """MAIL and its RCPTs. ``reverse_path`` None is the null path of bounces and receipts."""

    reverse_path: Address | None
    recipients: tuple[Recipient, ...] = ()
    eight_bit: bool = False  # BODY=8BITMIME (RFC 6152)
    smtputf8: bool = False  # RFC 6531
    ret: str = ""  # RET=FULL or HDRS (RFC 3461 §4.3)
    envid: str = ""  # ENVID (RFC 3461 §4.4), xtext decoded
    require_tls: bool = False  # RFC 8689
    hold_until: float = 0.0  # FUTURERELEASE (RFC 4865), epoch seconds; 0 = now
