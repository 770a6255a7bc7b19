"""Who shares what: the rights on every mailbox, kept in memory as they stand in the files beside the mailboxes.

Changes of ours are here at once. What another program (Dovecot, an editor) writes is seen within half a minute, since
the files are read anew when the last look is older than that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from twisted.internet.defer import DeferredLock

from mailbox_appliance.mail import rights as words
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.sharing import FAMILY, Papers
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.shares.acl import FILE, NOBODY, Acl, read_acl, write_acl
from mailbox_appliance.shares.names import Where, name_of
from mailbox_appliance.shielded import Held

LOOK_SECONDS = 30.0
MOST_ENTRIES = 500  # of one mailbox

Accounts = Callable[[], Awaitable[Iterable[Address]]]


class Catalogue:
    """``accounts`` are all there are. ``changed`` is called when rights may have been taken away."""

    def __init__(self, papers: Papers, accounts: Accounts, clock: Clock) -> None:
        self._papers = papers
        self._accounts = accounts
        self._clock = clock
        self._acls: dict[Address, dict[str, Acl]] = {}
        self._visible: dict[Address, list[str]] = {}
        self._looked = -LOOK_SECONDS
        self._looking = DeferredLock()
        self.changed: Callable[[], None] = lambda: None

    async def fresh(self) -> None:
        """Look at the files, if the last look was too long ago. Raises StoreError (DISK)."""
        if not 0 <= self._clock.seconds() - self._looked < LOOK_SECONDS:
            await self.look()

    async def look(self) -> None:
        """Read all files. Raises StoreError (DISK)."""
        async with Held(self._looking):
            found = await self._papers.read((*await self._accounts(), FAMILY), FILE)
            self._acls = {owner: _read(files) for owner, files in found.items() if files}
            self._looked = self._clock.seconds()
        self._visible.clear()
        self.changed()

    async def look_at(self, owner: Address) -> None:
        """Read the files of one owner, whose mailboxes have got other names. Raises StoreError (DISK)."""
        async with Held(self._looking):
            found = await self._papers.read((owner,), FILE)
            self._acls[owner] = _read(found.get(owner, {}))
        self._visible.clear()
        self.changed()

    def of(self, where: Where) -> Acl:
        """As last known."""
        return self._acls.get(where.owner, {}).get(where.mailbox, NOBODY)

    def rights(self, who: Address, where: Where) -> frozenset[str]:
        """What ``who`` may do there, as last known."""
        return words.ALL if who == where.owner else self.of(where).rights_of(who)

    def visible(self, who: Address) -> list[str]:
        """What ``who`` calls the mailboxes of others that he may know of; rises with what is shared, not with mail."""
        if who not in self._visible:
            self._visible[who] = [
                name_of(where, who) for where, acl in self.all() if where.owner != who and "l" in acl.rights_of(who)
            ]
        return self._visible[who]

    def all(self) -> Iterable[tuple[Where, Acl]]:
        """Every mailbox with rights of its own."""
        for owner, acls in self._acls.items():
            for mailbox, acl in acls.items():
                yield Where(owner, mailbox), acl

    async def change(self, where: Where, edit: Callable[[Acl], Acl]) -> Acl:
        """Replace the file by what ``edit`` makes of it. Raises StoreError."""

        def work(octets: bytes | None) -> bytes | None:
            acl = edit(read_acl(octets))
            if len(acl.entries) > MOST_ENTRIES:
                raise StoreError(Problem.LIMIT, f"a mailbox can have {MOST_ENTRIES} entries of rights at most")
            return write_acl(acl)

        async with Held(self._looking):
            acl = read_acl(await self._papers.change(where.owner, where.mailbox, FILE, work))
            acls = self._acls.setdefault(where.owner, {})
            if acl == NOBODY:
                acls.pop(where.mailbox, None)
            else:
                acls[where.mailbox] = acl
        self._visible.clear()
        self.changed()
        return acl

    def anyone_has(self, owner: Address) -> bool:
        """Does ``owner`` share anything?"""
        return bool(self._acls.get(owner))


def _read(files: Mapping[str, bytes]) -> dict[str, Acl]:
    return {mailbox: read_acl(octets) for mailbox, octets in files.items()}
