"""Is there room on the disk? Asked at RCPT, answered from memory, looked up every few seconds in a worker."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator

from twisted.internet.defer import ensureDeferred

from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.workers import Busy, Workers


class Space:
    """``folder`` lies on the disk in question. ``reserve`` octets are kept for flags, indexes and the journal.

    ``make_room`` is asked for octets when less than twice the reserve is free; it tells how many it has freed.
    """

    def __init__(
        self,
        workers: Workers,
        clock: Clock,
        folder: str,
        reserve: int = 16 << 20,
        every: float = 2.0,
        make_room: Callable[[int], Awaitable[int]] | None = None,
    ) -> None:
        self._make_room = make_room
        self._workers = workers
        self._clock = clock
        self._folder = folder
        self._reserve = reserve
        self._every = every
        self._free: int | None = None
        self._looked = float("-inf")
        self._looking = False

    async def has_room(self, octets: int) -> bool:
        """Would ``octets`` more fit? When the disk does not say, yes: writing will tell."""
        now = self._clock.seconds()
        if not 0 <= now - self._looked < self._every and not self._looking:
            self._looking = True
            looking = ensureDeferred(self._look())
            if self._free is None:
                await looking
        return self._free is None or self._free - self._reserve >= octets

    async def _look(self) -> None:
        try:
            self._free = await self._workers.run("disk", _free_octets, self._folder)
            if self._make_room is not None and self._free < 2 * self._reserve:
                if await self._make_room(2 * self._reserve):
                    self._free = await self._workers.run("disk", _free_octets, self._folder)
        except (OSError, Busy):
            self._free = None
        finally:
            self._looked = self._clock.seconds()
            self._looking = False


class Backlog:
    """Who waits for the disk, and since when. A disk that is too slow is no better than a full one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[object, float] = {}  # in the order of their coming

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While something is made durable."""
        key = object()
        self._waiting[key] = self._clock.seconds()
        try:
            yield
        finally:
            del self._waiting[key]

    @property
    def oldest(self) -> float:
        """Seconds for which the first of them has waited; 0 when nobody waits."""
        for began in self._waiting.values():
            return self._clock.seconds() - began
        return 0.0


def _free_octets(folder: str) -> int:
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
