"""What the relay tells the journal: what became of mail on its way to the next host."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


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
    """TLS with a mail host does not work, or is worse than it once was, so mail to it may be overheard."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv6Nameless(Event):
    """Our IPv6 address has no name, so mail goes by IPv4 only: set its PTR record at the provider of the address."""

    name: ClassVar[str] = "relay.ipv6_nameless"
    level: ClassVar[Level] = Level.NOTICE
    address: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StsPolicyTrouble(Event):
    """A domain says it has an MTA-STS policy, which cannot be fetched; an older one counts, or none."""

    name: ClassVar[str] = "relay.sts_policy_trouble"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("trouble",)
    domain: str
    trouble: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicyUnmet(Event):
    """A host does not keep what its domain promises about TLS; no mail goes to it, unless the promise is a test."""

    name: ClassVar[str] = "relay.tls_policy_unmet"
    level: ClassVar[Level] = Level.WARNING
    counted_by: ClassVar[tuple[str, ...]] = ("policy",)
    domain: str
    host: str
    policy: str
    reason: str
    only_testing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRefusesUs(Event):
    """A provider refuses our address for its reputation; ``smarthost`` carries its mail until ``days`` are over."""

    name: ClassVar[str] = "relay.provider_refuses_us"
    level: ClassVar[Level] = Level.WARNING
    provider: str
    reply: str
    smarthost: str = ""
    days: int = 0
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FellBack(Event):
    """Direct delivery has failed too often for this message, so the smarthost carries it."""

    name: ClassVar[str] = "relay.fell_back"
    level: ClassVar[Level] = Level.NOTICE
    destination: str
    smarthost: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReportSent(Event):
    """A domain that asks for it was told how TLS with its mail hosts went yesterday."""

    name: ClassVar[str] = "relay.tls_report_sent"
    domain: str
    recipient: tuple[str, ...]
    good: int
    bad: int
