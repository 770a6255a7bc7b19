"""Mail that is passed on: return paths of our own, forwards under our name, and what delivery remembers for them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mailbox_appliance.assembly.damage import begin_anew_if_damaged
from mailbox_appliance.assembly.keyring import KeyRing
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.checks.sealing import Sealer
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.config.model import Config
from mailbox_appliance.database import Database
from mailbox_appliance.delivery.forwarding import Forwarding
from mailbox_appliance.delivery.memory import MIGRATIONS, DeliveryMemory
from mailbox_appliance.delivery.returnpaths import AddressBook, ReturnPaths
from mailbox_appliance.delivery.vacation import Vacation
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import Signing
from mailbox_appliance.users.station import Users
from mailbox_appliance.workers import ThreadedWorkers


@dataclass(frozen=True, slots=True)
class Onward:
    """``addresses`` is the directory that everybody who delivers asks."""

    addresses: AddressBook
    forwarding: Forwarding
    vacation: Vacation
    memory: DeliveryMemory
    part: OnwardPart


class OnwardPart(Part):
    """Keys grow old, files are closed."""

    name = "forwarding"

    def __init__(self, memory: DeliveryMemory, keys: KeyRing, users: Users, clock: Any, journal: Journal) -> None:
        self._journal = journal
        self._memory = memory
        self._users = users
        self._clock = clock
        self._keys = keys

    async def start(self) -> None:
        """The key is there before the first address is looked up."""
        lost = "whom vacation notices have answered, and very long return paths"
        await begin_anew_if_damaged(self._memory.database, self._journal, lost)
        await self._keys.keys()

    async def stop(self) -> None:
        """Close the file."""
        self._memory.database.close()

    def desks(self) -> Sequence[object]:
        """vacation set|show|off."""
        from mailbox_appliance.admin.vacation import VacationDesk

        return (VacationDesk(self._users.vacations, self._clock),)

    async def each_day(self) -> None:
        """A new key when it is time."""
        await self._keys.look_after()


def make_onward(
    config: Config,
    reactor: Any,
    workers: ThreadedWorkers,
    journal: Journal,
    users: Users,
    dkim_keys: DkimKeys,
    signing: Signing | None,
) -> Onward:
    """STATE/srs.key and STATE/delivery.db; in local mode, where nothing leaves, nothing is sealed."""
    keys = KeyRing(os.path.join(config.state, "srs.key"), workers, reactor, journal)
    path = os.path.join(config.state, "delivery.db")
    memory = DeliveryMemory(Database(path, MIGRATIONS, workers, synchronous="FULL"))
    paths = ReturnPaths(keys.keys, memory, reactor)
    addresses = AddressBook(users.directory, paths)
    sealer = None if config.local else Sealer(dkim_keys, workers, reactor, journal)
    part = OnwardPart(memory, keys, users, reactor, journal)
    vacation = Vacation(memory, addresses, reactor, config.hostname, signing)
    return Onward(addresses, Forwarding(paths, addresses, journal, sealer), vacation, memory, part)
