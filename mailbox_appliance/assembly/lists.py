"""The family lists with what they need: members, memory, keys, signatures and the policies of authors' domains."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mailbox_appliance.admin.lists import ListsDesk
from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.keyring import KeyRing
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.checks.policies import PublishedPolicies
from mailbox_appliance.checks.sealing import Sealer
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.lists.memory import ListMemory
from mailbox_appliance.lists.station import ListParts, ListStation
from mailbox_appliance.lists.tokens import Tokens
from mailbox_appliance.ports.checks import Signing
from mailbox_appliance.users.station import Users
from mailbox_appliance.workers import ThreadedWorkers

PAGE = "/lists/leave/"


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
        self._users = users
        self._keys = KeyRing(os.path.join(config.state, "lists.key"), workers, reactor, renew=0.0)
        self._memory = ListMemory(os.path.join(config.state, "lists"), workers, reactor)
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
            )
        )

    def _page(self) -> str:
        """RFC 8058 §3.1 wants https; without it members leave by mail."""
        return f"https://{self._config.hostname}{PAGE}" if self._config.listen.https else ""

    async def start(self) -> None:
        """The folder and the key are there before the first post."""
        await self._memory.open()
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
        return (ListsDesk(self._users.lists),)
