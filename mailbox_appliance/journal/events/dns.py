"""What the resolver tells the journal: name servers that fall silent and speak again."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NameServerSilent(Event):
    """A name server gives no usable answer; others are asked instead, and with none left mail has to wait."""

    name: ClassVar[str] = "dns.silent"
    level: ClassVar[Level] = Level.WARNING
    server: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameServerAnswers(Event):
    """A name server that had been silent answers again."""

    name: ClassVar[str] = "dns.answers"
    level: ClassVar[Level] = Level.NOTICE
    server: str
    silent_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsChanged(Event):
    """What the world sees of one of our domains has changed since the last daily look; the owner was written to."""

    name: ClassVar[str] = "dns.records_changed"
    level: ClassVar[Level] = Level.NOTICE
    domain: str
    worse: tuple[str, ...]
    mended: tuple[str, ...]
