"""What the journal says of itself and of the operator's acts."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken(Event):
    """Something unexpected went wrong inside; the one session it belonged to ended, everything else goes on."""

    name: ClassVar[str] = "journal.broken"
    level: ClassVar[Level] = Level.ERROR
    counted_by: ClassVar[tuple[str, ...]] = ("where",)
    where: str
    error: str  # the exception's type
    text: str = ""  # its words, when they are ours or the operating system's
    at: tuple[str, ...] = ()  # frames, innermost first
    because: str = ""  # the types of the exceptions behind it
    unsaid: int = 0  # how many like it were not journaled since the last line


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarked(Event):
    """A library we use has something to say."""

    name: ClassVar[str] = "journal.remarked"
    level: ClassVar[Level] = Level.WARNING
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDescriptors(Event):
    """The process may open no more files: new connections are closed unanswered; raise LimitNOFILE of the service."""

    name: ClassVar[str] = "journal.no_descriptors"
    level: ClassVar[Level] = Level.WARNING
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLost(Event):
    """A file of ours was damaged: what was in it is lost, it lies beside, and a new one is begun."""

    name: ClassVar[str] = "journal.file_lost"
    level: ClassVar[Level] = Level.ERROR
    path: str
    lost: str  # what the owner has lost with it
    kept_as: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailLost(Event):
    """Steps could not be kept for `mailappliance trace` (see the reason); mail itself is not touched by this."""

    name: ClassVar[str] = "journal.trail_lost"
    level: ClassVar[Level] = Level.WARNING
    steps: int
    reason: str
