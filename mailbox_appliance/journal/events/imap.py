"""What the IMAP station tells the journal: connections, log-ins and how sessions end."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapRefused(Event):
    """A connection was turned away before anything was said: too many failures, or too many connections."""

    name: ClassVar[str] = "imap.refused"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service", "reason")
    peer: str
    service: str
    reason: str  # "guard", "address", "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapLoggedIn(Event):
    """Somebody logged in to read mail; device names the app password, empty for the main password."""

    name: ClassVar[str] = "imap.login"
    counted_by: ClassVar[tuple[str, ...]] = ("service",)
    account: str
    peer: str
    service: str
    device: str = ""
    tls: str = ""
    mechanism: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapLogInFailed(Event):
    """A log-in was refused: a wrong name or password, or it could not be checked at the moment."""

    name: ClassVar[str] = "imap.login_failed"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("service", "reason")
    account: str
    peer: str
    service: str
    reason: str  # "password", "later", "guard", "sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapClientNamed(Event):
    """A mail program told its name and version (ID)."""

    name: ClassVar[str] = "imap.client"
    level: ClassVar[Level] = Level.DEBUG
    peer: str
    account: str
    client: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapRecordUnreadable(Event):
    """The owner's record of client troubles cannot be read; only the shipped one counts until it is mended."""

    name: ClassVar[str] = "imap.record_unreadable"
    level: ClassVar[Level] = Level.WARNING
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapEnded(Event):
    """A session ended; the reason says who ended it and why."""

    name: ClassVar[str] = "imap.ended"
    level: ClassVar[Level] = Level.INFO
    counted_by: ClassVar[tuple[str, ...]] = ("service", "reason")
    peer: str
    service: str
    reason: str  # "logout", "closed", "idle", "login timeout", "handshake", "abuse", "drained", "mailbox", "broken"
    account: str = ""
    commands: int = 0
    seconds: int = 0
