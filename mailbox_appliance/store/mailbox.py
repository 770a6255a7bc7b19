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

from twisted.internet.defer import Deferred, DeferredLock

from mailbox_appliance.journal.events.store import MailboxReset, MailboxScanned
from mailbox_appliance.mail.mailbox import DELETED, SEEN, MailboxStatus
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.search import SearchKey
from mailbox_appliance.ports.clock import Timer
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
from mailbox_appliance.slices import Slices
from mailbox_appliance.store import admission, index, quota, scan
from mailbox_appliance.store import expunge as expunging
from mailbox_appliance.store import files as message_files
from mailbox_appliance.store import flags as marking
from mailbox_appliance.store import rows as reading
from mailbox_appliance.store import search as searching
from mailbox_appliance.store.account import Account
from mailbox_appliance.store.admission import Admitted, Restart
from mailbox_appliance.store.filenames import base_of, size_of
from mailbox_appliance.store.index import Arrays, Known, MailboxRow
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.scan import Changes, MailboxGone, Newcomer
from mailbox_appliance.store.shielded import Held, shielded

CHUNK = 500  # newcomers admitted in one transaction
_LOOKS = 4


class OpenMailbox:
    """ports.store.Mailbox over a folder. Made by ``store.mailboxes.load``."""

    def __init__(self, account: Account, name: str, folder: Folder, row: MailboxRow, arrays: Arrays) -> None:
        self.account = account
        self.name = name
        self.folder = folder
        self.row = row
        self.keywords: list[str] = list(row.keywords)
        self.uids: array[int] = arrays.uids
        self.flags: array[int] = arrays.flags
        self.modseqs: array[int] = arrays.modseqs
        self.sizes: array[int] = arrays.sizes
        self.dates: array[int] = arrays.dates
        self.zones: array[int] = arrays.zones
        self.read_only = False
        self.watchers: list[Watcher] = []
        self.lock = DeferredLock()
        self.is_dead = False
        self.released: Callable[[OpenMailbox], None] = lambda box: None  # the last watcher has left
        self.grown: Callable[[OpenMailbox], None] = lambda box: None  # messages came: there is something to prerender
        self.copying: Callable[..., Awaitable[Copied]] | None = None
        self.readers = 0  # FETCHes under way: what is made beforehand waits for them
        self._waiting: list[tuple[Newcomer, Deferred[int] | None]] = []
        self._flushing = False
        self._look_again: Timer | None = None
        self._recent_from = row.recent_from
        self._status: MailboxStatus | None = None
        self.structures: dict[int, Part] = {}  # of large messages read lately, by UID
        self.line_maps: dict[int, array[int]] = {}

    # ------------------------------------------------------------ plain facts

    @property
    def uidvalidity(self) -> int:
        return self.row.uidvalidity

    @property
    def uidnext(self) -> int:
        return self.row.uidnext

    @property
    def highest_modseq(self) -> int:
        return self.row.highest_modseq

    @property
    def mailbox_id(self) -> str:
        return self.row.guid

    @property
    def number(self) -> int:
        """Its number in the index."""
        return self.row.number

    def position(self, uid: int) -> int:
        """Where ``uid`` stands in the arrays, or -1."""
        at = bisect.bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def positions(self, uids: Sequence[int]) -> Sequence[int]:
        """Where sorted ``uids`` stand; those that are gone are left out."""
        if not uids or not len(self.uids):
            return ()
        first = bisect.bisect_left(self.uids, uids[0])
        stop = bisect.bisect_right(self.uids, uids[-1])
        if stop - first == len(uids) and self.uids[first:stop] == array("I", uids):
            return range(first, stop)
        if len(uids) < 50:
            return [at for at in map(self.position, uids) if at >= 0]
        places = {uid: at for at, uid in enumerate(self.uids[first:stop], first)}
        return [places[uid] for uid in uids if uid in places]

    def status(self) -> MailboxStatus:
        """What STATUS tells, from memory."""
        if self._status is None:
            self._status = MailboxStatus(
                messages=len(self.uids),
                recent=len(self.uids) - bisect.bisect_left(self.uids, self._recent_from),
                uidnext=self.uidnext,
                uidvalidity=self.uidvalidity,
                unseen=sum([not bits & SEEN for bits in self.flags]),
                highest_modseq=self.highest_modseq,
                size=sum(self.sizes),
                deleted=sum([bits & DELETED != 0 for bits in self.flags]),
                mailbox_id=self.mailbox_id,
            )
        return self._status

    # ------------------------------------------------------------ watchers

    def watch(self, watcher: Watcher) -> None:
        if watcher not in self.watchers:
            self.watchers.append(watcher)

    def release(self, watcher: Watcher) -> None:
        if watcher in self.watchers:
            self.watchers.remove(watcher)
            if not self.watchers:
                self.released(self)

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
            shielded(self._save_recent()).addErrback(self._failed)
        return first

    async def _save_recent(self) -> None:
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
        waiting, self._waiting = self._waiting, []
        for _, waiter in waiting:
            if waiter is not None:
                waiter.errback(StoreError(Problem.BUSY, text))
        self.stop()

    def stop(self) -> None:
        """No timer of this mailbox runs any longer."""
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
        self._status = None
        if len(row.keywords) > len(self.keywords):
            self.keywords.extend(row.keywords[len(self.keywords) :])
            self.tell(lambda watcher: watcher.keywords_changed())

    def note_known(self, known: Known | None) -> None:
        """A worker has changed the directories for us. Call under the lock."""
        if known is not None:
            self.row = replace(self.row, known=known)

    def refresh(self) -> Deferred[None]:
        """Look for changes by other programs, and give UIDs to what waits for them."""
        return shielded(self._refresh())

    async def _refresh(self, thorough: bool = False) -> None:
        async with Held(self.lock):
            await self.refresh_locked(thorough)

    async def refresh_locked(self, thorough: bool = False) -> None:
        """The same for those who hold the lock. Raises StoreError."""
        self.check_alive()
        try:
            if not thorough and await self.account.disk(scan.is_unchanged, self.row, self.folder):
                return
            for _ in range(_LOOKS):
                try:
                    await self._look(thorough)
                    return
                except Restart:
                    continue
            raise StoreError(Problem.BUSY, "another program is changing this mailbox; try again")
        except MailboxGone:
            self.die("the mailbox was deleted")
            raise StoreError(Problem.NO_SUCH_MAILBOX, "the mailbox was deleted") from None

    async def _look(self, thorough: bool) -> None:
        row, folder, now = self.row, self.folder, self.account.clock.seconds()
        changes = await self.account.run(lambda connection: scan.look(connection, row, folder, now, thorough=thorough))
        if changes.reset:
            self.account.journal.tell(MailboxReset(account=str(self.account.address), mailbox=self.name))
            self.die("the mailbox was replaced by another one of that name")
            raise StoreError(Problem.NO_SUCH_MAILBOX, "the mailbox was replaced; select it again")
        self.take_row(changes.row)
        self._apply_looked(changes)
        arrived = 0
        if changes.newcomers:
            arrived = await self._admit_all(changes)
        if arrived or changes.gone or changes.changed:
            self.account.journal.tell(
                MailboxScanned(
                    account=str(self.account.address),
                    mailbox=self.name,
                    arrived=arrived,
                    gone=len(changes.gone),
                    changed=len(changes.changed),
                )
            )
        if changes.again:
            self.look_again_in(1.0)

    async def _admit_all(self, changes: Changes) -> int:
        arrived = 0
        newcomers = changes.newcomers
        for start in range(0, len(newcomers), CHUNK):
            chunk = newcomers[start : start + CHUNK]
            final = start + CHUNK >= len(newcomers)
            done = await self._admit(chunk, final, changes)
            arrived += len(done.rows)
        return arrived

    async def _admit(self, newcomers: Sequence[Newcomer], final: bool, changes: Changes | None) -> Admitted:
        row, folder, names, now = self.row, self.folder, self.account.names, self.account.clock.seconds()
        listed = changes.listed if changes is not None else None
        done = await self.account.run(
            lambda connection: admission.admit(
                connection, row, folder, newcomers, names, now, final=final, listed=listed
            )
        )
        self.account.room.note(done.octets, done.counted)
        self.apply_admitted(done)
        return done

    def _apply_looked(self, changes: Changes) -> None:
        if changes.changed:
            self.set_flags(changes.changed, changes.modseq, None)
        if changes.gone:
            self.drop(changes.gone, changes.modseq)

    def look_again_in(self, seconds: float) -> None:
        """A look at everything, soon."""
        if self._look_again is None and not self.is_dead:
            self._look_again = self.account.clock.callLater(seconds, self._verify)

    def _verify(self) -> None:
        self._look_again = None
        if not self.is_dead:
            shielded(self._refresh(thorough=True)).addErrback(self._failed)

    def _failed(self, failure: object) -> None:
        error = getattr(failure, "value", None)
        if not isinstance(error, StoreError) and isinstance(error, BaseException):
            self.account.journal.broken("store", error)

    # ------------------------------------------------------------ the arrays

    def apply_admitted(self, done: Admitted) -> None:
        """Messages that have their UIDs now: arrays first, then the watchers."""
        self.take_row(done.row)
        if done.changed:
            self.set_flags(done.changed, done.modseq, None)
        if not done.rows:
            return
        self.uids.extend([row.uid for row in done.rows])
        self.flags.extend([row.flags for row in done.rows])
        self.modseqs.extend([row.modseq for row in done.rows])
        self.sizes.extend([row.size for row in done.rows])
        self.dates.extend([row.date for row in done.rows])
        self.zones.extend([row.zone for row in done.rows])
        count = len(self.uids)
        self.tell(lambda watcher: watcher.arrived(count))
        self.grown(self)

    def set_flags(self, changes: Sequence[tuple[int, int]], modseq: int, by: Watcher | None) -> None:
        """(uid, flags) as they are on disk now."""
        told = []
        for uid, bits in sorted(changes):
            at = self.position(uid)
            if at >= 0:
                self.flags[at] = bits
                self.modseqs[at] = modseq
                told.append(uid)
        self._status = None
        if told:
            self.tell(lambda watcher: watcher.flags_changed(told, modseq, by))

    def drop(self, uids: Sequence[int], modseq: int) -> None:
        """These are gone: new arrays, then the watchers."""
        gone = set(uids)
        keep = [at for at, uid in enumerate(self.uids) if uid not in gone]
        told = [uid for uid in self.uids if uid in gone]
        if not told:
            return
        for name in ("uids", "flags", "modseqs", "sizes", "dates", "zones"):
            old: array[int] = getattr(self, name)
            setattr(self, name, array(old.typecode, [old[at] for at in keep]))
        for uid in told:
            self.structures.pop(uid, None)
            self.line_maps.pop(uid, None)
        self._status = None
        self.tell(lambda watcher: watcher.expunged(told, modseq))

    # ------------------------------------------------------------ arrivals

    def enqueue(self, newcomer: Newcomer, waiter: Deferred[int] | None = None) -> None:
        """A file of ours is durable in its place: it gets a UID in the next batch; ``waiter`` gets the UID."""
        self._waiting.append((newcomer, waiter))
        if not self._flushing:
            self._flushing = True
            shielded(self._flush()).addErrback(self._failed)

    @property
    def has_waiting(self) -> bool:
        """Do files of ours still wait for their UIDs?"""
        return self._flushing

    async def _flush(self) -> None:
        try:
            while self._waiting and not self.is_dead:
                async with Held(self.lock):
                    batch, self._waiting = self._waiting[:CHUNK], self._waiting[CHUNK:]
                    try:
                        found = await self._number(batch)
                    except Exception as error:  # noqa: BLE001 - passed on to those who wait
                        refusal = self.account.refusal(error)
                        for _, waiter in batch:
                            if waiter is not None:
                                waiter.errback(refusal)
                        self.look_again_in(1.0)
                        continue
                for newcomer, waiter in batch:
                    if waiter is not None:
                        uid = found.get(newcomer.file)
                        if uid is None:
                            waiter.errback(StoreError(Problem.DISK, "the message vanished from the disk"))
                        else:
                            waiter.callback(uid)
        finally:
            self._flushing = False

    async def _number(self, batch: Sequence[tuple[Newcomer, Deferred[int] | None]]) -> dict[str, int]:
        newcomers = [newcomer for newcomer, _ in batch]
        for _ in range(_LOOKS):
            try:
                done = await self._admit(newcomers, True, None)
                break
            except Restart:
                await self.refresh_locked(thorough=True)
        else:
            raise StoreError(Problem.BUSY, "another program is changing this mailbox; try again")
        found = done.numbers
        missing = [newcomer.file for newcomer in newcomers if newcomer.file not in found]
        if missing:
            # A look at the directory was quicker and has numbered them.
            number = self.number

            def work(connection: sqlite3.Connection) -> dict[str, int]:
                rows = {file: index.find_base(connection, number, base_of(file)) for file in missing}
                return {file: row[0] for file, row in rows.items() if row is not None}

            late = await self.account.run(work)
            found |= late
            ours = [n for n in newcomers if n.counted and n.file in late]
            octets = sum(size_of(base_of(n.file)) or 0 for n in ours)
            await self.account.disk(quota.add, self.folder.root, octets, len(ours))
            self.account.room.note(octets, len(ours))
        return found

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
        return shielded(marking.mark(self, list(uids), action, list(flags), unchanged_since, by))

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
        return await self.account.run(lambda connection: index.vanished_since(connection, number, modseq))

    def slices(self) -> Slices:
        """For loops in the reactor."""
        return Slices(self.account.clock)
