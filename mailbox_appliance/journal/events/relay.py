"""What the relay tells the journal: what became of mail on its way to the next host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSent(Event):
    """The next host has taken the message for this recipient; it is responsible from now on."""

    name: ClassVar[str] = "relay.delivered"
    recipient: str
    host: str
    tls: str = ""
    reply: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailDeferred(Event):
    """The message could not go now for this recipient; it will be tried again."""

    name: ClassVar[str] = "relay.deferred"
    level: ClassVar[Level] = Level.NOTICE
    recipient: str
    destination: str
    host: str = ""
    reply: str = ""
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRefused(Event):
    """The message will never go to this recipient; the sender is told."""

    name: ClassVar[str] = "relay.failed"
    level: ClassVar[Level] = Level.WARNING
    recipient: str
    destination: str
    host: str = ""
    reply: str = ""
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFailed(Event):
    """One address of the next host could not be used; another one is tried if there is one."""

    name: ClassVar[str] = "relay.host_failed"
    counted_by: ClassVar[tuple[str, ...]] = ("trouble",)
    host: str
    trouble: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsDowngraded(Event):
    """A mail exchanger offers TLS that does not work, so mail to it goes in clear (it may be overheard)."""

    name: ClassVar[str] = "relay.tls_downgraded"
    level: ClassVar[Level] = Level.WARNING
    host: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLogInRefused(Event):
    """The smarthost refuses our user name or password: nothing can be sent until they are right."""

    name: ClassVar[str] = "relay.log_in_refused"
    level: ClassVar[Level] = Level.ERROR
    host: str
    user: str
    reply: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordFileReadable(Event):
    """The file with the smarthost's password can be read by others on this machine: set its mode to 0600."""

    name: ClassVar[str] = "relay.password_file_readable"
    level: ClassVar[Level] = Level.WARNING
    path: str
    mode: str
