"""What all parts of one account's store share: where it lies, its index, the workers, and how troubles are told."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError

from mailbox_appliance.journal.events.store import IndexDamaged, StoreFull, StoreLocked, StoreNotWritable
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.habits import Habits, Listeners
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.rounds import DiskTrouble, Rounds
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.store import resting
from mailbox_appliance.store.admission import Restart
from mailbox_appliance.store.at_hand import Files, Patience
from mailbox_appliance.store.bedtime import Bedtime
from mailbox_appliance.store.changes import MailboxGone
from mailbox_appliance.store.dotlock import LockTimeout
from mailbox_appliance.store.filenames import UniqueNames
from mailbox_appliance.store.index_file import Index, is_damage, is_full
from mailbox_appliance.store.paths import account_folder
from mailbox_appliance.store.pulse import Pulse
from mailbox_appliance.store.room import Room
from mailbox_appliance.store.sifters import Sifters
from mailbox_appliance.store.words import Vocabularies

T = TypeVar("T")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``mail`` is STATE/mail, ``host`` stands in file names. Times in seconds."""

    mail: str
    host: str = "localhost"
    rest: float = 300.0  # an unwatched mailbox stays in memory for so long
    most_resting: int = 64  # and so many of them, over all accounts
    poll: float = 1.0  # how often watched mailboxes are looked at for changes by other programs
    arrival_delay: float = 1.0  # mail for a mailbox that nobody watches gets its UIDs after this
    leftover_age: float = 36 * 3600.0
    undelete_age: float = 14 * 86_400.0  # expunged messages rest for so long; 0: they are gone at once
    undelete_octets: int = 1 << 30  # and so much of them for each account
    prerender: bool = True
    prerender_delay: float = 0.25
    word_index: bool = True  # False: SEARCH BODY and TEXT read every message
    sifters: int = 0  # processes that may be started to read messages for SEARCH
    most_kinds: int = 24  # tables of rendered octets an account may have


class Lookout(Protocol):
    """Sees what other programs do to mailboxes (``store.eyes``)."""

    def watch(self, box: Any) -> None:
        """Somebody has it selected."""

    def forget(self, box: Any) -> None:
        """Nobody has it selected any more."""


class Account:
    """One account's ground. ``damaged`` is called when the index was set aside: everything open must go."""

    def __init__(
        self,
        address: Address,
        settings: StoreSettings,
        clock: Clock,
        workers: Workers,
        journal: FullJournal,
        rounds: Rounds,
        names: UniqueNames,
        limit_of: Callable[[Address], Awaitable[int]],
        pulse: Pulse,
        *,
        is_nearby: bool = False,
        vocabularies: Vocabularies | None = None,
        sifters: Sifters | None = None,
        habits: Habits | None = None,
        lookout: Lookout | None = None,
        use_changed: Callable[[Address], None] = lambda account: None,
    ) -> None:
        self.address = address
        self.is_nearby = is_nearby  # may the reactor ask the disk for a few times of files?
        self.pulse = pulse
        self.patience = Patience(clock)
        self.at_hand = Files()
        self.quietly = Quietly(self)
        self.settings = settings
        self.clock = clock
        self.workers = workers
        self.journal = journal
        self.rounds = rounds
        self.names = names
        self.folder = account_folder(settings.mail, address)
        self.root = os.path.join(self.folder, "Maildir")
        self.resting = os.path.join(self.folder, resting.NAME)
        self.bedtime = Bedtime(self)
        self.index = Index(os.path.join(self.folder, "index.db"), workers)
        self.kinds: dict[str, int] = {}  # tables of rendered octets
        self.vocabularies = vocabularies or Vocabularies()
        self.sifters = sifters or Sifters(clock, workers, 0)
        self.habits: Habits = habits or Listeners()
        self.lookout = lookout
        self.room = Room(self, limit_of, use_changed)
        self.damaged: Callable[[], None] = lambda: None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """One transaction of the index in a worker, files included. Raises StoreError, MailboxGone, Restart."""
        with self.pulse:
            return await self.quietly.run(work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As ``run`` for work that only reads, without a transaction. Raises StoreError."""
        with self.pulse:
            return await self.quietly.run(work, reading=True)

    def glance(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """As ``read`` of a few rows, at once and in the reactor; None when a worker had better do it."""
        if not self.is_nearby or not self.patience:
            return None
        self.pulse.touch()
        with self.patience:
            return self.index.glance(work)

    async def disk(self, job: Callable[..., T], *args: object) -> T:
        """Files only, without the index. Raises StoreError, MailboxGone."""
        with self.pulse:
            return await self.quietly.disk(job, *args)

    async def mend(self, error: Exception) -> None:
        """Set a damaged index aside, so that it is built anew."""
        if not is_damage(error):
            return
        kept = await self.workers.run("disk", self.index.set_aside, int(self.clock.seconds()))
        self.journal.tell(IndexDamaged(account=str(self.address), kept_as=kept, private=str(error)))
        self.damaged()

    def refusal(self, error: Exception) -> Exception:
        """The exception for the caller, told to the owner where there is something to do."""
        account = str(self.address)
        if isinstance(error, (StoreError, MailboxGone, Restart, CancelledError)):
            return error
        if isinstance(error, LockTimeout):
            self.journal.tell(StoreLocked(account=account, private=str(error)))
            return StoreError(Problem.BUSY, "another program keeps the mailbox locked; try again")
        if isinstance(error, Busy):
            return StoreError(Problem.BUSY, "the server is very busy; try again")
        full = isinstance(error, OSError) and error.errno in _FULL
        if full or is_full(error) or (isinstance(error, DiskTrouble) and error.full):
            self.journal.tell(StoreFull(account=account, private=str(error)))
            return StoreError(Problem.DISK, "the disk of the server is full; nothing was lost")
        if is_damage(error):
            return StoreError(Problem.BUSY, "the index of this account is being built anew; try again")
        if (isinstance(error, OSError) and error.errno in _FORBIDDEN) or "readonly" in str(error):
            self.journal.tell(StoreNotWritable(account=account, private=str(error)))
            return StoreError(Problem.DISK, "the server cannot write to this mailbox")
        if isinstance(error, (OSError, DiskTrouble, sqlite3.Error)):
            self.journal.broken("store", error)
            return StoreError(Problem.DISK, "the server has trouble with its disk")
        return error


class Quietly:
    """The same two doors for work that nobody waits for: it does not count as somebody being at work."""

    __slots__ = ("_account",)

    def __init__(self, account: Account) -> None:
        self._account = account

    async def run(self, work: Callable[[sqlite3.Connection], T], *, reading: bool = False) -> T:
        """As Account.run, or Account.read."""
        return await self.ask(lambda: self._account.index.run(work, reading=reading))

    async def ask(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Anything that reads the index: damage is mended, and every fault told in the words of ports.store."""
        account = self._account
        try:
            return await begin()
        except Exception as error:  # damage to the index comes as many types, as does a disk's trouble
            await account.mend(error)
            raise account.refusal(error) from error

    async def disk(self, job: Callable[..., T], *args: object) -> T:
        """As Account.disk."""
        try:
            return await self._account.workers.run("disk", job, *args)
        except Exception as error:  # every one of them goes on, in the words of ports.store
            raise self._account.refusal(error) from error
