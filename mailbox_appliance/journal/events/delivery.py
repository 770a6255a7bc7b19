"""What delivery tells the journal: where each copy of a message went, and why one went nowhere."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Event):
    """A copy of the message is in this mailbox, synced to disk."""

    name: ClassVar[str] = "delivery.kept"
    account: str
    mailbox: str
    recipient: str
    size: int
    why: str = ""  # "junk", "tag", "captured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued(Event):
    """The message waits in the queue for these recipients and goes out from there."""

    name: ClassVar[str] = "delivery.queued"
    sender: str
    recipient: tuple[str, ...]
    size: int
    forwarded: tuple[str, ...] = ()  # the addresses of ours that pass it on


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded(Event):
    """An address of ours passes the message on, under our own name when the sender is a stranger (SRS)."""

    name: ClassVar[str] = "delivery.forwarded"
    account: str  # the address of ours
    recipient: tuple[str, ...]
    sender: str  # the reverse path it leaves with
    sealed: bool = False  # with an ARC seal of ours
    reason: str = ""  # why bounces will not find their way back


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceReturned(Event):
    """A bounce for forwarded mail goes on to whoever had sent it."""

    name: ClassVar[str] = "delivery.bounce_returned"
    account: str  # the address that the bounce came to
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VacationAnswered(Event):
    """The account's vacation notice answers the sender; ``answer`` is the answer's own id."""

    name: ClassVar[str] = "delivery.vacation"
    account: str
    recipient: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VacationSilent(Event):
    """The account has a vacation notice, but this message is not answered."""

    name: ClassVar[str] = "delivery.vacation_silent"
    account: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Event):
    """The message was not taken for this recipient; whoever sent it was told so."""

    name: ClassVar[str] = "delivery.refused"
    level: ClassVar[Level] = Level.NOTICE
    recipient: str
    reply: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rested(Event):
    """The message was refused, and a copy rests in Rejects for two weeks, should it have been wanted after all."""

    name: ClassVar[str] = "delivery.rested"
    account: str
    mailbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestsRemoved(Event):
    """What had rested in Rejects for two weeks, or was too much, has been removed."""

    name: ClassVar[str] = "delivery.rests_removed"
    account: str
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxFull(Event):
    """The account has used up its quota: remove mail, or raise it; the message waits or was refused."""

    name: ClassVar[str] = "delivery.mailbox_full"
    level: ClassVar[Level] = Level.WARNING
    account: str
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFull(Event):
    """The disk is full or cannot be written: new mail is put off with 452 until there is room again."""

    name: ClassVar[str] = "delivery.disk"
    level: ClassVar[Level] = Level.ERROR
    reason: str
    full: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaked(Event):
    """A throw-away address was used by somebody else than whom it was given to: the message is tagged $Leak."""

    name: ClassVar[str] = "delivery.leaked"
    level: ClassVar[Level] = Level.NOTICE
    recipient: str
    domain: str
    given_to: str
