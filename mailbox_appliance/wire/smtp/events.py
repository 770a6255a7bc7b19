"""What the server's machine tells the session: one frozen value for each thing a peer can bring about.

Events marked *owed* wait for exactly one ``Server.answer`` (RFC 5321 §4.2: one reply a command); the others are news.
"""

from __future__ import annotations

from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.sasl import Credentials, Proof
from mailbox_appliance.wire.smtp.claims import Claims
from mailbox_appliance.wire.smtp.content import Flaw
from mailbox_appliance.wire.smtp.grammar import MailArguments


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO (``extended``) or HELO; answered already. Any transaction is over (RFC 5321 §4.1.4)."""

    name: str
    extended: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """*Owed.* After a 220 the session flushes, starts TLS and says ``Server.tls_started`` (RFC 3207)."""


@dataclass(frozen=True, slots=True)
class LogIn:
    """*Owed.* The exchange came to its end: somebody wants to be somebody (RFC 4954)."""

    mechanism: str
    credentials: Credentials | Proof


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """*Owed.* SCRAM continues with ``Server.keys``: what is kept of ``username``."""

    username: str


@dataclass(frozen=True, slots=True)
class LogInConfirmed:
    """*Owed.* The client has seen our proof, too (``Server.prove``): the log-in is complete."""


@dataclass(frozen=True, slots=True)
class Claim:
    """*Owed.* XCLIENT: a trusted server says who the client is; a 220 begins the conversation anew."""

    claims: Claims


@dataclass(frozen=True, slots=True)
class Mail:
    """*Owed.* A transaction begins."""

    arguments: MailArguments


@dataclass(frozen=True, slots=True)
class Rcpt:
    """*Owed.* One more recipient."""

    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Begin:
    """*Owed.* DATA, or the first BDAT (``chunked``): a 354 lets the content come, anything else refuses it."""

    chunked: bool


@dataclass(frozen=True, slots=True)
class Content:
    """A piece of content with LF line ends; *owed* when ``chunk_ends`` or ``message_ends``.

    ``flaw`` is given with the end: the content was read to its end but must not be kept.
    """

    octets: bytes
    lines: int
    chunk_ends: bool = False
    message_ends: bool = False
    flaw: Flaw | None = None


@dataclass(frozen=True, slots=True)
class TooLarge:
    """BDAT announced more than a message may have, ``size`` octets; answered already, the transaction is over."""

    size: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Reset:
    """RSET, answered already: the transaction is forgotten."""


@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT, answered already: flush and close."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """The machine has said its last word to a peer that goes too far: flush and close. ``reason`` is the owner's."""

    reason: str


Event = (
    Hello
    | StartTls
    | LogIn
    | KeysWanted
    | LogInConfirmed
    | Claim
    | Mail
    | Rcpt
    | Begin
    | Content
    | TooLarge
    | Reset
    | Quit
    | CutOff
)
