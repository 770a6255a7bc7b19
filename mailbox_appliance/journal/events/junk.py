"""What the junk filter tells the journal: lessons, and trouble with its memory or with itself."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt(Event):
    """Somebody said of a message whether it is junk, and the filter learnt it; ``aged`` old lessons were let go."""

    name: ClassVar[str] = "junk.learnt"
    counted_by: ClassVar[tuple[str, ...]] = ("junk",)
    account: str
    junk: bool
    lessons: int  # that are remembered now
    aged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlearnt(Event):
    """A lesson was taken back, and the filter is as if it had never heard it."""

    name: ClassVar[str] = "junk.unlearnt"
    account: str
    lessons: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUnreadable(Event):
    """What an account has taught cannot be read; its mail is judged without it until the file is mended or removed."""

    name: ClassVar[str] = "junk.memory_unreadable"
    level: ClassVar[Level] = Level.ERROR
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterDead(Event):
    """The daily self-test failed: junk is not being recognised, so look at the reason now."""

    name: ClassVar[str] = "junk.filter_dead"
    level: ClassVar[Level] = Level.ERROR
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLearnt(Event):
    """Messages that somebody moved or marked could not be learnt from; move them again once the reason is mended."""

    name: ClassVar[str] = "junk.not_learnt"
    level: ClassVar[Level] = Level.WARNING
    account: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonsLost(Event):
    """Somebody moved more messages at once than the filter learns from; it takes the first two thousand."""

    name: ClassVar[str] = "junk.lessons_lost"
    account: str
    messages: int
