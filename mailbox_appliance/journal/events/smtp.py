"""What happens on ports 25, 587 and 465: connections, log-ins, refusals with what the peer was told, acceptance."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(Event):
    """A peer has connected."""

    name: ClassVar[str] = "smtp.connected"
    level: ClassVar[Level] = Level.DEBUG
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    port: int
    service: str
    origin: str
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduced(Event):
    """A trusted server in front of us has said which client it speaks for."""

    name: ClassVar[str] = "smtp.introduced"
    level: ClassVar[Level] = Level.DEBUG
    counted_by: ClassVar[tuple[str, ...]] = ("service", "how")
    peer: str
    service: str
    by: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hairpin(Event):
    """A connection came from one of our own public addresses: the router sent us to ourselves; it is granted nothing.

    If this machine shall be trusted, put the address under [networks] lan.
    """

    name: ClassVar[str] = "smtp.hairpin"
    level: ClassVar[Level] = Level.NOTICE
    peer: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway(Event):
    """A connection was refused before anything was said."""

    name: ClassVar[str] = "smtp.turned_away"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service", "reason")
    peer: str
    service: str
    reason: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowedDown(Event):
    """A network opens connections, or an account logs in, faster than anybody needs to: it must wait for an answer."""

    name: ClassVar[str] = "smtp.slowed_down"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    account: str = ""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsStarted(Event):
    """A connection is encrypted from here on."""

    name: ClassVar[str] = "smtp.tls"
    level: ClassVar[Level] = Level.DEBUG
    counted_by: ClassVar[tuple[str, ...]] = ("service", "version")
    peer: str
    service: str
    version: str
    cipher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFailed(Event):
    """A peer began TLS but no encryption came about."""

    name: ClassVar[str] = "smtp.tls_failed"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn(Event):
    """Somebody logged in to send mail."""

    name: ClassVar[str] = "smtp.logged_in"
    counted_by: ClassVar[tuple[str, ...]] = ("service", "mechanism")
    account: str
    device: str = ""
    peer: str
    service: str
    mechanism: str
    tls: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInFailed(Event):
    """A log-in was refused; ``username`` is what the peer typed."""

    name: ClassVar[str] = "smtp.login_failed"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    username: str
    peer: str
    service: str
    mechanism: str
    reason: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderRefused(Event):
    """MAIL was refused."""

    name: ClassVar[str] = "smtp.sender_refused"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    helo: str = ""
    account: str = ""
    device: str = ""
    sender: str
    told: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientRefused(Event):
    """RCPT was refused."""

    name: ClassVar[str] = "smtp.recipient_refused"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    helo: str = ""
    account: str = ""
    device: str = ""
    sender: str
    recipient: str
    told: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused(Event):
    """The content of a message was refused or put off, and its sender was told so."""

    name: ClassVar[str] = "smtp.message_refused"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    helo: str = ""
    account: str = ""
    device: str = ""
    sender: str
    recipient: tuple[str, ...]
    size: int
    message_id: str = ""
    told: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Event):
    """A message was taken over: it is safe with us from now on. ``seconds`` run from MAIL to the reply."""

    name: ClassVar[str] = "smtp.accepted"
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    helo: str = ""
    account: str = ""
    device: str = ""
    sender: str
    recipient: tuple[str, ...]
    size: int
    message_id: str = ""
    tls: str = ""
    junk: str = ""  # why it goes to Junk
    reason: str = ""  # recipients it could not be taken for
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CutShort(Event):
    """We ended a conversation that went too far (errors, unknown recipients, silence, dawdling, no SMTP at all)."""

    name: ClassVar[str] = "smtp.cut_short"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    helo: str = ""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(Event):
    """A connection was lost in the middle of a transaction; nothing was accepted by it."""

    name: ClassVar[str] = "smtp.interrupted"
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    helo: str = ""
    sender: str
    recipient: tuple[str, ...] = ()
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected(Event):
    """A connection has ended."""

    name: ClassVar[str] = "smtp.disconnected"
    level: ClassVar[Level] = Level.DEBUG
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str
    messages: int
    seconds: float
