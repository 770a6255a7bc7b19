"""What the guard does about those who knock too often. Single failures are told by the service that sees them."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Banned(Event):
    """An address failed too often within a minute and is refused by every service for ``seconds``."""

    name: ClassVar[str] = "guard.banned"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    peer: str
    service: str  # where the last failure was
    account: str = ""  # the last name tried
    seconds: int
    times: int  # how often this address has been banned lately


@dataclass(frozen=True, slots=True, kw_only=True)
class Besieged(Event):
    """So many strangers guess at one account that for ``seconds`` they may only try app passwords."""

    name: ClassVar[str] = "guard.besieged"
    level: ClassVar[Level] = Level.WARNING
    account: str
    service: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSeen(Event):
    """Many wrong passwords for one account within a day, from many addresses; the owner has been written to."""

    name: ClassVar[str] = "guard.campaign"
    level: ClassVar[Level] = Level.WARNING
    account: str
    failures: int
    sources: int
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbanned(Event):
    """The owner lets an address (or every stranger at an account) in again."""

    name: ClassVar[str] = "guard.unbanned"
    level: ClassVar[Level] = Level.NOTICE
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLost(Event):
    """The guard's file could not be read or written; the guard goes on from memory with a new file."""

    name: ClassVar[str] = "guard.memory_lost"
    level: ClassVar[Level] = Level.WARNING
    path: str
    reason: str
