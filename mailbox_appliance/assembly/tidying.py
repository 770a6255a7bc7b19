"""Memory of what has ended goes back, every minute: so that a month's service is as small as an hour's."""

from __future__ import annotations

from mailbox_appliance import process
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.ports.clock import Clock, Timer

EVERY = 60.0  # seconds


class Tidying(Part):
    """See process.tidy."""

    name = "tidying"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timer: Timer | None = None

    async def start(self) -> None:
        """The first time a minute after the start."""
        self._timer = self._clock.callLater(EVERY, self._tidy)

    def _tidy(self) -> None:
        process.tidy()
        self._timer = self._clock.callLater(EVERY, self._tidy)

    async def stop(self) -> None:
        """No timer runs."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
