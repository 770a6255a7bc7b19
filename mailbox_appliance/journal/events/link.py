"""What the link between edge and store tells the journal."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCodeMade(Event):
    """A pairing code was made; it can be used once, within a quarter of an hour."""

    name: ClassVar[str] = "link.code_made"
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired(Event):
    """Edge and store are a pair now; an earlier pairing is void."""

    name: ClassVar[str] = "link.paired"
    level: ClassVar[Level] = Level.NOTICE
    host: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingRefused(Event):
    """Somebody tried to pair without knowing the code, or too late."""

    name: ClassVar[str] = "link.pairing_refused"
    level: ClassVar[Level] = Level.WARNING
    peer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp(Event):
    """Edge and store speak with one another; what waits for the other side goes now."""

    name: ClassVar[str] = "link.up"
    level: ClassVar[Level] = Level.NOTICE
    host: str
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDown(Event):
    """The line between edge and store is gone; mail waits until it is back."""

    name: ClassVar[str] = "link.down"
    level: ClassVar[Level] = Level.NOTICE
    host: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStranger(Event):
    """A connection to the link's port came from somebody we are not paired with; nothing was said to it."""

    name: ClassVar[str] = "link.stranger"
    level: ClassVar[Level] = Level.WARNING
    peer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTaken(Event):
    """The edge has a new list of the store's recipients and refuses everybody else."""

    name: ClassVar[str] = "link.list_taken"
    entries: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNotKept(Event):
    """The list of recipients could not be written to disk; after a restart the edge asks the store for it."""

    name: ClassVar[str] = "link.list_not_kept"
    level: ClassVar[Level] = Level.WARNING
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CameOver(Event):
    """A message came over the link; ``id`` is its id on the other machine, where `trace` tells how it got there."""

    name: ClassVar[str] = "link.came_over"
    id: str
    recipient: tuple[str, ...]
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spliced(Event):
    """Somebody outside was connected through the edge with a port of the store."""

    name: ClassVar[str] = "link.spliced"
    peer: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSpliced(Event):
    """Somebody outside wanted a port of the store, which cannot be reached just now or is closed to him."""

    name: ClassVar[str] = "link.not_spliced"
    level: ClassVar[Level] = Level.NOTICE
    peer: str
    service: str
    reason: str
