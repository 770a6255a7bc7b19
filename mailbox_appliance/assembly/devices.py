"""What each device of the house has sent today, kept in STATE/guard.db so that a restart gives no new allowance."""

from __future__ import annotations

from collections.abc import Mapping

from mailbox_appliance.assembly.part import Part
from mailbox_appliance.guard.file import UNREADABLE, GuardFile
from mailbox_appliance.journal.events.guard import MemoryLost
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.smtp.devices import DaysWork


class _Ledger:
    """Fits smtp.devices.Ledger; trouble with the file is told, and a scanner goes on scanning."""

    def __init__(self, file: GuardFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def read(self, day: int) -> Mapping[str, int]:
        """What was written on that day."""
        try:
            return await self._file.spent(day)
        except (*UNREADABLE, Busy) as error:
            self._tell(error)
            return {}

    async def write(self, day: int, spent: Mapping[str, int]) -> None:
        """Those of the present day are all that is kept."""
        try:
            await self._file.spend(day, spent)
        except (*UNREADABLE, Busy) as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        self._journal.tell(MemoryLost(path=self._file.path, reason=f"what devices have sent today: {error}"))


class DevicesPart(Part):
    """``days_work`` is what sessions count with."""

    name = "devices"

    def __init__(self, file: GuardFile, clock: Clock, journal: Journal) -> None:
        self.days_work = DaysWork(_Ledger(file, journal))
        self._clock = clock

    async def start(self) -> None:
        """Count on from where the last process ended."""
        await self.days_work.load(self._clock.seconds())

    async def stop(self) -> None:
        """What was counted last is written."""
        await self.days_work.settled()
