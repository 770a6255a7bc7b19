"""The life of the service as a whole."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReady(Event):
    """The service is ready: every port is open and everything behind it stands."""

    name: ClassVar[str] = "ready"  # one word: start-up scripts wait for it
    level: ClassVar[Level] = Level.NOTICE
    version: str
    ports: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStopping(Event):
    """The service stops: visitors are told to come back, work in hand is finished."""

    name: ClassVar[str] = "service.stopping"
    level: ClassVar[Level] = Level.NOTICE


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStopped(Event):
    """The service has stopped in good order."""

    name: ClassVar[str] = "service.stopped"
    level: ClassVar[Level] = Level.NOTICE
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFailed(Event):
    """The service cannot start; the reason tells what to do."""

    name: ClassVar[str] = "service.failed"
    level: ClassVar[Level] = Level.ERROR
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRemark(Event):
    """Something about the process that its owner should know."""

    name: ClassVar[str] = "service.remark"
    level: ClassVar[Level] = Level.NOTICE
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigTaken(Event):
    """The owner's file was read anew."""

    name: ClassVar[str] = "service.reloaded"
    level: ClassVar[Level] = Level.NOTICE
    text: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOdd(Event):
    """The machine's clock is far off: mail would carry wrong dates and certificates would look expired."""

    name: ClassVar[str] = "service.clock"
    level: ClassVar[Level] = Level.WARNING
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactorLate(Event):
    """How late a timer of 10 ms was called since the last such line: what kept the reactor from its work."""

    name: ClassVar[str] = "service.lateness"
    level: ClassVar[Level] = Level.NOTICE
    longest_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BallastGiven(Event):
    """The disk is full; the room that was kept for this moment is given back, so that mail can still be deleted."""

    name: ClassVar[str] = "service.ballast"
    level: ClassVar[Level] = Level.ERROR
    size: int
