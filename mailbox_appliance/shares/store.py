"""One person's mail with what others share with him: his own Mailstore, and beside it the two namespaces of others.

His own mailboxes are given out as they are and cost nothing. An own mailbox of a name that begins as theirs do comes
first, so that no mail is ever hidden.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.internet.defer import DeferredLock

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR, MailboxInfo, MailboxStatus, Quota, SpecialUse
from mailbox_appliance.ports.sharing import OTHERS, SHARED, is_elsewhere
from mailbox_appliance.ports.store import (
    Appended,
    Bystander,
    Copied,
    Mailbox,
    Mailstore,
    NewMessage,
    Problem,
    StoreError,
    Watcher,
)
from mailbox_appliance.shares.copying import copied, shared_flags
from mailbox_appliance.shares.mailbox import SharedMailbox, as_mailbox
from mailbox_appliance.shares.names import Where, located, name_of
from mailbox_appliance.shares.seen import Place
from mailbox_appliance.shielded import Held, shielded

if TYPE_CHECKING:
    from mailbox_appliance.shares.station import Shares


def no_such_mailbox() -> StoreError:
    """The same words for what there is not and what may not be known."""
    return StoreError(Problem.NO_SUCH_MAILBOX, "there is no such mailbox")


class SharingStore:
    """ports.store.Mailstore of ``own.account``."""

    def __init__(self, own: Mailstore, shares: Shares) -> None:
        self.own = own
        self.account: Address = own.account
        self.shares = shares
        self._boxes: dict[int, SharedMailbox] = {}  # by the identity of the owner's open mailbox
        self._opening = DeferredLock()

    # ------------------------------------------------------------ where things are

    async def where(self, name: str) -> Where | None:
        """Where a mailbox of others is; None when the name is one of his own. Raises StoreError (DISK)."""
        if not is_elsewhere(name):
            return None
        if any(info.name == name and info.exists for info in await self.own.mailboxes()):
            return None
        await self.shares.catalogue.fresh()
        found = located(name, self.account)
        if found is None:
            raise no_such_mailbox()
        return found

    def where_now(self, name: str) -> Where:
        """The same without a look at his own tree."""
        return located(name, self.account) or Where(self.account, name)

    def _rights(self, where: Where) -> frozenset[str]:
        return self.shares.catalogue.rights(self.account, where)

    def need(self, where: Where, right: str, what: str) -> frozenset[str]:
        """Raises StoreError: as if there were nothing when he may not know of it, else NO_RIGHT."""
        rights = self._rights(where)
        if right in rights:
            return rights
        if "l" not in rights:
            raise no_such_mailbox()
        raise StoreError(Problem.NO_RIGHT, f"you may not {what} there")

    async def store_of(self, where: Where) -> Mailstore:
        """All of that owner's mail. Raises StoreError."""
        return await self.shares.inner.of(where.owner)

    # ------------------------------------------------------------ the tree

    async def mailboxes(self) -> tuple[MailboxInfo, ...]:
        own = await self.own.mailboxes()
        await self.shares.catalogue.fresh()
        names = self.shares.catalogue.visible(self.account)
        if not names:
            return own
        there = {info.name for info in own if info.exists}
        wanted = {info.name: info.subscribed for info in own}
        shared = {name for name in names if name not in there}
        above = {name[:at] for name in shared for at in _dots(name)} - shared
        infos = [info for info in own if info.exists or info.name not in shared | above]
        parents = shared | above
        infos = [
            replace(info, has_children=True) if not info.has_children and info.name in above else info for info in infos
        ]
        for name in sorted((shared | above) - there):
            below = any(other.startswith(name + SEPARATOR) for other in parents)
            infos.append(
                MailboxInfo(name, selectable=name in shared, subscribed=wanted.get(name, False), has_children=below)
            )
        return tuple(infos)

    async def create(self, name: str, use: SpecialUse | None = None) -> None:
        _refuse_namespace(name)
        where = await self.where(name)
        if where is None:
            await self.own.create(name, use)
            await self._inherit(Where(self.account, name))
            return
        parent = await self._parent(where)
        if use is not None:
            raise StoreError(Problem.NOT_ALLOWED, "a mailbox of others cannot have a special use")
        if "k" not in self._rights(parent):
            raise StoreError(Problem.NO_RIGHT, "you may not make a mailbox there")
        await (await self.store_of(where)).create(where.mailbox)
        await self._inherit(where)

    async def _parent(self, where: Where) -> Where:
        """The nearest mailbox above that he has any right on; raises StoreError when there is none."""
        for at in reversed(_dots(where.mailbox)):
            parent = Where(where.owner, where.mailbox[:at])
            if self._rights(parent):
                return parent
        raise StoreError(Problem.NO_RIGHT, "you may not make a mailbox there")

    async def _inherit(self, where: Where) -> None:
        """A new mailbox begins with the rights of the one above (as at Dovecot)."""
        if SEPARATOR not in where.mailbox:
            return
        await self.shares.catalogue.fresh()
        for at in reversed(_dots(where.mailbox)):
            acl = self.shares.catalogue.of(Where(where.owner, where.mailbox[:at]))
            if acl.entries:
                await self.shares.catalogue.change(where, lambda _, acl=acl: acl)  # type: ignore[misc]
                return

    async def delete(self, name: str) -> None:
        where = await self.where(name)
        if where is None:
            await self.own.delete(name)
            await self._moved(self.account)
            return
        self.need(where, "x", "delete this mailbox")
        await (await self.store_of(where)).delete(where.mailbox)
        await self.shares.catalogue.look_at(where.owner)

    async def rename(self, name: str, to: str) -> None:
        _refuse_namespace(to)
        where, there = await self.where(name), await self.where(to)
        if where is None and there is None:
            await self.own.rename(name, to)
            await self._moved(self.account)
            return
        if where is not None:
            self.need(where, "x", "rename this mailbox")
        if where is None or there is None or where.owner != there.owner:
            raise StoreError(Problem.NOT_ALLOWED, "a mailbox cannot change its owner; copy the messages instead")
        if where.mailbox == INBOX:
            raise StoreError(Problem.NOT_ALLOWED, "the inbox of somebody else cannot be renamed")
        parent = await self._parent(there)
        if "k" not in self._rights(parent):
            raise StoreError(Problem.NO_RIGHT, "you may not make a mailbox there")
        below = where.mailbox + SEPARATOR
        store = await self.store_of(where)
        for info in await store.mailboxes():  # what lies below goes along: he needs the right for each
            if info.exists and info.selectable and info.name.startswith(below):
                if "x" not in self._rights(Where(where.owner, info.name)):
                    raise StoreError(Problem.NO_RIGHT, "you may not rename what lies below this mailbox")
        await store.rename(where.mailbox, there.mailbox)
        await self.shares.catalogue.look_at(where.owner)

    async def _moved(self, owner: Address) -> None:
        if self.shares.catalogue.anyone_has(owner):
            await self.shares.catalogue.look_at(owner)

    async def subscribe(self, name: str, wanted: bool) -> None:
        await self.own.subscribe(name, wanted)  # the list is his own, whatever the name is

    # ------------------------------------------------------------ one mailbox

    async def status(self, name: str, *, sized: bool = True) -> MailboxStatus:
        where = await self.where(name)
        if where is None:
            return await self.own.status(name, sized=sized)
        self.need(where, "r", "read")
        passerby = Bystander()
        box = await self._open(where, passerby)
        try:
            await box.refresh()
            if sized and not box.is_measured:
                await box.measure(box.uids)
            return box.status()
        finally:
            box.release(passerby)

    async def open(self, name: str, watcher: Watcher, *, read_only: bool = False) -> Mailbox:
        where = await self.where(name)
        if where is None:
            return await self.own.open(name, watcher, read_only=read_only)
        self.need(where, "r", "read")
        return as_mailbox(await self._open(where, watcher))

    def _open(self, where: Where, watcher: Watcher) -> Awaitable[SharedMailbox]:
        return shielded(self._opened(where, watcher))

    async def _opened(self, where: Where, watcher: Watcher) -> SharedMailbox:
        async with Held(self._opening):
            passerby = Bystander()
            # For reading only: what is \Recent, and what still lies in new/, stays the owner's affair.
            base = await (await self.store_of(where)).open(where.mailbox, passerby, read_only=True)
            try:
                box = self._boxes.get(id(base))
                if box is None:
                    box = self._made(base, where)
                    await box.load()
                    self._boxes[id(base)] = box
                    self.shares.opened(box)
                box.watch(watcher)
                return box
            finally:
                base.release(passerby)

    def _made(self, base: Mailbox, where: Where) -> SharedMailbox:
        def now() -> Where:
            return Where(where.owner, base.name)  # it may have been renamed

        return SharedMailbox(
            base,
            where.owner,
            Place(self.account, f"{where.owner}/{base.mailbox_id}", base.uidvalidity),
            self.shares.marks,
            lambda: self._rights(now()),
            lambda: name_of(now(), self.account),
            self._copy,
            self._box_left,
            self.shares.clock,
        )

    def _box_left(self, box: SharedMailbox) -> None:
        self._boxes.pop(id(box.base), None)
        self.shares.left(box)

    async def append(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        where = await self.where(name)
        if where is None:
            return await self.own.append(name, messages)
        rights = self.need(where, "i", "put messages")
        allowed = [replace(one, flags=shared_flags(one.flags, rights)) for one in messages]
        done = await (await self.store_of(where)).append(where.mailbox, allowed)
        pairs = zip(messages, done.uids, strict=True)
        await self.mark_read(where, [uid for one, uid in pairs if "\\Seen" in one.flags])
        return done

    async def mark_read(self, where: Where, uids: Sequence[int]) -> None:
        """Messages the reader has put there as read are read for him, if he may say so. Raises StoreError."""
        if not uids or not {"s", "r"} <= self._rights(where):
            return
        passerby = Bystander()
        box = await self._open(where, passerby)
        try:
            await box.set_seen(uids, True)
        finally:
            box.release(passerby)

    async def check_room(self, name: str, octets: int) -> None:
        where = await self.where(name)
        if where is None:
            await self.own.check_room(name, octets)
            return
        self.need(where, "i", "put messages")
        await (await self.store_of(where)).check_room(where.mailbox, octets)

    async def quota(self, name: str = "") -> Quota:
        where = await self.where(name)
        if where is None:
            return await self.own.quota()
        self.need(where, "l", "look")
        return await (await self.store_of(where)).quota()

    async def metadata(self, name: str) -> Mapping[str, bytes]:
        where = await self.where(name)
        if where is None:
            return await self.own.metadata(name)
        self.need(where, "r", "read notes")
        held = await (await self.store_of(where)).metadata(where.mailbox)
        private = await self.own.metadata(await self._private(where))
        return {
            **{entry: value for entry, value in held.items() if entry.startswith("/shared/")},
            **{entry: value for entry, value in private.items() if entry.startswith("/private/")},
        }

    async def set_metadata(self, name: str, entries: Mapping[str, bytes | None]) -> None:
        where = await self.where(name)
        if where is None:
            await self.own.set_metadata(name, entries)
            return
        rights = self.need(where, "r", "keep notes")
        shared = {entry: value for entry, value in entries.items() if not entry.startswith("/private/")}
        if shared and "w" not in rights:  # RFC 5464 §3.1
            raise StoreError(Problem.NO_RIGHT, "you may not keep notes there")
        if shared:
            await (await self.store_of(where)).set_metadata(where.mailbox, shared)
        if len(shared) < len(entries):
            private = {entry: value for entry, value in entries.items() if entry not in shared}
            await self.own.set_metadata(await self._private(where), private)

    async def _private(self, where: Where) -> str:
        """Under which name his own notes on a mailbox of others are kept: its id, which outlives a new name."""
        state = await (await self.store_of(where)).status(where.mailbox, sized=False)
        return f"Other Users.by-id.{state.mailbox_id}"

    # ------------------------------------------------------------ COPY and MOVE

    async def copy(self, source: Mailbox, uids: Sequence[int], target: str, *, move: bool = False) -> Copied:
        where = await self.where(target)
        if where is None and not isinstance(source, SharedMailbox):
            return await self.own.copy(source, uids, target, move=move)
        return await shielded(copied(self, source, uids, target, where, move))

    def _copy(self, source: Mailbox, uids: Sequence[int], target: str, move: bool) -> Awaitable[Copied]:
        return self.copy(source, uids, target, move=move)


def _refuse_namespace(name: str) -> None:
    """A new mailbox of one's own called like the place of others' would look like that place to mail programs."""
    if name in (OTHERS, SHARED):
        raise StoreError(Problem.NOT_ALLOWED, f"{name} is where the mailboxes of others are: choose another name")


def _dots(name: str) -> list[int]:
    return [at for at, c in enumerate(name) if c == SEPARATOR]
