"""An open mailbox: packed arrays in memory, shared by all sessions, and the one order in which things happen to it.

Everything that changes it runs under its lock and is shielded: a session that goes away in the middle stops waiting,
not the work. What happens on disk happens in workers; the arrays and the watchers follow in the reactor.
"""

from __future__ import annotations

import bisect
import sqlite3
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredLock, succeed

from mailbox_appliance.mail import rights
from mailbox_appliance.mail.mailbox import MailboxStatus, unseen_and_deleted
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.search import SearchKey
from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.ports.habits import Keyworded
from mailbox_appliance.ports.store import (
    Column,
    Copied,
    Fields,
    FlagAction,
    Flagged,
    MessageFile,
    Problem,
    StoreError,
    Watcher,
)
from mailbox_appliance.shielded import Held, shielded
from mailbox_appliance.slices import Slices
from mailbox_appliance.store import expunge as expunging
from mailbox_appliance.store import files as message_files
from mailbox_appliance.store import flags as marking
from mailbox_appliance.store import looking, message_rows, sizes
from mailbox_appliance.store import rows as reading
from mailbox_appliance.store import search as searching
from mailbox_appliance.store.account import Account
from mailbox_appliance.store.admission import Admitted
from mailbox_appliance.store.arrivals import Arrivals
from mailbox_appliance.store.changes import Newcomer
from mailbox_appliance.store.first import Numbered
from mailbox_appliance.store.index import UNKNOWN, Known, MailboxRow
from mailbox_appliance.store.message_rows import Arrays
from mailbox_appliance.store.packed import PackedMessages
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.rendering import Progress


