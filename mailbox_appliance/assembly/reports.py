"""Reports about our domains: the folder, the figures, the verb."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mailbox_appliance.acme.names import public_addresses
from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.damage import begin_anew_if_damaged
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.people import first_owner
from mailbox_appliance.config.model import Config
from mailbox_appliance.database import Database
from mailbox_appliance.delivery.acceptance import Door
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.checks import Signing
from mailbox_appliance.ports.delivery import Acceptance
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.reports.memory import MIGRATIONS, ReportMemory
from mailbox_appliance.reports.outgoing import AggregateReports
from mailbox_appliance.reports.station import ReportStation
from mailbox_appliance.reports.tally import Tally
from mailbox_appliance.workers import ThreadedWorkers

if TYPE_CHECKING:
    from mailbox_appliance.assembly.store import StorePart


def wanted(config: Config) -> bool:
    """Do we count for reports to others? An edge counts for its store, which sends them whether it checks or not."""
    checks = config.checks
    return checks.dmarc_reports and (checks.enabled or config.role == "store") and not config.local


class ReportsPart(Part):
    """STATE/reports.db. Gives ``door`` its reader of reports."""

    name = "reports"

    def __init__(
        self,
        config: Config,
        reactor: Any,
        workers: ThreadedWorkers,
        journal: Journal,
        directory: Directory,
        names: Names,
        door: Door,
        store: StorePart | None,
        signing: Signing | None,
        acceptance: Acceptance,
    ) -> None:
        self._config = config
        self._clock = reactor
        self._journal = journal
        path = os.path.join(config.state, "reports.db")
        self._memory = ReportMemory(Database(path, MIGRATIONS, workers, synchronous="NORMAL"))
        edge_name = (lambda: store.edge_name) if store is not None else str
        self.station = ReportStation(self._memory, directory, workers, reactor, journal, edge_name)
        self._directory = directory
        self._names = names
        door.reading = self.station
        self.tally = Tally(self._memory.database, reactor, journal)
        self.tally.wanted = wanted(config)
        self._sending = AggregateReports(
            self.tally,
            names,
            acceptance,
            workers,
            reactor,
            journal,
            lambda: self._config.hostname,
            directory.domains,
            sender=self._postmaster,
            sign=signing.sign if signing is not None else None,
        )
        self._owner = first_owner(directory)

    async def _postmaster(self) -> Address | None:
        """Of the first domain: a report is no private letter of its owner."""
        owner = await self._owner()
        return None if owner is None else Address("postmaster", owner.domain)

    async def start(self) -> None:
        lost = "what others reported about our domains (they lie in the folder Reports), and our counts for others"
        await begin_anew_if_damaged(self._memory.database, self._journal, lost)

    async def stop(self) -> None:
        """What waits unread is in its mailbox; what was counted is written."""
        await self.tally.stop()
        await self.station.stop()

    async def each_day(self) -> None:
        """Away with what is half a year old; our reports to others."""
        await self._memory.forget_old(self._clock.seconds())
        if self.tally.wanted:
            await self._sending.send_due()

    def take_over(self, config: Config) -> None:
        """``reload``."""
        self._config = config
        self.tally.wanted = wanted(config)

    def desks(self) -> Sequence[object]:
        """``report``."""
        from mailbox_appliance.admin.reports import ReportsDesk

        resolver = None if self._config.local else self._names
        desk = ReportsDesk(
            self._memory, self._directory, self._clock, public_addresses, lambda: self._config.hostname, resolver
        )
        return (desk,)
