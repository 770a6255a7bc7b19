"""What happens to certificates."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInUse(Event):
    """All listeners use this certificate from their next handshake on."""

    name: ClassVar[str] = "acme.in_use"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("source",)
    source: str  # "files", "acme", "self-made"
    names: tuple[str, ...]
    issuer: str
    until: str  # "2027-02-20T10:00:00Z"
    tlsa: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateOrderFailed(Event):
    """The authority gave no certificate; what is in use stays in use, and it will be tried again."""

    name: ClassVar[str] = "acme.failed"
    level: ClassVar[Level] = Level.WARNING
    names: tuple[str, ...]
    reason: str
    remedy: str = ""
    next_try_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLeftOut(Event):
    """This name could not be proven to be ours and is not in the certificate; it is tried again every day."""

    name: ClassVar[str] = "acme.left_out"
    level: ClassVar[Level] = Level.WARNING
    host: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTroubled(Event):
    """The certificate in use is about to end, has ended, or its files could not be read."""

    name: ClassVar[str] = "acme.trouble"
    level: ClassVar[Level] = Level.WARNING
    names: tuple[str, ...] = ()
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnnounced(Event):
    """The certificate is to have a new key soon: publish its TLSA record beside the old one now."""

    name: ClassVar[str] = "acme.announced"
    level: ClassVar[Level] = Level.NOTICE
    old_tlsa: str
    new_tlsa: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated(Event):
    """The certificate has a new key: TLSA records of the old one are of no use any more."""

    name: ClassVar[str] = "acme.rotated"
    level: ClassVar[Level] = Level.NOTICE
    old_tlsa: str
    new_tlsa: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedCommandRan(Event):
    """The owner's command after a new certificate has ended."""

    name: ClassVar[str] = "acme.deployed"
    level: ClassVar[Level] = Level.NOTICE
    result: str  # "done", "exit code 3", "took longer than 60 s and was killed"
    private: str = ""  # the last line it printed