class OpenMailbox(PackedMessages):
    """ports.store.Mailbox over a folder. Made by ``store.mailboxes.load``."""

    def __init__(self, account: Account, name: str, folder: Folder, row: MailboxRow, arrays: Arrays) -> None:
        super().__init__(arrays)
        self.account = account
        self.name = name
        self.folder = folder
        self.row = row
        self.uidvalidity = row.uidvalidity
        self.uidnext = row.uidnext
        self.highest_modseq = row.highest_modseq
        self.mailbox_id = row.guid
        self._names: list[str] = list(row.keywords)
        self.keywords: Sequence[str] = self._names
        self.read_only = False
        self.watchers: list[Watcher] = []
        self.lock = DeferredLock()
        self.is_dead = False
        self.guests = 0  # who puts messages in without watching: it must not be closed under them
        self.looked_at = -looking.GLANCE_SECONDS  # when a worker last looked at the directories
        self.released: Callable[[OpenMailbox], None] = lambda box: None  # the last watcher has left
        self.grown: Callable[[OpenMailbox], None] = lambda box: None  # messages came: there is something to prerender
        self.copying: Callable[..., Awaitable[Copied]] | None = None
        self.is_measured = UNKNOWN not in arrays.sizes
        self.is_measurable = not self.is_measured  # is it worth trying when nobody wants anything?
        newest = arrays.uids[-1] if arrays.uids else 0
        self.rendered = Progress(top=newest, bottom=newest + 1)
        self.fed = Progress(top=newest, bottom=newest + 1)  # to the word index
        self.feeds_on = False  # is it being fed while others are at work?
        self.feeds_along = 0  # searches that feed it on their way
        self._arrivals = Arrivals(self)
        self.known: Deferred[None] | None = None  # whoever opens it waits for its messages, not for all of their rows
        self._look_again: Timer | None = None
        self._recent_from = row.recent_from
        self._status: MailboxStatus | None = None
        self.structures: dict[int, Part] = {}  # of large messages read lately, by UID
        self.line_maps: dict[int, array[int]] = {}

    # ------------------------------------------------------------ plain facts

    @property
    def number(self) -> int:
        """Its number in the index."""
        return self.row.number

    @property
    def rights(self) -> frozenset[str]:
        return rights.ALL

    def measure(self, uids: Sequence[int]) -> Awaitable[None]:
        return shielded(sizes.measure(self, uids))

    def measured(self) -> None:
        """Some sizes are known that were not."""
        self.is_measured = UNKNOWN not in self.sizes
        self._status = None

    @property
    def in_doubt(self) -> bool:
        """Was a directory so young when it was looked at that it may have changed again in the same tick?"""
        return self.row.known.doubt >= 2

    @property
    def wants_rendering(self) -> bool:
        """Are there messages of which nobody knows whether they lack anything that is made beforehand?"""
        if self.is_dead or self.unwritten:
            return False
        return self.is_measurable or bool(self.rendered.next(self.uids, 1)) or self.wants_feeding

    @property
    def wants_feeding(self) -> bool:
        """The same of the word index."""
        return self.account.settings.word_index and bool(self.fed.next(self.uids, 1))

    def status(self) -> MailboxStatus:
        """What STATUS tells, from memory."""
        if self._status is None:
            unseen, deleted = unseen_and_deleted(self.flags)
            self._status = MailboxStatus(
                messages=len(self.uids),
                recent=len(self.uids) - bisect.bisect_left(self.uids, self._recent_from),
                uidnext=self.uidnext,
                uidvalidity=self.uidvalidity,
                unseen=unseen,
                highest_modseq=self.highest_modseq,
                size=sum(self.sizes),
                deleted=deleted,
                mailbox_id=self.mailbox_id,
            )
        return self._status

    # ------------------------------------------------------------ watchers

    def watch(self, watcher: Watcher) -> None:
        if watcher not in self.watchers:
            self.watchers.append(watcher)
            if self.account.lookout is not None:
                self.account.lookout.watch(self)
            self._arrivals.hurry()

    def release(self, watcher: Watcher) -> None:
        if watcher in self.watchers:
            self.watchers.remove(watcher)
            if not self.watchers:
                self._unseen()
                self.released(self)

    def _unseen(self) -> None:
        if self.account.lookout is not None:
            self.account.lookout.forget(self)

    def tell(self, say: Callable[[Watcher], None]) -> None:
        """Tell every watcher; one that fails does not keep the others from hearing it."""
        for watcher in list(self.watchers):
            try:
                say(watcher)
            except Exception as error:  # noqa: BLE001 - one session's fault is not another's
                self.account.journal.broken("store", error)

    def claim_recent(self, *, peek: bool = False) -> int:
        first = self._recent_from
        if not peek and first != self.uidnext:
            self._recent_from = self.uidnext
            self._status = None
            self.row = replace(self.row, recent_from=self._recent_from)
            shielded(self._save_recent()).addErrback(self.failed)
        return first

    async def _save_recent(self) -> None:
        await self.written(0)
        number, recent_from = self.number, self._recent_from

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE mailbox SET recent_from=max(recent_from, ?), counts='' WHERE number=?", (recent_from, number)
            )

        await self.account.run(work)

    def die(self, text: str) -> None:
        """The mailbox is no longer what its sessions think: they are told and it must be opened anew."""
        if self.is_dead:
            return
        self.is_dead = True
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            try:
                watcher.vanished(text)
            except Exception as error:  # noqa: BLE001 - one session's fault is not another's
                self.account.journal.broken("store", error)
        self._arrivals.give_up(StoreError(Problem.BUSY, text))
        self.unwritten.give_up(StoreError(Problem.BUSY, text))
        self.stop()

    def stop(self) -> None:
        """No timer of this mailbox runs any longer."""
        self._unseen()
        self._arrivals.stop()
        if self._look_again is not None and self._look_again.active():
            self._look_again.cancel()
        self._look_again = None

    def check_alive(self) -> None:
        """Raises StoreError when the mailbox must be opened anew."""
        if self.is_dead:
            raise StoreError(Problem.NO_SUCH_MAILBOX, "this mailbox was deleted or replaced; select it again")

    # ------------------------------------------------------------ what the disk says

    def take_row(self, row: MailboxRow) -> None:
        """The index's row after a piece of work; sessions hear of new keywords first."""
        self.row = replace(row, recent_from=max(row.recent_from, self._recent_from))
        self._recent_from = self.row.recent_from
        self.uidvalidity, self.mailbox_id = row.uidvalidity, row.guid
        self.uidnext, self.highest_modseq = row.uidnext, row.highest_modseq
        self._status = None
        if len(row.keywords) > len(self._names):
            self._names.extend(row.keywords[len(self._names) :])
            self.tell(lambda watcher: watcher.keywords_changed())

    def note_known(self, known: Known | None) -> None:
        """A worker has changed the directories for us. Call under the lock."""
        if known is not None:
            self.row = replace(self.row, known=known)

    def refresh(self) -> Deferred[None]:
        """Look for changes by other programs, and give UIDs to what waits for them."""
        self.account.pulse.touch()
        if not self._arrivals.is_busy and looking.is_plainly_unchanged(self):
            return succeed(None)
        return shielded(self._refresh())

    async def _refresh(self, thorough: bool = False) -> None:
        async with Held(self.lock):
            await self.refresh_locked(thorough)

    async def refresh_locked(self, thorough: bool = False) -> None:
        """The same for those who hold the lock. Raises StoreError."""
        self.check_alive()
        await self._arrivals.flush_locked()
        await self.look_locked(thorough)

    async def look_locked(self, thorough: bool = False) -> None:
        """Look at the files; what waits in the queue keeps waiting. Call under the lock. Raises StoreError."""
        await looking.look(self, thorough)

    async def admit(self, newcomers: Sequence[Newcomer]) -> Admitted:
        """Give UIDs to newcomers. Call under the lock. Raises Restart, StoreError."""
        return await looking.admit(self, newcomers)

    def look_again_in(self, seconds: float) -> None:
        """A look at everything, soon."""
        if self._look_again is None and not self.is_dead:
            self._look_again = self.account.clock.callLater(seconds, self._verify)

    def _verify(self) -> None:
        self._look_again = None
        if not self.is_dead:
            shielded(self._refresh(thorough=True)).addErrback(self.failed)

    def failed(self, failure: object) -> None:
        """An errback for work nobody waits for; refusals have been told already."""
        error = getattr(failure, "value", None)
        if not isinstance(error, StoreError) and isinstance(error, BaseException):
            self.account.journal.broken("store", error)

    # ------------------------------------------------------------ the arrays

    def apply_admitted(self, done: Admitted) -> None:
        """Messages that have their UIDs now: arrays first, then the watchers."""
        self.take_row(done.row)
        self._arrivals.note(done.numbers)
        if done.changed:
            self.set_flags(done.changed, done.modseq, None)
        if not done.rows:
            return
        self._add_rows(done.rows)
        if any(row.size == UNKNOWN for row in done.rows):
            self.is_measured, self.is_measurable = False, True
        count = len(self.uids)
        self.tell(lambda watcher: watcher.arrived(count))
        self.grown(self)

    def apply_crowd(self, numbered: Numbered) -> None:
        """The same for the crowd of a first look, whose rows are still to be written."""
        self.take_row(numbered.row)
        self._add_crowd(numbered)
        self.unwritten.begin(len(self.uids))
        self.is_measured = UNKNOWN not in numbered.sizes
        self.is_measurable = not self.is_measured
        count = len(self.uids)
        self.tell(lambda watcher: watcher.arrived(count))
        known, self.known = self.known, None
        if known is not None:
            known.callback(None)

    def set_flags(self, changes: Sequence[tuple[int, int]], modseq: int, by: Watcher | None) -> None:
        """(uid, flags) as they are on disk now."""
        told = self._put_flags(changes, modseq)
        self._status = None
        if told:
            self.tell(lambda watcher: watcher.flags_changed(told, modseq, by))

    def drop(self, uids: Sequence[int], modseq: int) -> None:
        """These (sorted) are gone: new arrays, then the watchers."""
        told = self._take_out(uids)
        if not told:
            return
        for uid in told:
            self.structures.pop(uid, None)
            self.line_maps.pop(uid, None)
        self._status = None
        self.tell(lambda watcher: watcher.expunged(told, modseq))

    # ------------------------------------------------------------ arrivals

    def enqueue(self, newcomer: Newcomer) -> None:
        """A file of ours is durable in its place: it gets a UID in the next batch."""
        self._arrivals.enqueue(newcomer)

    def enqueue_all(self, newcomers: Sequence[Newcomer]) -> list[Deferred[int]]:
        """The same for files whose UIDs somebody waits for: one Deferred each, a UID or a StoreError."""
        return self._arrivals.enqueue_all(newcomers)

    @property
    def has_waiting(self) -> bool:
        """Do files of ours still wait for their UIDs, or are some on their way?"""
        return self._arrivals.is_busy or self.guests > 0 or bool(self.unwritten)

    # ------------------------------------------------------------ what sessions ask; the work is in files of its own

    def rows(
        self, uids: Sequence[int], columns: Sequence[Column | Fields]
    ) -> AsyncIterator[Sequence[tuple[int, Sequence[bytes]]]]:
        return reading.rows(self, uids, columns)

    def files(self, uids: Sequence[int]) -> AsyncIterator[Sequence[MessageFile]]:
        return message_files.files(self, uids)

    def mark(
        self,
        uids: Sequence[int],
        action: FlagAction,
        flags: Iterable[str],
        unchanged_since: int | None = None,
        by: Watcher | None = None,
    ) -> Awaitable[Flagged]:
        return shielded(self._mark(list(uids), action, list(flags), unchanged_since, by))

    async def _mark(
        self,
        uids: Sequence[int],
        action: FlagAction,
        flags: Sequence[str],
        unchanged_since: int | None,
        by: Watcher | None,
    ) -> Flagged:
        done = await marking.mark(self, uids, action, flags, unchanged_since, by)
        words = frozenset(flag for flag in flags if not flag.startswith("\\"))
        if words and done.changed and action is not FlagAction.REMOVE:
            self.account.habits.keyworded(Keyworded(self.account.address, self.name, done.changed, words))
        return done

    def advance(self) -> Awaitable[int]:
        return shielded(marking.advance(self))

    def expunge(self, uids: Sequence[int] | None = None) -> Awaitable[tuple[int, ...]]:
        return shielded(expunging.expunge_deleted(self, None if uids is None else list(uids)))

    def copy(self, uids: Sequence[int], target: str, *, move: bool = False) -> Awaitable[Copied]:
        assert self.copying is not None
        return self.copying(self, list(uids), target, move)

    def search(self, key: SearchKey, among: Sequence[int], recent_from: int) -> Awaitable[Sequence[int]]:
        return Deferred.fromCoroutine(searching.search(self, key, among, recent_from))

    async def vanished_since(self, modseq: int) -> tuple[int, ...] | None:
        if modseq < self.row.forgotten_to:
            return None
        number = self.number
        return await self.account.read(lambda connection: message_rows.vanished_since(connection, number, modseq))

    def slices(self) -> Slices:
        """For loops in the reactor."""
        return Slices(self.account.clock)
