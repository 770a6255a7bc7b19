"""Expunged messages, looked after: what rests too long goes, once a day and soon after a start."""

from __future__ import annotations

from twisted.python.failure import Failure

from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.settings import store_settings
from mailbox_appliance.config.model import Config
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.shielded import shielded
from mailbox_appliance.store.stores import MailStores

SOON = 900.0


class Resting(Part):
    """The rest folders of all accounts."""

    name = "resting"

    def __init__(self, stores: MailStores, clock: Clock, journal: HasFailed) -> None:
        self._stores = stores
        self._clock = clock
        self._journal = journal
        self._timer: Timer | None = None

    async def start(self) -> None:
        """The first sweep comes when the machine has other things behind it."""
        self._timer = self._clock.callLater(SOON, self._begin)

    def _begin(self) -> None:
        self._timer = None
        shielded(self.each_day()).addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        self._journal.broken(self.name, failure.value or RuntimeError("no reason given"))

    async def stop(self) -> None:
        """No timer runs."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    async def each_day(self) -> None:
        """Sweep all accounts; a disk that gives trouble has been told of elsewhere."""
        try:
            await self._stores.sweep_resting()
        except (OSError, Busy):
            return

    def take_over(self, config: Config) -> None:
        """Other days, another size."""
        self._stores.take_over(store_settings(config))
