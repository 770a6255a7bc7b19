"""What the checks tell the journal: each judgement with its evidence, look-ups that failed, lists that misbehave."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Event):
    """A stranger's message was judged; the evidence says why, each piece with its figure."""

    name: ClassVar[str] = "checks.judged"
    counted_by: ClassVar[tuple[str, ...]] = ("action",)
    peer: str
    sender: str
    author: str
    action: str
    score: float
    reason: str = ""
    evidence: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()  # what would have changed the verdict
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFor(Event):
    """What one recipient's own filter and lists made of the verdict."""

    name: ClassVar[str] = "checks.judged_for"
    counted_by: ClassVar[tuple[str, ...]] = ("action",)
    account: str
    action: str
    score: float
    reason: str = ""
    evidence: tuple[str, ...] = ()  # the recipient's own
    otherwise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpsFailed(Event):
    """Names could not be looked up while a message was judged, so some of its evidence is missing (temperror).

    If it happens to many messages, check the name servers ([dns] servers).
    """

    name: ClassVar[str] = "checks.look_ups_failed"
    level: ClassVar[Level] = Level.WARNING
    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFault(Event):
    """A DNS list gave an answer that is no listing: it refuses us, is gone, or somebody else answers in its place.

    Lists refuse the large public resolvers: use a resolver of your own, or take the list out of [checks] dnsbl.
    """

    name: ClassVar[str] = "checks.list_fault"
    level: ClassVar[Level] = Level.WARNING
    zone: str
    answer: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquaintanceLost(Event):
    """Who writes to whom could not be written down (is the disk full?): the sender is a stranger again next time."""

    name: ClassVar[str] = "checks.acquaintance_lost"
    level: ClassVar[Level] = Level.WARNING
    account: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GreylistLost(Event):
    """Who was asked to come again could not be read or written (is the disk full?): a restart may ask them twice."""

    name: ClassVar[str] = "checks.greylist_lost"
    level: ClassVar[Level] = Level.WARNING
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMade(Event):
    """A key that signs a domain's mail was made; publish its record (`mailappliance dns records`)."""

    name: ClassVar[str] = "checks.key_made"
    level: ClassVar[Level] = Level.NOTICE
    domain: str
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySeen(Event):
    """The record of one of our signing keys was seen in the DNS; a new key signs a day later."""

    name: ClassVar[str] = "checks.key_seen"
    level: ClassVar[Level] = Level.NOTICE
    domain: str
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRemoved(Event):
    """A signing key that has had its time was deleted: another signs, and its record has left the DNS."""

    name: ClassVar[str] = "checks.key_removed"
    level: ClassVar[Level] = Level.NOTICE
    domain: str
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUnreadable(Event):
    """The file of a key that signs our mail cannot be read: put it back from a backup (`mailappliance status` helps).

    Mail goes on leaving, signed by the domain's other keys or not at all.
    """

    name: ClassVar[str] = "checks.key_unreadable"
    level: ClassVar[Level] = Level.ERROR
    domain: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSigned(Event):
    """A message of our own left without the signatures it should have."""

    name: ClassVar[str] = "checks.not_signed"
    level: ClassVar[Level] = Level.WARNING
    domain: str
    reason: str
