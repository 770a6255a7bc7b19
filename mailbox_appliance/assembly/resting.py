"""Expunged messages, looked after: what rests too long goes, once a day and soon after a start."""

from __future__ import annotations

from mailbox_appliance.assembly.part import DailyPart
from mailbox_appliance.assembly.settings import store_settings
from mailbox_appliance.config.model import Config
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.store.stores import MailStores

SOON = 900.0  # seconds


class Resting(DailyPart):
    """The rest folders of all accounts."""

    name = "resting"

    def __init__(self, stores: MailStores, clock: Clock, journal: HasFailed) -> None:
        super().__init__(clock, journal, SOON)
        self._stores = stores

    async def each_day(self) -> None:
        """Sweep all accounts; a disk that gives trouble has been told of elsewhere."""
        try:
            await self._stores.sweep_resting()
        except (OSError, Busy):
            return

    def take_over(self, config: Config) -> None:
        """Other days, another size."""
        self._stores.take_over(store_settings(config))
