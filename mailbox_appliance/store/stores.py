"""The store's door: one AccountStore per account, shared by everybody, and what must happen now and then.

Changes that other programs make to watched mailboxes are told by the kernel (``eyes``), or found by looking every
second (a few stats in one worker job); mailboxes that nobody watches rest in memory for a while; the index of an
account that nobody uses is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorFDSet

from mailbox_appliance.journal.events.store import WatchesShort
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.habits import Listeners
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.rounds import Rounds
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.shielded import Held, shielded
from mailbox_appliance.store import resting, scan
from mailbox_appliance.store.account import Account, StoreSettings
from mailbox_appliance.store.changes import MailboxGone
from mailbox_appliance.store.eyes import Eyes
from mailbox_appliance.store.filenames import UniqueNames
from mailbox_appliance.store.index import MailboxRow
from mailbox_appliance.store.mailbox import OpenMailbox
from mailbox_appliance.store.nearby import is_nearby
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.pulse import Pulse
from mailbox_appliance.store.sifters import Sifters
from mailbox_appliance.store.store import AccountStore
from mailbox_appliance.store.words import Vocabularies

ROUND = 10  # polls after which even what the kernel watches for us is looked at


class MailStores:
    """ports.store.Stores. ``limit_of`` gives an account's quota in octets (ports.users.Directory.quota)."""

    def __init__(
        self,
        settings: StoreSettings,
        clock: Clock,
        workers: Workers,
        journal: FullJournal,
        rounds: Rounds,
        limit_of: Callable[[Address], Awaitable[int]],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._rounds = rounds
        self._limit_of = limit_of
        self.names = UniqueNames(settings.host)
        self.pulse = Pulse(clock)
        self._is_nearby = is_nearby(settings.mail)
        self._vocabularies = Vocabularies()
        self._sifters = Sifters(clock, workers, settings.sifters)
        self.habits = Listeners()
        self.on_use: Callable[[Address], None] = lambda account: None  # more is kept there now, or less
        self._stores: dict[Address, AccountStore] = {}
        self._making = DeferredLock()
        self._resting: dict[OpenMailbox, tuple[AccountStore, float]] = {}
        self._timer: Timer | None = None
        self._polling = False
        self._turns = 0
        self._look_soon: set[OpenMailbox] = set()
        self._eyes = Eyes(clock, clock if IReactorFDSet.providedBy(clock) else None, self._touched, self._short)

    # ------------------------------------------------------------ the port

    async def of(self, account: Address) -> AccountStore:
        """Raises StoreError (DISK, NOT_ALLOWED)."""
        account = account.folded()
        found = self._stores.get(account)
        if found is not None:
            return found
        return await shielded(self._make(account))

    def now(self, account: Address) -> AccountStore | None:
        """The store if it is in use already."""
        return self._stores.get(account.folded())

    async def _make(self, address: Address) -> AccountStore:
        async with Held(self._making):
            if address in self._stores:
                return self._stores[address]
            account = Account(
                address,
                self._settings,
                self._clock,
                self._workers,
                self._journal,
                self._rounds,
                self.names,
                self._limit_of,
                self.pulse,
                is_nearby=self._is_nearby,
                vocabularies=self._vocabularies,
                sifters=self._sifters,
                habits=self.habits,
                lookout=self._eyes,
                use_changed=self.on_use,
            )
            store = AccountStore(account, self._rests)
            await store.prepare()
            self._stores[address] = store
        shielded(store.clean()).addErrback(self._failed)
        return store

    # ------------------------------------------------------------ now and then

    def start(self) -> None:
        """Begin to look at watched mailboxes."""
        if self._is_nearby:
            self._eyes.open()
        if self._timer is None:
            self._timer = self._clock.callLater(self._settings.poll, self._turn)

    def stop(self) -> None:
        """Nothing runs any longer, every index is closed. Blocks for a moment."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        for store in self._stores.values():
            store.stop()
        self._eyes.close()
        self._sifters.stop()
        self._stores.clear()
        self._resting.clear()

    def take_over(self, settings: StoreSettings) -> None:
        """Other settings, for what happens from now on."""
        self._settings = settings
        for store in self._stores.values():
            store.ground.settings = settings

    async def make_room(self, octets: int) -> int:
        """The disk is full: the oldest expunged messages go. Returns the octets freed. Raises OSError, Busy."""
        return await self._workers.run("disk", resting.make_room, self._settings.mail, octets)

    async def sweep_resting(self) -> None:
        """What rests too long, in all accounts. Raises OSError, Busy."""
        settings, now = self._settings, self._clock.seconds()
        roots = await self._workers.run("disk", lambda: list(resting.accounts_with_rest(settings.mail)))
        for root in roots:
            await self._workers.run("disk", resting.sweep, root, now, settings.undelete_age, settings.undelete_octets)

    def forget(self, account: Address) -> None:
        """The account is being removed: nothing of it stays open."""
        store = self._stores.pop(account.folded(), None)
        if store is not None:
            for box in list(store.boxes.values()):
                box.die("the account was removed")
            store.stop()

    def _turn(self) -> None:
        self._timer = self._clock.callLater(self._settings.poll, self._turn)
        self._look_soon = {box for box in self._look_soon if box.watchers}
        self._unload_rested()
        if not self._polling:
            self._polling = True
            shielded(self._poll()).addErrback(self._failed)

    async def _poll(self) -> None:
        self._turns += 1
        everything = self._turns % ROUND == 0
        try:
            watched = [
                box
                for store in self._stores.values()
                for box in store.boxes.values()
                if box.watchers and not box.has_waiting and self._is_due(box, everything)
            ]
            self._look_soon.difference_update(watched)
            await self._look_at(watched)
        finally:
            self._polling = False

    def _is_due(self, box: OpenMailbox, everything: bool) -> bool:
        return everything or box in self._look_soon or box.in_doubt or not self._eyes.sees(box)

    def _short(self) -> None:
        self._journal.tell(WatchesShort())

    def _touched(self, box: OpenMailbox) -> Deferred[None]:
        """Somebody has changed its directories, perhaps we."""
        if box.has_waiting:
            self._look_soon.add(box)  # most likely ours; the next poll sees what else there may be
            return succeed(None)
        return shielded(self._look_at_one(box)).addErrback(self._failed)

    async def _look_at_one(self, box: OpenMailbox) -> None:
        for refreshing in await self._look_at([box]):
            await refreshing

    async def _look_at(self, boxes: list[OpenMailbox]) -> list[Deferred[None]]:
        """The refreshes that were begun: one mailbox does not wait for another."""
        if not boxes:
            return []
        places = [(box.row, box.folder) for box in boxes]
        changed = await self._workers.run("disk", _changed, places)
        now = self._clock.seconds()
        refreshed = []
        for box, is_changed in zip(boxes, changed, strict=True):
            box.looked_at = now
            if is_changed and not box.is_dead:
                refreshed.append(box.refresh().addErrback(self._failed))
        return refreshed

    def _rests(self, store: AccountStore, box: OpenMailbox) -> None:
        self._resting.pop(box, None)
        self._resting[box] = (store, self._clock.seconds())

    def _unload_rested(self) -> None:
        now = self._clock.seconds()
        excess = len(self._resting) - self._settings.most_resting
        for number, (box, (store, since)) in enumerate(list(self._resting.items())):
            if box.watchers or box.is_dead:
                del self._resting[box]
            elif now - since >= self._settings.rest or number < excess:
                if not box.has_waiting:
                    del self._resting[box]
                    shielded(store.unload(box)).addErrback(self._failed)
        for store in self._stores.values():
            if store.is_idle and now - store.used_at >= self._settings.rest:
                store.used_at = now
                self._close(store).addErrback(self._failed)

    def _close(self, store: AccountStore) -> Deferred[None]:
        async def close() -> None:
            self._vocabularies.forget(str(store.account))
            await self._workers.run("disk", store.ground.index.close)

        return shielded(close())

    def _failed(self, failure: object) -> None:
        error = getattr(failure, "value", None)
        if isinstance(error, BaseException) and not isinstance(error, StoreError):
            self._journal.broken("store", error)


def _changed(places: list[tuple[MailboxRow, Folder]]) -> list[bool]:
    """For workers: which mailboxes somebody else has touched."""
    result = []
    for row, folder in places:
        try:
            result.append(not scan.is_unchanged(row, folder))
        except (OSError, MailboxGone):
            result.append(True)
    return result
