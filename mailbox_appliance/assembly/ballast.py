"""Some room kept for a full disk, so that people can still mark and delete: SQLite must write to forget.

STATE/ballast is made while there is plenty of room and given back when the disk is full. New mail is put off by then
(delivery.space keeps a reserve); what fills the last octets is usually another program.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from mailbox_appliance.assembly.part import Part
from mailbox_appliance.journal.events.service import BallastGiven
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.workers import Busy, Workers

OCTETS = 8 << 20
FULL = 1 << 20  # with less the disk is as good as full
PLENTY = 512 << 20  # with less no room is kept from others
EVERY = 10.0  # seconds


class Ballast(Part):
    """``free`` tells the octets left on the disk of a folder."""

    name = "ballast"

    def __init__(
        self, state: str, clock: Any, workers: Workers, journal: Journal, free: Callable[[str], int] | None = None
    ) -> None:
        self._path = os.path.join(state, "ballast")
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._free = free or free_octets
        self._timer: Any = None
        self._stopped = False

    async def start(self) -> None:
        """Look now and from now on."""
        await self._look()

    async def stop(self) -> None:
        """No more looks; the file stays."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    async def _look(self) -> None:
        try:
            if await self._workers.run("disk", self._trim):
                self._journal.tell(BallastGiven(size=OCTETS))
        except (OSError, Busy):
            pass  # the disk check of `status` says what is wrong
        if not self._stopped:
            self._timer = self._clock.callLater(EVERY, lambda: Deferred.fromCoroutine(self._look()))

    def _trim(self) -> bool:
        """In a worker; True when the room was given back."""
        free = self._free(os.path.dirname(self._path))
        if os.path.exists(self._path):
            if free < FULL:
                os.unlink(self._path)
                return True
        elif free > PLENTY:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, OCTETS)
            except OSError:
                os.unlink(self._path)
                raise
            finally:
                os.close(descriptor)
        return False


def free_octets(folder: str) -> int:
    """What an ordinary user could still write."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
