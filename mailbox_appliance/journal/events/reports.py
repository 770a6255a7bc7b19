"""What the reports tell the journal: those about us, and those of ours to others."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRead(Event):
    """Somebody reported on mail that bore the name of one of our domains; `mailappliance report` sums up."""

    name: ClassVar[str] = "reports.read"
    counted_by: ClassVar[tuple[str, ...]] = ("kind",)
    kind: str  # aggregate, failure, tls
    domain: str
    sender: str
    good: int
    bad: int
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUnread(Event):
    """What came to a postmaster as a report was not counted; the message itself is in the mailbox."""

    name: ClassVar[str] = "reports.unread"
    level: ClassVar[Level] = Level.NOTICE
    sender: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSent(Event):
    """A domain that asks for it was told what came in its name on a day (DMARC)."""

    name: ClassVar[str] = "reports.sent"
    domain: str
    recipient: tuple[str, ...]
    messages: int
