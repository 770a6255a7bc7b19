"""What the store tells: mostly troubles, each with what to do."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MailStored(Event):
    """A message has arrived in a mailbox and has its UID."""

    name: ClassVar[str] = "store.stored"
    level: ClassVar[Level] = Level.DEBUG
    account: str
    mailbox: str
    messages: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxScanned(Event):
    """A mailbox was read anew from its directory, because another program changed it or the index was new."""

    name: ClassVar[str] = "store.scanned"
    account: str
    mailbox: str
    arrived: int = 0
    gone: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxReset(Event):
    """A mailbox's dovecot-uidlist was replaced by another one: mail programs will download this mailbox again."""

    name: ClassVar[str] = "store.reset"
    level: ClassVar[Level] = Level.WARNING
    account: str
    mailbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordsRestored(Event):
    """A mailbox's dovecot-keywords was deleted or had lost names; it was written again from what the index knew."""

    name: ClassVar[str] = "store.keywords_restored"
    level: ClassVar[Level] = Level.WARNING
    account: str
    mailbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDamaged(Event):
    """An account's index was damaged and is being built anew; no mail is lost, and the old file may be deleted."""

    name: ClassVar[str] = "store.index_damaged"
    level: ClassVar[Level] = Level.WARNING
    account: str
    kept_as: str
    private: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFull(Event):
    """The disk is full: mail is refused for now; free some space, nothing is lost."""

    name: ClassVar[str] = "store.full"
    level: ClassVar[Level] = Level.ERROR
    account: str
    private: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreNotWritable(Event):
    """The store cannot write to a mailbox: check that the folder belongs to the service's user and is not read-only."""

    name: ClassVar[str] = "store.not_writable"
    level: ClassVar[Level] = Level.ERROR
    account: str
    private: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLocked(Event):
    """Another program keeps a mailbox locked: if none is running, delete the lock file that is named here."""

    name: ClassVar[str] = "store.locked"
    level: ClassVar[Level] = Level.WARNING
    account: str
    private: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftoversRemoved(Event):
    """Half-written files of crashed programs, older than a day and a half, were removed from tmp/ folders."""

    name: ClassVar[str] = "store.leftovers"
    account: str
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchesShort(Event):
    """The kernel watches no more directories for us (fs.inotify.max_user_watches); some mailboxes are polled."""

    name: ClassVar[str] = "store.watches_short"
    level: ClassVar[Level] = Level.NOTICE
