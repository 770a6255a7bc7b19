"""The Outbox and the address folders joined to the queue, the users and the mail store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailbox_appliance.admin.status import Check, Finding, held_domains
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.outbox.stores import OwnFolders
from mailbox_appliance.ports.store import Stores
from mailbox_appliance.queue import schema
from mailbox_appliance.queue.accounts import AccountQueue
from mailbox_appliance.queue.dispatch import Dispatch
from mailbox_appliance.queue.spool import QueueSpool
from mailbox_appliance.users.station import Users
from mailbox_appliance.workers import ThreadedWorkers


class OwnFoldersPart(Part):
    """``stores`` is what IMAP reads."""

    name = "outbox"

    def __init__(self, stores: OwnFolders, queue: AccountQueue, spool: QueueSpool) -> None:
        self.stores = stores
        self._queue = queue
        self._spool = spool

    async def stop(self) -> None:
        self._queue.stop()

    async def each_day(self) -> None:
        await self._queue.forget_old()

    def checks(self) -> Sequence[Check]:
        return (self._frozen,)

    async def _frozen(self) -> Finding:
        return held_domains(await self._spool.run(schema.frozen_domains))


def make_own_folders(
    stores: Stores,
    spool: QueueSpool,
    dispatch: Dispatch,
    users: Users,
    workers: ThreadedWorkers,
    reactor: Any,
    journal: Journal,
) -> OwnFoldersPart:
    """Nothing is opened here."""
    queue = AccountQueue(spool, dispatch, reactor, journal, spool.give_up)
    return OwnFoldersPart(OwnFolders(stores, queue, users.throwaways, reactor, workers, journal), queue, spool)
