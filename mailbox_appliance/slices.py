"""Long loops in the reactor, cut into slices: whoever has worked for two milliseconds lets the others go first.

slices = Slices(clock)
for message in many:
    ...
    if slices.spent():
        await slices.breathe()
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mailbox_appliance.ports.clock import Clock

SLICE = 0.002  # seconds


class Slices:
    """The time one loop has left before it lets others go. ``begin`` after every wait of its own."""

    __slots__ = ("_clock", "_end")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end = clock.seconds() + SLICE

    def begin(self) -> None:
        """A new slice begins now."""
        self._end = self._clock.seconds() + SLICE

    def spent(self) -> bool:
        """Has the slice come to its end?"""
        now = self._clock.seconds()
        # A clock that was set back must not make a slice of hours.
        return now >= self._end or now < self._end - 2 * SLICE

    async def breathe(self) -> None:
        """Let the reactor do what waits, if the slice is spent; a new one begins."""
        if self.spent():
            await self.turn()

    async def turn(self) -> None:
        """Let the reactor do what waits; a new slice begins."""
        turn: Deferred[None] = Deferred()
        self._clock.callLater(0, turn.callback, None)
        await turn
        self.begin()
