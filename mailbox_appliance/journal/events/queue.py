"""What the queue tells the journal: what waits, what was given up, what was found after a crash."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits(Event):
    """The message stays in the queue for this recipient and is tried again at the time given."""

    name: ClassVar[str] = "queue.waits"
    recipient: str
    next_attempt: str
    tries: int
    reply: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceSpent(Event):
    """An account has written to as many people today as it may; if it was not its owner, change its password."""

    name: ClassVar[str] = "queue.allowance_spent"
    level: ClassVar[Level] = Level.WARNING
    account: str
    limit: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp(Event):
    """The message could not be delivered in all the time it may wait; it is given up for this recipient."""

    name: ClassVar[str] = "queue.given_up"
    level: ClassVar[Level] = Level.WARNING
    recipient: str
    tries: int
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSent(Event):
    """The sender was told what became of the message: failed, delayed, delivered."""

    name: ClassVar[str] = "queue.report_sent"
    counted_by: ClassVar[tuple[str, ...]] = ("action",)
    sender: str
    action: str
    recipients: tuple[str, ...]
    report: str  # the trace id of the notification


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWithheld(Event):
    """The message failed and nobody is told: its sender is no user of ours, or it was a notification itself."""

    name: ClassVar[str] = "queue.report_withheld"
    level: ClassVar[Level] = Level.NOTICE
    sender: str
    action: str
    recipients: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRests(Event):
    """A destination cannot be reached: everything for it waits until the time given, then one message tries."""

    name: ClassVar[str] = "queue.destination_rests"
    level: ClassVar[Level] = Level.NOTICE
    destination: str
    until: str
    reply: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationBack(Event):
    """A destination that could not be reached takes mail again."""

    name: ClassVar[str] = "queue.destination_back"
    level: ClassVar[Level] = Level.NOTICE
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentLost(Event):
    """A queued message's file is gone or damaged (a disk fault, or somebody removed it); its sender is told.

    The file named here was part of the queue; look at the disk, and in the backup.
    """

    name: ClassVar[str] = "queue.content_lost"
    level: ClassVar[Level] = Level.ERROR
    file: str
    reason: str
    sender: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftoverRemoved(Event):
    """Files of messages that were never accepted, left by a crash, were taken away; their senders still have them."""

    name: ClassVar[str] = "queue.leftover_removed"
    level: ClassVar[Level] = Level.NOTICE
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentKeptApart(Event):
    """The queue's database was gone, but mail lay beside it: it is kept in the folder named here, for you to look at.

    Put queue.db back from a backup together with this folder (as ``content``), or read the messages there and see to
    it that their senders send them again.
    """

    name: ClassVar[str] = "queue.content_kept_apart"
    level: ClassVar[Level] = Level.ERROR
    folder: str
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReady(Event):
    """The queue is open; so many recipients wait in it."""

    name: ClassVar[str] = "queue.opened"
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskTouched(Event):
    """The operator held, released, retried, flushed or dropped messages."""

    name: ClassVar[str] = "queue.desk"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("what",)
    what: str
    recipients: int  # of all messages that the command named


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrouble(Event):
    """The queue's database cannot be written; what was sent is remembered in memory and written as soon as it can be.

    Free space on the disk or mend it: a crash before that sends these messages twice.
    """

    name: ClassVar[str] = "queue.trouble"
    level: ClassVar[Level] = Level.ERROR
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    """The account has removed the message from its Outbox: nobody gets it who has not got it."""

    name: ClassVar[str] = "queue.cancelled"
    account: str
