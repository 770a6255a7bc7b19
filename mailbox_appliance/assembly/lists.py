"""The family lists with what they need: members, memory, keys, signatures and the policies of authors' domains."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.damage import begin_anew_if_damaged
from mailbox_appliance.assembly.keyring import KeyRing
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.checks.policies import PublishedPolicies
from mailbox_appliance.checks.sealing import Sealer
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.events.lists import ArchiveTrouble
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.lists.memory import ListMemory
from mailbox_appliance.lists.station import ListStation
from mailbox_appliance.lists.tokens import Tokens
from mailbox_appliance.lists.work import ListParts
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.checks import Signing
from mailbox_appliance.ports.lists import MailingList
from mailbox_appliance.ports.sharing import FAMILY, Change
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.shares.names import Where
from mailbox_appliance.shares.station import Shares
from mailbox_appliance.users.station import Users
from mailbox_appliance.web.leaving import PATH
from mailbox_appliance.workers import ThreadedWorkers

FOLDER = "Shared.Lists"  # above the archives
READING, RUNNING = frozenset("lrs"), frozenset("lrswipkxtea")


class SharedArchives:
    """Fills ports/lists.Archives with folders of nobody: members with an account here may read, the owner may all."""

    shares: Shares | None = None  # set once that station stands, which comes later

    def __init__(self, users: Users, journal: Journal) -> None:
        self._users = users
        self._journal = journal
        self._given: dict[int, dict[Address, frozenset[str]]] = {}

    async def folder(self, one: MailingList) -> tuple[Address, str] | None:
        """ports.lists.Archives."""
        if self.shares is None:
            return None
        is_plain = one.address.domain == self._users.directory.snapshot.primary_domain
        level = one.address.local if is_plain else f"{one.address.local}@{one.address.domain}"
        name = f"{FOLDER}.{level.replace('.', '^')}"  # as shares/ spells a dot that parts no levels
        wanted = await self._readers(one)
        given = self._given.get(one.number)
        try:
            if given is None:
                await self.shares.make(name, {})
                given = {}
            where = Where(FAMILY, name)
            for who in {*given, *wanted}:
                rights = wanted.get(who, frozenset())
                if given.get(who) != rights:
                    await self.shares.change_at(where, str(who), rights, Change.REPLACE, by="")
        except StoreError as error:
            self._journal.tell(ArchiveTrouble(account=str(one.address), reason=str(error)))
            return None
        self._given[one.number] = wanted
        return FAMILY, name

    async def _readers(self, one: MailingList) -> dict[Address, frozenset[str]]:
        """Rights by account, of those who have one here."""
        accounts = set(await self._users.directory.accounts())
        wanted = {each.address: READING for each in one.members if each.address in accounts}
        if one.owner is not None:
            wanted[one.owner] = RUNNING
        return wanted


class ListsPart(Part):
    """STATE/lists and STATE/lists.key: links to leave by stay good for years, so its keys are never renewed."""

    name = "lists"

    def __init__(
        self,
        config: Config,
        reactor: Any,
        workers: ThreadedWorkers,
        journal: Journal,
        names: Names,
        users: Users,
        dkim_keys: DkimKeys,
        signing: Signing | None,
    ) -> None:
        self._config = config
        self._journal = journal
        self._users = users
        self._keys = KeyRing(os.path.join(config.state, "lists.key"), workers, reactor, journal, renew=0.0)
        self._memory = ListMemory(os.path.join(config.state, "lists"), workers, reactor)
        self.archives = SharedArchives(users, journal)
        local = config.local
        self.station = ListStation(
            ListParts(
                users.lists,
                self._memory,
                Tokens(self._keys.keys, reactor),
                reactor,
                config.hostname,
                users.directory.domains,
                base=self._page,
                signing=signing,
                sealing=None if local else Sealer(dkim_keys, workers, reactor, journal),
                policies=None if local else PublishedPolicies(names, reactor, journal),
                archives=self.archives,
            )
        )

    def _page(self) -> str:
        """RFC 8058 §3.1 wants https; without it members leave by mail."""
        return f"https://{self._config.hostname}{PATH}" if self._config.listen.https else ""

    async def start(self) -> None:
        """The folder and the key are there before the first post."""
        await self._memory.open()
        lost = "list posts that waited for a moderator, and what was posted lately"
        await begin_anew_if_damaged(self._memory.database, self._journal, lost)
        await self._keys.keys()

    async def stop(self) -> None:
        """Close the file."""
        self._memory.database.close()

    async def each_day(self) -> None:
        """Away with held posts that nobody has spoken on for two weeks."""
        await self._memory.forget_old()

    def take_over(self, config: Config) -> None:
        """``reload``."""
        self._config = config

    def desks(self) -> Sequence[object]:
        """lists add|list|…"""
        from mailbox_appliance.admin.lists import ListsDesk

        return (ListsDesk(self._users.lists),)
