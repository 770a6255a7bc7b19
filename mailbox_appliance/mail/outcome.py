"""What became of one recipient of one attempt: delivered, to be tried again, or failed (RFC 3464 §2.3.3)."""

from __future__ import annotations

import enum

from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass


class Result(enum.Enum):
    """The three ends of an attempt."""

    DELIVERED = "delivered"
    TRY_AGAIN = "try again"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``reply`` is the next host's words (or ours in its stead); ``host`` who said them; ``reason`` is for the owner.

    ``remote`` is True when ``reply`` came over the wire: then a DSN says Diagnostic-Code: smtp.
    """

    result: Result
    reply: Reply
    host: str = ""  # "mx.example.org [192.0.2.1]"
    reason: str = ""  # in plain words, with the remedy
    remote: bool = False
    tls: str = ""  # "TLSv1.3 verified", "TLSv1.2", "" for clear
    dsn: bool = False  # the next host took NOTIFY over (RFC 3461 §5.2.2): success is its to report
