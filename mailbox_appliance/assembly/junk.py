"""The junk filter joined: what teaches it, who asks it, and whether it is alive."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from mailbox_appliance.admin.junk import TrainDesk
from mailbox_appliance.admin.status import Check, junk_filter
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.junk.filter import StatisticalFilter
from mailbox_appliance.junk.learning import Learner
from mailbox_appliance.junk.settings import JunkSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.store.stores import MailStores
from mailbox_appliance.users.station import Users
from mailbox_appliance.workers import ThreadedWorkers

_TESTED_LATELY = 86_400.0


class JunkPart(Part):
    """The filter, its learner and their desk."""

    name = "junk"

    def __init__(
        self,
        config: Config,
        reactor: Any,
        workers: ThreadedWorkers,
        journal: Journal,
        stores: MailStores,
        users: Users,
    ) -> None:
        self._config = config
        self._reactor = reactor
        mail, family = os.path.join(config.state, "mail"), os.path.join(config.state, "junk")
        self.filter = StatisticalFilter(JunkSettings(mail, family), workers, journal, reactor)
        self.learner = Learner(self.filter, stores, reactor, journal, config.hostname)
        stores.habits.everybody.append(self.learner)
        self._train = TrainDesk(self.filter, users.directory, lambda: self._config.hostname, self._breathe)
        self._tested = float("-inf")
        self._alive = True

    async def stop(self) -> None:
        await self.learner.stop()
        await self.filter.stop()

    async def each_day(self) -> None:
        await self._test()

    def take_over(self, config: Config) -> None:
        self._config = config

    def forget(self, account: Address) -> None:
        self.filter.forget_account(account)

    def desks(self) -> Sequence[object]:
        return (self._train,)

    def checks(self) -> Sequence[Check]:
        return (junk_filter(self._is_alive),)

    async def _test(self) -> None:
        self._alive = await self.filter.self_test()
        self._tested = self._reactor.seconds()

    async def _is_alive(self) -> bool:
        if self._reactor.seconds() - self._tested > _TESTED_LATELY or not self._alive:
            await self._test()
        return self._alive

    async def _breathe(self) -> None:
        turn: Deferred[None] = Deferred()
        self._reactor.callLater(0, turn.callback, None)
        await turn
