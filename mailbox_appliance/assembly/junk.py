"""The junk filter joined: what teaches it, who asks it, and whether it is alive."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailbox_appliance.admin.status import Check, junk_filter
from mailbox_appliance.assembly.damage import begin_anew_if_damaged
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.settings import checks_settings
from mailbox_appliance.checks.greylist import LANE, Greylist
from mailbox_appliance.checks.lately import Lately
from mailbox_appliance.checks.personal import Acquaintance, PersonalVerdicts
from mailbox_appliance.checks.senders import MIGRATIONS, Senders
from mailbox_appliance.checks.standing import PeoplesWords
from mailbox_appliance.config.model import Config
from mailbox_appliance.database import Database
from mailbox_appliance.delivery.rests import clear_rests
from mailbox_appliance.delivery.routing import REJECTS
from mailbox_appliance.journal.events.checks import GreylistLost
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.junk.filter import StatisticalFilter
from mailbox_appliance.junk.learning import Learner
from mailbox_appliance.junk.settings import JunkSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.habits import Filed, Keyworded, Opened
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.queue import outgoing
from mailbox_appliance.queue.spool import QueueSpool
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
        spool: QueueSpool,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._journal = journal
        self._stores = stores
        self._users = users
        path = os.path.join(config.state, "senders.db")
        self._known = Database(path, MIGRATIONS, workers, synchronous="NORMAL")
        self.senders = Senders(self._known, reactor)
        self._greylist = Greylist(reactor, self._known, self._not_kept)
        mail, family = os.path.join(config.state, "mail"), os.path.join(config.state, "junk")
        self.filter = StatisticalFilter(JunkSettings(mail, family), workers, journal, reactor)
        self.learner = Learner(self.filter, stores, reactor, journal, config.hostname)
        stores.habits.everybody += [self.learner, _Lanes(self._greylist)]
        acquaintance = Acquaintance(self.senders, self._greylist, has_written_to(spool), self._waits, self._put_off)
        self.persons = PersonalVerdicts(checks_settings(config), self.filter, acquaintance, journal)
        self._tested = float("-inf")
        self._alive = True

    def words_of(self, addresses: Directory) -> PeoplesWords:
        """For smtp/: what people have said of senders."""
        return PeoplesWords(self.senders, addresses, lambda: self.persons.settings)

    async def start(self) -> None:
        lost = "who has written to whom, and the senders that somebody allowed or blocked"
        await begin_anew_if_damaged(self._known, self._journal, lost)
        await self._greylist.read()

    async def stop(self) -> None:
        await self.learner.stop()
        await self.filter.stop()
        await self._greylist.settled()
        self.senders.close()

    async def each_day(self) -> None:
        await self._test()
        for account in await self._users.directory.accounts():
            await clear_rests(self._stores, account, self._reactor, self._journal)

    def take_over(self, config: Config) -> None:
        self._config = config
        self.persons.settings = checks_settings(config)

    def forget(self, account: Address) -> None:
        self.filter.forget_account(account)
        Deferred.fromCoroutine(self._forget(account))

    async def _forget(self, account: Address) -> None:
        try:
            await self.senders.forget(account)
        except Exception as error:  # noqa: BLE001 - whatever it is, the account has gone
            self._journal.broken("junk", error)

    def _not_kept(self, reason: str) -> None:
        self._journal.tell(GreylistLost(reason=reason))

    def _waits(self, account: Address) -> bool:
        """Has this person just made a throw-away address? Then a letter to it is on its way."""
        return self._users.throwaways.made_lately(account, LANE)

    def _put_off(self, account: Address) -> None:
        """Somebody's letter shall come again: a Rejects to look into is there before he misses it."""
        Deferred.fromCoroutine(self._make_rejects(account)).addErrback(self._not_made)

    async def _make_rejects(self, account: Address) -> None:
        try:
            store = await self._stores.of(account)
            if REJECTS not in {one.name for one in await store.mailboxes()}:
                await store.create(REJECTS)
        except StoreError as error:
            if error.problem is not Problem.MAILBOX_EXISTS:
                self._journal.broken("junk", error)

    def _not_made(self, failure: Failure) -> None:
        if isinstance(failure.value, Exception):
            self._journal.broken("junk", failure.value)

    def desks(self) -> Sequence[object]:
        from mailbox_appliance.admin.junk import TrainDesk, WhyDesk
        from mailbox_appliance.admin.refusals import RefusalDesk
        from mailbox_appliance.admin.senders import SenderDesk

        return (
            TrainDesk(self.filter, self._users.directory, lambda: self._config.hostname, self._breathe),
            RefusalDesk(self._journal, self._reactor),
            WhyDesk(self._journal, self._stores, self.filter, lambda: self._config.hostname),
            SenderDesk(self.senders, self._users.directory),
        )

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


class _Lanes:
    """Fits ports.habits.Habits: who opens Rejects looks for a letter, so nothing is put off for him."""

    def __init__(self, greylist: Greylist) -> None:
        self._greylist = greylist

    def filed(self, what: Filed) -> None:
        pass

    def keyworded(self, what: Keyworded) -> None:
        pass

    def opened(self, what: Opened) -> None:
        if what.mailbox == REJECTS:
            self._greylist.open_lane(what.account)


def has_written_to(spool: QueueSpool) -> Callable[[Address, Address], Awaitable[bool]]:
    """Asked of the queue, which remembers whom an account has written to."""
    lately: Lately[tuple[str, str], bool] = Lately()
    spool.on_change(lambda _: lately.forget())  # a letter has entered, and its rows are there

    async def ask(account: Address, author: Address) -> bool:
        key = (str(account), str(author))
        found = lately.get(key)
        if found is None:
            began = lately.begin()
            found = await spool.run(lambda connection: outgoing.has_written(connection, key[0], author))
            lately.keep(began, key, found)
        return found

    return ask
