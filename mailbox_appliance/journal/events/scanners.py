"""What the outside scanners tell the journal: one stays away, one is back."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerDown(Event):
    """An outside scanner did not answer; until it does its rule holds (when_down): mail goes on without it, or waits.

    Look whether that program runs, and whether it listens where [scanners] says.
    """

    name: ClassVar[str] = "scanners.down"
    level: ClassVar[Level] = Level.WARNING
    scanner: str
    where: str
    reason: str
    when_down: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerAnswers(Event):
    """An outside scanner answers again."""

    name: ClassVar[str] = "scanners.answers"
    level: ClassVar[Level] = Level.NOTICE
    scanner: str
