"""When somebody last wanted something of the store: what is made beforehand waits until nobody does.

One for all accounts, since they share the reactor, the workers and the disk. Commands and deliveries ``touch`` it; work
that nobody waits for asks ``calm`` before each small step, and looks at ``is_calm`` within it.
"""

from __future__ import annotations

from types import TracebackType

from twisted.internet.defer import Deferred, DeferredLock

from mailbox_appliance.ports.clock import Clock

QUIET = 0.15  # seconds without anything asked after which nobody is taken to be at work
PATIENCE = 5.0  # where somebody always is, one step is taken nevertheless every so many seconds


class Pulse:
    """``with pulse:`` around work that somebody waits for; ``turn`` is held by whoever works beforehand."""

    __slots__ = ("_clock", "_last", "_under_way", "turn")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0.0
        self._under_way = 0
        self.turn = DeferredLock()

    def touch(self) -> None:
        """Somebody wants something."""
        self._last = self._clock.seconds()

    def __enter__(self) -> None:
        self._under_way += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._under_way -= 1
        self._last = self._clock.seconds()

    @property
    def is_calm(self) -> bool:
        """Has nobody wanted anything for a while? (A clock that was set back counts as a while.)"""
        return not self._under_way and not 0 <= self._clock.seconds() - self._last < QUIET

    async def calm(self) -> bool:
        """Return when nobody wants anything, or after PATIENCE (False)."""
        waited = 0.0
        while not self.is_calm:
            if waited >= PATIENCE:
                return False
            pause: Deferred[None] = Deferred()
            self._clock.callLater(QUIET, pause.callback, None)
            await pause
            waited += QUIET
        return True
