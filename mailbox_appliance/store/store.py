"""One account's mail: the tree of mailboxes, and the open ones that its sessions share."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence

from twisted.internet.defer import DeferredLock

from mailbox_appliance.journal.events.store import LeftoversRemoved, MailStored
from mailbox_appliance.mail.mailbox import INBOX, MailboxInfo, MailboxStatus, Quota, SpecialUse
from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.ports.habits import Filed, Opened
from mailbox_appliance.ports.store import Appended, Copied, Mailbox, NewMessage, Problem, StoreError, Watcher
from mailbox_appliance.shielded import Held, shielded
from mailbox_appliance.store import append as appending
from mailbox_appliance.store import copy as copying
from mailbox_appliance.store import (
    flags,
    folders,
    index,
    looking,
    message_rows,
    metadata,
    scan,
    subscriptions,
    uidvalidity,
)
from mailbox_appliance.store.account import Account
from mailbox_appliance.store.beforehand import Beforehand
from mailbox_appliance.store.changes import MailboxGone, Newcomer
from mailbox_appliance.store.index import MailboxRow
from mailbox_appliance.store.mailbox import OpenMailbox
from mailbox_appliance.store.message_rows import Arrays
from mailbox_appliance.store.paths import Folder, checked_name, folder_of


class AccountStore:
    """ports.store.Mailstore. ``resting`` is told of mailboxes that nobody watches any longer."""

    def __init__(self, account: Account, resting: Callable[[AccountStore, OpenMailbox], None]) -> None:
        self.ground = account
        self.account = account.address
        self.boxes: dict[str, OpenMailbox] = {}
        self.present: set[str] = set()  # mailboxes seen to be there, for deliveries
        self.used_at = account.clock.seconds()
        self._resting = resting
        self._loading = DeferredLock()
        self._arrivals: dict[str, list[Newcomer]] = {}
        self._arrival_timer: Timer | None = None
        self._beforehand = Beforehand(account, self._in_memory, self._background_failed)
        account.damaged = self._index_lost

    @property
    def is_idle(self) -> bool:
        """Nothing is open and nothing waits."""
        return not self.boxes and not self._arrivals

    async def prepare(self) -> None:
        """INBOX, the special folders and the index. Raises StoreError (DISK)."""
        await self.ground.disk(folders.prepare, self.ground.root)
        if not await self.ground.disk(os.path.exists, self.ground.index.path):
            await self.ground.run(lambda connection: None)  # a new one is made while nobody waits for a mailbox

    async def clean(self) -> None:
        """Remove leftovers of crashed programs."""
        age = self.ground.settings.leftover_age
        removed = await self.ground.disk(folders.clean, self.ground.root, self.ground.clock.seconds(), age)
        if removed:
            self.ground.journal.tell(LeftoversRemoved(account=str(self.account), files=removed))

    # ------------------------------------------------------------ open mailboxes

    async def box(self, name: str) -> OpenMailbox:
        """The open mailbox ``name``, loaded if need be. Raises StoreError."""
        name = checked_name(name)
        self.used_at = self.ground.clock.seconds()
        found = self.boxes.get(name)
        if found is not None and not found.is_dead:
            return found
        return await shielded(self._box(name))

    async def _box(self, name: str) -> OpenMailbox:
        async with Held(self._loading):
            for last in (False, False, True):
                found = self.boxes.get(name)
                if found is not None and not found.is_dead:
                    return found
                try:
                    return await self._load(name)
                except StoreError as error:
                    # A replaced uidlist or a damaged index: what was loaded is void, the next load is good.
                    if last or error.problem not in (Problem.NO_SUCH_MAILBOX, Problem.BUSY) or not self._retry(name):
                        raise
        raise AssertionError("unreachable")

    def _retry(self, name: str) -> bool:
        box = self.boxes.pop(name, None)
        return box is not None or not self.ground.kinds

    async def _load(self, name: str) -> OpenMailbox:
        folder = folder_of(self.ground.root, name)

        def work(connection: sqlite3.Connection) -> tuple[MailboxRow, Arrays, bool]:
            if not folders.exists(folder):
                raise MailboxGone(folder.path)
            row = index.load_mailbox(connection, folder.disk)
            message_rows.forget_beyond(connection, row)
            return row, message_rows.load_arrays(connection, row.number), scan.is_unchanged(row, folder)

        try:
            row, arrays, unchanged = await self.ground.run(work)
        except MailboxGone:
            self.present.discard(name)
            raise StoreError(Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}") from None
        box = OpenMailbox(self.ground, name, folder, row, arrays)
        box.released = self._released
        box.grown = lambda box: self._beforehand.look_soon()
        box.copying = self._copy
        self.boxes[name] = box
        if not unchanged:
            await looking.first_look(box)
        elif row.known.doubt:
            # Only our own changes since the last listing: good enough to answer, and verified soon.
            box.look_again_in(3.0)
        for newcomer in self._arrivals.pop(name, ()):
            box.enqueue(newcomer)
        if not box.watchers:
            self._resting(self, box)
        self._beforehand.look_soon()
        return box

    def _in_memory(self) -> Sequence[OpenMailbox]:
        return list(self.boxes.values())

    def _released(self, box: OpenMailbox) -> None:
        if self.boxes.get(box.name) is box:
            self._resting(self, box)

    async def unload(self, box: OpenMailbox) -> None:
        """Forget a mailbox that nobody watches; its uidlist is tidied when most of it is about messages gone."""
        if box.watchers or box.has_waiting or box.is_dead or self.boxes.get(box.name) is not box:
            return
        async with Held(box.lock):
            if box.row.known.lines > 2 * len(box.uids) + 200:
                row, folder = box.row, box.folder
                box.take_row(await self.ground.run(lambda connection: scan.compact(connection, row, folder)))
        if box.watchers or box.has_waiting or self.boxes.get(box.name) is not box:
            return
        box.stop()
        box.is_dead = True
        del self.boxes[box.name]

    def _index_lost(self) -> None:
        self.ground.kinds = {}
        boxes, self.boxes = self.boxes, {}
        for box in boxes.values():
            box.die("the index of this account is being built anew; select the mailbox again")

    def stop(self) -> None:
        """No timer runs any longer, the index is closed."""
        if self._arrival_timer is not None and self._arrival_timer.active():
            self._arrival_timer.cancel()
        self._beforehand.stop()
        for box in self.boxes.values():
            box.stop()
            box.is_dead = True
        self.boxes.clear()
        self.ground.index.close()

    # ------------------------------------------------------------ the port

    async def mailboxes(self) -> tuple[MailboxInfo, ...]:
        return folders.infos(await self.ground.disk(folders.read_tree, self.ground.root))

    async def create(self, name: str, use: SpecialUse | None = None) -> None:
        name = checked_name(name)
        await shielded(self.ground.disk(folders.create, self.ground.root, name, use))

    async def delete(self, name: str) -> None:
        await shielded(self._delete(checked_name(name)))

    async def _delete(self, name: str) -> None:
        async with Held(self._loading):
            folder = await self.ground.disk(folders.check_deletable, self.ground.root, name)
            self.present.discard(name)
            box = self.boxes.pop(name, None)
            if box is None:
                await self._remove(folder, name)
                return
            async with Held(box.lock):
                box.die("the mailbox was deleted")
                await self._remove(folder, name)

    async def _remove(self, folder: Folder, name: str) -> None:
        rest, now = self.ground.bedtime.root, self.ground.clock.seconds()

        def work(connection: sqlite3.Connection) -> str:
            uidvalidity.spent(folder.root, index.load_mailbox(connection, folder.disk).uidvalidity)
            index.forget_mailbox(connection, folder.disk)
            aside = folders.remove(folder, name)
            metadata.moved(folder.root, {name: None})
            return aside

        aside = await self.ground.run(work)
        await self.ground.disk(folders.clear, folder, aside, rest, now)  # nobody waits for the index meanwhile
        self.ground.room.forget()
        self.ground.bedtime.sweep()

    async def rename(self, name: str, to: str) -> None:
        await shielded(self._rename(checked_name(name), checked_name(to)))

    async def _rename(self, name: str, to: str) -> None:
        if name == INBOX:
            await self.ground.disk(folders.create, self.ground.root, to, None)
            inbox = await self.box(INBOX)
            await inbox.refresh()
            await copying.copy(inbox, list(inbox.uids), await self.box(to), move=True)
            return
        async with Held(self._loading):
            plan = await self.ground.disk(folders.plan_rename, self.ground.root, name, to)
            boxes = {old: self.boxes[old] for old, _ in plan if old in self.boxes}
            for box in boxes.values():
                await box.lock.acquire()
            try:

                def work(connection: sqlite3.Connection) -> None:
                    folders.rename(self.ground.root, plan)
                    metadata.moved(self.ground.root, dict(plan))
                    for old, new in plan:
                        old_disk, new_disk = (
                            folder_of(self.ground.root, old).disk,
                            folder_of(self.ground.root, new).disk,
                        )
                        index.rename_mailbox(connection, old_disk, new_disk)

                await self.ground.run(work)
                for old, new in plan:
                    self.present.discard(old)
                    if old in boxes:
                        box = self.boxes.pop(old)
                        box.name, box.folder = new, folder_of(self.ground.root, new)
                        self.boxes[new] = box
            finally:
                for box in boxes.values():
                    box.lock.release()

    async def subscribe(self, name: str, wanted: bool) -> None:
        name = checked_name(name)
        change = ([name], []) if wanted else ([], [name])
        await shielded(self.ground.disk(subscriptions.change, self.ground.root, *change))

    async def status(self, name: str, *, sized: bool = True) -> MailboxStatus:
        name = checked_name(name)
        if name not in self.boxes and name not in self._arrivals:
            found = await self._status_of_closed(name, sized)
            if found is not None:
                return found
        box = await self.box(name)
        await box.refresh()
        if sized and not box.is_measured:
            await box.measure(box.uids)
        return box.status()

    async def _status_of_closed(self, name: str, sized: bool) -> MailboxStatus | None:
        folder = folder_of(self.ground.root, name)

        def work(connection: sqlite3.Connection) -> MailboxStatus | None:
            if not folders.exists(folder):
                raise StoreError(Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}")
            row = index.load_mailbox(connection, folder.disk)
            if not scan.is_unchanged(row, folder):
                return None
            found = index.counts(connection, row, sized=sized)
            if found is None:
                return None
            messages, unseen, deleted, size, recent = found
            return MailboxStatus(
                messages, recent, row.uidnext, row.uidvalidity, unseen, row.highest_modseq, size, deleted, row.guid
            )

        return await self.ground.run(work)

    async def open(self, name: str, watcher: Watcher, *, read_only: bool = False) -> OpenMailbox:
        name = checked_name(name)
        known = name in self.boxes
        box = await self.box(name)
        if known:
            await box.refresh()
        box.check_alive()
        box.watch(watcher)
        if not read_only:
            shielded(flags.settle(box)).addErrback(self._background_failed)
            self.ground.habits.opened(Opened(self.account, name))
        return box

    async def append(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        box = await self.box(name)
        return await shielded(appending.append(box, messages))

    async def check_room(self, name: str, octets: int) -> None:
        name = checked_name(name)
        box = self.boxes.get(name)
        if box is None or box.is_dead:
            folder = folder_of(self.ground.root, name)
            if not await self.ground.disk(folders.exists, folder):
                raise StoreError(Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}")
        if not await self.ground.room.fits(octets):
            raise StoreError(Problem.OVER_QUOTA, "the mailbox is full")

    def copy(self, source: Mailbox, uids: Sequence[int], target: str, *, move: bool = False) -> Awaitable[Copied]:
        return source.copy(uids, target, move=move)

    def _copy(self, box: OpenMailbox, uids: Sequence[int], target: str, move: bool) -> Awaitable[Copied]:
        return shielded(self._copy_to(box, uids, target, move))

    async def _copy_to(self, box: OpenMailbox, uids: Sequence[int], target: str, move: bool) -> Copied:
        other = await self.box(target)
        copied = await copying.copy(box, uids, other, move=move)
        if copied.target_uids:
            self.ground.habits.filed(Filed(self.account, box.name, other.name, copied.target_uids, move))
        return copied

    async def metadata(self, name: str) -> Mapping[str, bytes]:
        return await self.ground.disk(metadata.read, self.ground.root, name and checked_name(name))

    async def set_metadata(self, name: str, entries: Mapping[str, bytes | None]) -> None:
        await shielded(self._set_metadata(name and checked_name(name), entries))

    async def _set_metadata(self, name: str, entries: Mapping[str, bytes | None]) -> None:
        async with Held(self._loading):
            await self.ground.disk(metadata.change, self.ground.root, name, entries)

    async def quota(self, name: str = "") -> Quota:
        return await self.ground.room.current(fresh=True)

    # ------------------------------------------------------------ deliveries

    async def make_present(self, name: str) -> None:
        """Make sure the mailbox is there; a new one is subscribed. Raises StoreError."""
        if name in self.present or name in self.boxes:
            return
        try:
            await self.create(name)
        except StoreError as error:
            if error.problem is not Problem.MAILBOX_EXISTS:
                raise
        else:
            await self.subscribe(name, True)
        self.present.add(name)

    def arrived(self, name: str, newcomer: Newcomer) -> None:
        """A delivered file is durable: at once for a mailbox in memory, in a moment for others."""
        self.used_at = self.ground.clock.seconds()
        self.ground.journal.tell(MailStored(account=str(self.account), mailbox=name))
        box = self.boxes.get(name)
        if box is not None and not box.is_dead:
            box.enqueue(newcomer)
            return
        self._arrivals.setdefault(name, []).append(newcomer)
        if self._arrival_timer is None:
            delay = self.ground.settings.arrival_delay
            self._arrival_timer = self.ground.clock.callLater(delay, self._arrivals_due)

    def _arrivals_due(self) -> None:
        self._arrival_timer = None
        for name in list(self._arrivals):
            shielded(self._load_for_arrivals(name)).addErrback(self._background_failed)

    async def _load_for_arrivals(self, name: str) -> None:
        try:
            box = await self.box(name)
        finally:
            newcomers = self._arrivals.pop(name, [])
        for newcomer in newcomers:
            box.enqueue(newcomer)

    def _background_failed(self, failure: object) -> None:
        error = getattr(failure, "value", None)
        if isinstance(error, BaseException) and not isinstance(error, StoreError):
            self.ground.journal.broken("store", error)
