"""Every account's own folders, laid over its mail store (ports.store.Stores and Mailstore).

What belongs to the Outbox or to the addresses is answered here; everything else goes to the store behind, and a
mailbox of that is handed out as it is. A real mailbox of such a name comes first: nobody's mail is ever hidden.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import SEPARATOR, MailboxInfo, MailboxStatus, Quota, SpecialUse
from mailbox_appliance.outbox import addresses, outbox
from mailbox_appliance.outbox.folder import SmallFolder
from mailbox_appliance.outbox.outbox import Outbox
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.ports.queue import OwnQueue
from mailbox_appliance.ports.store import (
    Appended,
    Copied,
    Mailbox,
    Mailstore,
    NewMessage,
    Problem,
    StoreError,
    Stores,
    Watcher,
)
from mailbox_appliance.ports.users import Throwaway, ThrowawayRefused, Throwaways
from mailbox_appliance.ports.workers import Workers

ALWAYS_THERE = "this folder is always there"
NOTHING_GOES_IN = "nothing can be put here: mail is sent by your mail program's outgoing server"
NO_LETTERS = "nothing can be put here: mail for the address arrives in the inbox"
NOT_RENAMED = "an address keeps its name: delete the folder to end it, and make another"
ONE_LEVEL = "an address is a folder right below Addresses, without further levels"


class OwnFolders:
    """ports.store.Stores over another."""

    def __init__(
        self,
        behind: Stores,
        queue: OwnQueue,
        throwaways: Throwaways,
        clock: Clock,
        workers: Workers,
        journal: HasFailed,
    ) -> None:
        self._behind = behind
        self.queue = queue
        self.throwaways = throwaways
        self.clock = clock
        self.workers = workers
        self.journal = journal
        self._stores: dict[Address, tuple[Mailstore, OwnStore]] = {}

    async def of(self, account: Address) -> OwnStore:
        """Raises StoreError."""
        behind = await self._behind.of(account)
        known = self._stores.get(account)
        if known is None or known[0] is not behind:  # a removed account that was made anew has another store
            known = self._stores[account] = (behind, OwnStore(behind, self))
        return known[1]


class OwnStore:
    """ports.store.Mailstore of one account."""

    def __init__(self, behind: Mailstore, house: OwnFolders) -> None:
        self._behind = behind
        self._house = house
        self.account = behind.account
        self._open: dict[str, SmallFolder] = {}

    # ------------------------------------------------------------ which is whose

    def _addresses(self) -> dict[str, Throwaway]:
        return {addresses.folder_of(one): one for one in self._house.throwaways.of(self.account)}

    def _is_ours(self, name: str) -> bool:
        """By its name: of the Outbox or of the addresses."""
        return any(name == own or name.startswith(own + SEPARATOR) for own in (outbox.NAME, addresses.NAME))

    async def _is_own(self, name: str) -> bool:
        """Ours, and no real mailbox of that name stands in front."""
        if not self._is_ours(name):
            return False
        return not any(info.name == name and info.exists for info in await self._behind.mailboxes())

    def _exists(self, name: str) -> bool:
        return name in (outbox.NAME, addresses.NAME) or name in self._addresses()

    # ------------------------------------------------------------ the tree

    async def mailboxes(self) -> tuple[MailboxInfo, ...]:
        behind = await self._behind.mailboxes()
        real = {info.name for info in behind if info.exists}
        own = self._addresses()
        mine = [
            MailboxInfo(outbox.NAME, subscribed=True),
            MailboxInfo(addresses.NAME, subscribed=True, has_children=bool(own)),
            *(MailboxInfo(name, subscribed=True) for name in sorted(own)),
        ]
        added = [info for info in mine if info.name not in real]
        names = {info.name for info in added}
        return (*(info for info in behind if info.name not in names), *added)

    async def create(self, name: str, use: SpecialUse | None = None) -> None:
        if not await self._is_own(name):
            return await self._behind.create(name, use)
        if self._exists(name):
            raise StoreError(Problem.MAILBOX_EXISTS, ALWAYS_THERE if name in _FIXED else "the address is there already")
        label = name.removeprefix(addresses.BELOW)
        if not name.startswith(addresses.BELOW) or SEPARATOR in label or use is not None:
            raise StoreError(Problem.NOT_ALLOWED, ONE_LEVEL)
        try:
            made = await self._house.throwaways.make(self.account, label)
        except ThrowawayRefused as error:
            raise StoreError(Problem.MAILBOX_EXISTS if error.exists else Problem.NOT_ALLOWED, str(error)) from None
        if addresses.folder_of(made) != name:
            await self._house.throwaways.end(self.account, made.address)
            raise StoreError(Problem.NOT_ALLOWED, "choose a plain name, of letters, digits and spaces")

    async def delete(self, name: str) -> None:
        if not await self._is_own(name):
            return await self._behind.delete(name)
        await self._end(name)

    async def rename(self, name: str, to: str) -> None:
        if await self._is_own(name):
            throwaway = self._addresses().get(name)
            if throwaway is None or not await self._is_in_trash(to):
                raise StoreError(*self._why_not(name, NOT_RENAMED))
            # What mail clients do when a folder is deleted: they move it into the trash.
            await self._behind.create(to)
            return await self._end(name)
        if await self._is_own(to):
            raise StoreError(Problem.NOT_ALLOWED, "a folder with mail in it cannot be moved here")
        return await self._behind.rename(name, to)

    async def _is_in_trash(self, name: str) -> bool:
        return any(
            info.special_use is SpecialUse.TRASH and name.startswith(info.name + SEPARATOR)
            for info in await self._behind.mailboxes()
        )

    async def _end(self, name: str) -> None:
        throwaway = self._addresses().get(name)
        if throwaway is None:
            raise StoreError(*self._why_not(name, ALWAYS_THERE))
        try:
            await self._house.throwaways.end(self.account, throwaway.address)
        except ThrowawayRefused as error:
            raise StoreError(Problem.NOT_ALLOWED, str(error)) from None
        folder = self._open.pop(name, None)
        if folder is not None:
            folder.die("the address was revoked")

    def _why_not(self, name: str, text: str) -> tuple[Problem, str]:
        if self._exists(name):
            return Problem.NOT_ALLOWED, ALWAYS_THERE if name in _FIXED else text
        return Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}"

    async def subscribe(self, name: str, wanted: bool) -> None:
        if not await self._is_own(name) or not self._exists(name):
            return await self._behind.subscribe(name, wanted)
        if not wanted:
            raise StoreError(Problem.NOT_ALLOWED, ALWAYS_THERE)

    # ------------------------------------------------------------ mailboxes

    async def status(self, name: str, *, sized: bool = True) -> MailboxStatus:
        if not await self._is_own(name):
            return await self._behind.status(name, sized=sized)
        folder = self._open.get(name)
        if folder is not None and folder.watchers:
            return folder.status()
        if name == outbox.NAME:
            return outbox.status_of(await self._house.queue.of(self.account))
        return self._address_folder(name).status()

    async def open(self, name: str, watcher: Watcher, *, read_only: bool = False) -> Mailbox:
        if not await self._is_own(name):
            return await self._behind.open(name, watcher, read_only=read_only)
        folder = self._open.get(name)
        if folder is None:
            folder = self._outbox() if name == outbox.NAME else self._address_folder(name)
            self._open[name] = folder
        folder.watch(watcher)
        try:
            await folder.refresh()
        except BaseException:
            folder.release(watcher)
            raise
        return folder

    def _outbox(self) -> Outbox:
        house = self._house
        return Outbox(
            self.account,
            house.queue,
            self.append,
            house.clock,
            house.workers,
            house.journal,
            lambda: _forget(self._open, outbox.NAME),
        )

    def _address_folder(self, name: str) -> SmallFolder:
        house = self._house
        if name == addresses.NAME:
            return addresses.about(self.account, house.clock, house.workers)
        throwaway = self._addresses().get(name)
        if throwaway is None:
            raise StoreError(Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}")
        return addresses.folder_for(throwaway, self.account, house.clock, house.workers)

    async def append(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        if not await self._is_own(name):
            return await self._behind.append(name, messages)
        raise self._nothing_goes_in(name)

    async def check_room(self, name: str, octets: int) -> None:
        if not await self._is_own(name):
            return await self._behind.check_room(name, octets)
        raise self._nothing_goes_in(name)

    def _nothing_goes_in(self, name: str) -> StoreError:
        if not self._exists(name):
            return StoreError(Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}")
        return StoreError(Problem.NOT_ALLOWED, NOTHING_GOES_IN if name == outbox.NAME else NO_LETTERS)

    async def copy(self, source: Mailbox, uids: Sequence[int], target: str, *, move: bool = False) -> Copied:
        if isinstance(source, SmallFolder):
            return await source.copy(uids, target, move=move)
        if await self._is_own(target):
            raise self._nothing_goes_in(target)
        return await self._behind.copy(source, uids, target, move=move)

    def quota(self, name: str = "") -> Awaitable[Quota]:
        return self._behind.quota("" if self._is_ours(name) else name)

    async def metadata(self, name: str) -> Mapping[str, bytes]:
        if await self._is_own(name) and self._exists(name):
            return {}
        return await self._behind.metadata(name)

    async def set_metadata(self, name: str, entries: Mapping[str, bytes | None]) -> None:
        if await self._is_own(name) and self._exists(name):
            raise StoreError(Problem.NOT_ALLOWED, "no notes can be kept beside this folder")
        await self._behind.set_metadata(name, entries)


_FIXED = (outbox.NAME, addresses.NAME)


def _forget(folders: dict[str, SmallFolder], name: str) -> None:
    folders.pop(name, None)
