"""The client's words: what it is asked to do, where it stands, and what it tells (events of ``wire/smtp/client``)."""

from __future__ import annotations

import enum
from dataclasses import field

from mailbox_appliance.mail.envelope import Envelope
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass


class Stage(enum.Enum):
    """What is waited for; the values are what a person reads in "… while waiting for VALUE"."""

    GREETING = "the greeting"
    HELLO = "the reply to EHLO"
    STARTTLS = "the reply to STARTTLS"
    HANDSHAKE = "the TLS handshake"
    AUTH = "the reply to AUTH"
    IDLE = "the next message"
    ENVELOPE = "the reply to MAIL or RCPT"
    DATA = "the reply to DATA"
    CONTENT = "the message to be taken"
    FINAL = "the reply to the message"
    QUIT = "the reply to QUIT"
    CLOSED = "nothing"


class StartTls(enum.Enum):
    """NEVER; IF_OFFERED and if it works (RFC 7435); ALWAYS or no mail."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Credentials:
    """For AUTH PLAIN or LOGIN."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One message to send. ``size`` is octets with CRLF; ``header_is_ascii`` False needs care under SMTPUTF8.

    ``probe``: ask MAIL and RCPT only, then RSET; an accepted recipient counts as delivered.
    """

    envelope: Envelope
    size: int
    eight_bit: bool = False
    header_is_ascii: bool = True
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Offers:
    """What EHLO offered: keyword in upper case → parameters; ``extended`` False after HELO."""

    keywords: dict[str, str] = field(default_factory=dict)
    extended: bool = False

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def size(self) -> int:
        """The largest message the server takes; 0 for unknown or no limit (RFC 1870 §3)."""
        text = self.keywords.get("SIZE", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms, upper case (RFC 4954 §3)."""
        return tuple(self.keywords.get("AUTH", "").upper().split())


class Trouble(enum.Enum):
    """Why a session came to nothing."""

    GREETING = "refused at the greeting"
    HELLO = "refused at EHLO"
    NO_TLS = "no TLS"
    AUTH = "log-in refused"
    NO_AUTH = "no log-in possible"
    LOST = "connection lost"
    SLOW = "no answer in time"
    MALFORMED = "does not speak SMTP"
    BUSY = "closing"  # 421
    # These four are found out by whoever holds the connection, never by the core.
    CONNECT = "no connection"
    HANDSHAKE = "the TLS handshake failed"
    CERTIFICATE = "the certificate is not good"
    PASSWORD = "no password"


@dataclass(frozen=True, slots=True)
class Ready:
    """The session stands: transactions may begin."""

    offers: Offers


@dataclass(frozen=True, slots=True)
class HandshakeDue:
    """Start TLS on the connection now, then call ``tls_started``. ``discarded`` octets came too early."""

    discarded: int


@dataclass(frozen=True, slots=True)
class ContentDue:
    """Send the content by way of ``Stuffing``, then call ``content_sent``."""


@dataclass(frozen=True, slots=True)
class Done:
    """The transaction is over: one Outcome per recipient, in order, without host and tls.

    ``broken``: the session is over too. ``at_risk``: the content had been sent whole, so it may have arrived.
    ``untold``: indices of the recipients whose outcome is only the broken session's, so another host may be tried.
    """

    outcomes: tuple[Outcome, ...]
    broken: bool = False
    at_risk: bool = False
    untold: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The session is over and no transaction was open. ``remote``: the reply is the server's own."""

    trouble: Trouble
    reply: Reply
    remote: bool
    reason: str = ""


Event = Ready | HandshakeDue | ContentDue | Done | Refusal
