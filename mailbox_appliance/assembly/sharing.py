"""Shared mailboxes: the station joined between the stores and IMAP."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import succeed

from mailbox_appliance.assembly.damage import begin_anew_if_damaged
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.config.model import Config
from mailbox_appliance.database import Database
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.habits import Habits
from mailbox_appliance.ports.sharing import FAMILY
from mailbox_appliance.ports.store import Stores
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.shares.seen import MIGRATIONS, SeenMarks
from mailbox_appliance.shares.station import Shares
from mailbox_appliance.store.papers import MailPapers
from mailbox_appliance.users.station import Users


class SharingPart(Part):
    """The station's life in the service."""

    name = "shares"

    def __init__(self, shares: Shares, users: Users, marks: Database, journal: Journal) -> None:
        self.shares = shares
        self._marks = marks
        self._journal = journal
        self._users = users

    async def start(self) -> None:
        lost = "what everybody has read in mailboxes of others"
        await begin_anew_if_damaged(self._marks, self._journal, lost)

    async def stop(self) -> None:
        self.shares.stop()

    async def each_day(self) -> None:
        """What was kept for people who are gone for good goes as well."""
        known = [account.folded() for account in await self._users.directory.accounts()]
        resting = [Address.parse(one.account).folded() for one in await self._users.accounts.listing(removed=True)]
        await self.shares.forget_all_but({*known, *resting})

    def desks(self) -> Sequence[object]:
        from mailbox_appliance.admin.sharing import ShareDesk

        return (ShareDesk(self.shares),)


def make_shares(
    config: Config, reactor: Any, workers: Workers, journal: Journal, stores: Stores, users: Users, habits: Habits
) -> SharingPart:
    """Over ``stores``, which may be wrapped already; ``habits`` hear what is copied from account to account."""
    marks = Database(os.path.join(config.state, "shares.db"), MIGRATIONS, workers, synchronous="NORMAL")
    shares = Shares(
        stores,
        MailPapers(os.path.join(config.state, "mail"), workers),
        SeenMarks(marks),
        users.directory.accounts,
        reactor,
        workers,
        journal,
        os.path.join(config.state, "spool"),
        habits,
    )
    return SharingPart(shares, users, marks, journal)


def limit_of(users: Users) -> Callable[[Address], Awaitable[int]]:
    """An account's quota; folders of nobody have none."""

    def limit(account: Address) -> Awaitable[int]:
        return succeed(0) if account == FAMILY else users.directory.quota(account)

    return limit
