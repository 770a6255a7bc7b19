"""Mail of local programs, left by `mailappliance sendmail`."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTaken(Event):
    """A message of a local program was taken into the house."""

    name: ClassVar[str] = "dropbox.accepted"
    user: str
    sender: str
    recipient: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRefused(Event):
    """A message of a local program cannot be delivered; its sender was written to, or the domain's owner."""

    name: ClassVar[str] = "dropbox.refused"
    level: ClassVar[Level] = Level.WARNING
    user: str
    sender: str = ""
    recipient: tuple[str, ...] = ()
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIgnored(Event):
    """Something in the drop folder is no message that sendmail left; it was put aside."""

    name: ClassVar[str] = "dropbox.ignored"
    level: ClassVar[Level] = Level.WARNING
    user: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTrouble(Event):
    """The drop folder cannot be used: local programs cannot send."""

    name: ClassVar[str] = "dropbox.trouble"
    level: ClassVar[Level] = Level.ERROR
    path: str
    reason: str
    remedy: str
