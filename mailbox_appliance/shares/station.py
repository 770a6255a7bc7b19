"""The station: every person's Mailstore with what is shared with him, rights as IMAP and the owner change them.

Joined between the stores and IMAP; delivery goes to the stores themselves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from mailbox_appliance.journal.events.shares import FamilyFolderMade, RightsChanged
from mailbox_appliance.mail import rights as words
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.habits import Habits, Listeners
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.sharing import ANYONE, FAMILY, SHARED, Change, Papers
from mailbox_appliance.ports.store import Problem, StoreError, Stores
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.shares.acl import Acl, in_file, in_imap
from mailbox_appliance.shares.catalogue import LOOK_SECONDS, Catalogue
from mailbox_appliance.shares.mailbox import SharedMailbox
from mailbox_appliance.shares.names import Where, name_of
from mailbox_appliance.shares.seen import SeenMarks
from mailbox_appliance.shares.store import SharingStore, no_such_mailbox
from mailbox_appliance.shielded import shielded

_INBOX = words.ALL - {"x"}  # INBOX cannot be deleted


class Shares:
    """ports.store.Stores and ports.sharing.Sharing over ``inner``.

    ``spool`` is a folder for large messages that are copied from one account to another, of which ``habits`` hear.
    """

    def __init__(
        self,
        inner: Stores,
        papers: Papers,
        marks: SeenMarks,
        accounts: Callable[[], Awaitable[Iterable[Address]]],
        clock: Clock,
        workers: Workers,
        journal: FullJournal,
        spool: str,
        habits: Habits | None = None,
    ) -> None:
        self.inner = inner
        self.habits: Habits = habits or Listeners()
        self.marks = marks
        self.workers = workers
        self.spool = spool
        self.catalogue = Catalogue(papers, accounts, clock)
        self.catalogue.changed = self._rights_changed
        self._accounts = accounts
        self.clock = clock
        self._journal = journal
        self._stores: dict[Address, SharingStore] = {}
        self._open: set[SharedMailbox] = set()
        self._timer: Timer | None = None

    # ------------------------------------------------------------ ports.store.Stores

    async def of(self, account: Address) -> SharingStore:
        """Raises StoreError."""
        own = await self.inner.of(account)
        found = self._stores.get(own.account)
        if found is None or found.own is not own:
            found = self._stores[own.account] = SharingStore(own, self)
        return found

    # ------------------------------------------------------------ who reads what of others now

    def opened(self, box: SharedMailbox) -> None:
        """Somebody reads a mailbox of others: from now on rights taken away elsewhere are looked for."""
        self._open.add(box)
        if self._timer is None:
            self._timer = self.clock.callLater(LOOK_SECONDS, self._look)

    def left(self, box: SharedMailbox) -> None:
        """No longer."""
        self._open.discard(box)

    def _look(self) -> None:
        self._timer = None
        if self._open:
            self._timer = self.clock.callLater(LOOK_SECONDS, self._look)
            shielded(self.catalogue.fresh()).addErrback(self._failed)

    def _failed(self, failure: object) -> None:
        error = getattr(failure, "value", None)
        if isinstance(error, BaseException) and not isinstance(error, StoreError):
            self._journal.broken("shares", error)

    def _rights_changed(self) -> None:
        for box in tuple(self._open):
            box.rights_changed()

    async def is_account(self, account: Address) -> bool:
        """Does somebody live here under that address?"""
        return account.folded() in await self._all()

    async def forget_all_but(self, accounts: set[Address]) -> None:
        """What was kept for anybody else goes: his marks, and his rights, which a later namesake must not get."""
        known = {str(account) for account in accounts}
        for reader in await self.marks.readers():
            if reader not in known:
                await self.marks.forget(Address.parse(reader))
        await self.catalogue.look()
        for where, acl in list(self.catalogue.all()):
            for person in acl.people():
                if person not in known:
                    await self.catalogue.change(where, lambda acl, person=person: acl.without(person))  # type: ignore[misc]

    def stop(self) -> None:
        """No timer runs any longer. Blocks for a moment."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self.marks.close()

    # ------------------------------------------------------------ ports.sharing.Sharing

    async def _known(self, who: Address, mailbox: str) -> Where:
        """Where it is; raises StoreError when there is none that ``who`` may know of."""
        store = await self.of(who)
        where = await store.where(mailbox)
        if where is None:
            await store.own.status(mailbox, sized=False)
            return Where(store.account, INBOX if mailbox.upper() == INBOX else mailbox)
        if not self.catalogue.rights(store.account, where):
            raise no_such_mailbox()
        return where

    def _rights(self, who: Address, where: Where) -> frozenset[str]:
        held = self.catalogue.rights(who, where)
        return held & _INBOX if where.mailbox == INBOX else held

    async def rights(self, who: Address, mailbox: str) -> frozenset[str]:
        where = await self._known(who, mailbox)
        held = self._rights(who, where)
        if held.isdisjoint("lrikxa"):  # RFC 4314 §3.5
            raise no_such_mailbox()
        return held

    async def _administered(self, who: Address, mailbox: str) -> Where:
        where = await self._known(who, mailbox)
        held = self._rights(who, where)
        if "a" in held:
            return where
        if "l" not in held:
            raise no_such_mailbox()
        raise StoreError(Problem.NO_RIGHT, "you may not see or change the rights on this mailbox")

    async def entries(self, who: Address, mailbox: str) -> Sequence[tuple[str, str]]:
        await self.catalogue.fresh()
        return self.listed(await self._administered(who, mailbox))

    def listed(self, where: Where) -> Sequence[tuple[str, str]]:
        """(identifier, letters) of a mailbox, the owner first, as last known."""
        owner = where.owner
        found = [] if owner == FAMILY else [(str(owner), words.spelled(self._rights(owner, where)))]
        for entry in self.catalogue.of(where).entries:
            if entry.identifier != "owner" and entry.identifier.lower() != f"user={owner}":
                found.append((in_imap(entry), words.spelled(entry.rights)))
        return found

    async def possible(self, who: Address, mailbox: str, identifier: str) -> tuple[str, tuple[str, ...]]:
        where = await self._administered(who, mailbox)
        _, name = await self._named(where, identifier)
        if name == f"user={where.owner}":
            return words.spelled(self._rights(where.owner, where)), ()
        return "", tuple(words.spelled(_INBOX if where.mailbox == INBOX else words.ALL))

    async def change(
        self, who: Address, mailbox: str, identifier: str, rights: frozenset[str], how: Change = Change.REPLACE
    ) -> None:
        where = await self._administered(who, mailbox)
        await self.change_at(where, identifier, rights, how, by=str(who))

    async def change_at(
        self, where: Where, identifier: str, rights: frozenset[str], how: Change, by: str
    ) -> frozenset[str]:
        """The same for those who need no right to do it; what ``identifier`` has now. Raises StoreError."""
        negative, name = await self._named(where, identifier, must_be=bool(rights) and how is not Change.REMOVE)
        if name == f"user={where.owner}":
            if negative or how is Change.REMOVE or not self._rights(where.owner, where) <= rights:
                raise StoreError(Problem.NOT_ALLOWED, "the owner of a mailbox has every right, always")
            return words.ALL
        after: list[frozenset[str]] = []

        def edit(acl: Acl) -> Acl:
            held = acl.of(name, negative=negative)
            if how is Change.ADD:
                now = held | rights
            else:
                now = held - rights if how is Change.REMOVE else rights
            after.append(now)
            return acl.with_entry(name, now, negative=negative)

        await self.catalogue.change(where, edit)
        self._journal.tell(
            RightsChanged(
                account=str(where.owner),
                mailbox=where.mailbox,
                identifier=identifier,
                rights=words.spelled(after[-1]),
                by=by,
            )
        )
        return after[-1]

    async def _named(self, where: Where, identifier: str, *, must_be: bool = False) -> tuple[bool, str]:
        """Is it negative, and what the file calls it; a local part alone is somebody of the owner's domain.

        ``must_be``: raises StoreError when nobody is called so.
        """
        text = identifier.removeprefix("-")
        if text.lower() == "owner" and where.owner != FAMILY:
            text = str(where.owner)
        if text and text.lower() not in (ANYONE, "authenticated"):
            domains = [where.owner.domain] if where.owner != FAMILY else sorted({a.domain for a in await self._all()})
            people = [text] if "@" in text else [f"{text}@{domain}" for domain in domains]
            known = {str(account) for account in await self._all()}
            found = [person for person in map(_folded, people) if person in known]
            if must_be and len(found) != 1:
                raise StoreError(Problem.NOT_ALLOWED, "nobody here is called so; write an account's whole address")
            text = found[0] if found else _folded(people[0]) if people else text
        name, negative = in_file(("-" if identifier.startswith("-") else "") + text)
        return negative, name

    async def _all(self) -> list[Address]:
        return [account.folded() for account in await self._accounts()]

    def audience(self, who: Address, mailbox: str) -> Sequence[tuple[Address, str]]:
        store = self._stores.get(who.folded())
        if store is None:
            return ()
        where = store.where_now(mailbox)
        acl = self.catalogue.of(where)
        if not acl.entries:
            return ()
        found = []
        for other in tuple(self._stores):
            if other != store.account and "l" in self.catalogue.rights(other, where):
                found.append((other, name_of(where, other)))
        return found

    # ------------------------------------------------------------ folders that belong to nobody

    async def make(self, name: str, rights: Mapping[str, str]) -> None:
        """Make "Shared.Lists.family" unless it is there; give ``rights`` (letters by identifier) to a new one.

        Raises StoreError.
        """
        where = _family(name)
        store = await self.inner.of(FAMILY)
        try:
            await store.create(where.mailbox)
        except StoreError as error:
            if error.problem is not Problem.MAILBOX_EXISTS:
                raise
            return
        self._journal.tell(FamilyFolderMade(mailbox=where.mailbox))
        for identifier, letters in rights.items():
            await self.change_at(where, identifier, words.read_rights(letters), Change.REPLACE, by="")

    async def remove(self, name: str) -> None:
        """With its messages. Raises StoreError."""
        await (await self.inner.of(FAMILY)).delete(_family(name).mailbox)
        await self.catalogue.look_at(FAMILY)

    async def names(self) -> Sequence[str]:
        """The folders there are."""
        infos = await (await self.inner.of(FAMILY)).mailboxes()
        return [info.name for info in infos if info.name.startswith(SHARED + SEPARATOR) and info.selectable]


def _family(name: str) -> Where:
    text = name if name.startswith(SHARED + SEPARATOR) else f"{SHARED}{SEPARATOR}{name}"
    return Where(FAMILY, text)


def _folded(text: str) -> str:
    try:
        return str(Address.parse(text).folded())
    except AddressError:
        return text.lower()
