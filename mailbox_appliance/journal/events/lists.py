"""What happens on the family lists: posts, members, bounces."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted(Event):
    """The list passes the message on to so many members."""

    name: ClassVar[str] = "lists.posted"
    account: str  # the list
    sender: str  # the address in From
    members: int
    rewritten: bool = False  # in the author's name, because his domain does not let others write
    approved_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostHeld(Event):
    """The message waits until a moderator of the list lets it through or throws it away."""

    name: ClassVar[str] = "lists.held"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    sender: str
    reason: str
    held: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRefused(Event):
    """The message was not taken for the list; whoever sent it was told so."""

    name: ClassVar[str] = "lists.refused"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    sender: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDropped(Event):
    """The message was taken, and went nowhere: the list has sent it before, or a moderator has thrown it away."""

    name: ClassVar[str] = "lists.dropped"
    account: str
    sender: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WishAsked(Event):
    """Somebody wants to join or leave, and was sent a message to confirm it."""

    name: ClassVar[str] = "lists.asked"
    account: str
    sender: str
    wish: str  # join, leave


@dataclass(frozen=True, slots=True, kw_only=True)
class WishIgnored(Event):
    """A message to one of the list's addresses was understood as nothing that could be done."""

    name: ClassVar[str] = "lists.ignored"
    account: str
    sender: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberJoined(Event):
    """The list has a new member."""

    name: ClassVar[str] = "lists.joined"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    recipient: str
    by: str  # mail, owner


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLeft(Event):
    """Somebody is no member of the list any more."""

    name: ClassVar[str] = "lists.left"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    recipient: str
    by: str  # mail, link, owner


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberBounced(Event):
    """Mail of the list to a member came back."""

    name: ClassVar[str] = "lists.bounced"
    account: str
    recipient: str
    bounces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPaused(Event):
    """A member gets no mail of the list for now; the owner resumes him with `mailappliance lists resume`."""

    name: ClassVar[str] = "lists.paused"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    recipient: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberResumed(Event):
    """A member gets mail of the list again."""

    name: ClassVar[str] = "lists.resumed"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTrouble(Event):
    """A post went out, but could not be put into the list's archive."""

    name: ClassVar[str] = "lists.archive_trouble"
    level: ClassVar[Level] = Level.WARNING
    account: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMade(Event):
    """There is a new mailing list."""

    name: ClassVar[str] = "lists.made"
    level: ClassVar[Level] = Level.NOTICE
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChanged(Event):
    """A mailing list has other settings."""

    name: ClassVar[str] = "lists.changed"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRemoved(Event):
    """A mailing list is gone: mail for it is refused."""

    name: ClassVar[str] = "lists.removed"
    level: ClassVar[Level] = Level.NOTICE
    account: str
