"""What the service does with every joined part beside the ten that carry the mail: start, stop, look after it daily.

A part overrides what it needs; assembly.joints puts it into ``Stations.parts``, and the service needs no new line.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.python.failure import Failure

from mailbox_appliance.admin.status import Check
from mailbox_appliance.config.model import Config
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.shielded import shielded


class Part:
    """One joined part. The name stands in the journal when it breaks."""

    name = "part"

    async def prepare(self) -> None:
        """What must be known before the queue sends anything; parts are asked in their order.

        Raises as ``start`` does.
        """

    async def start(self) -> None:
        """Open what lies behind it, before a port admits anybody; parts start in their order.

        Raises OSError, sqlite3.Error, DatabaseTrouble: the service then says why and does not start.
        """

    async def stop(self) -> None:
        """Let go, in the reverse order; no session is open any more and the databases of the users still are."""

    async def each_day(self) -> None:
        """Once a day while the service runs, first a day after its start."""

    def take_over(self, config: Config) -> None:
        """``reload``: new settings; what is open goes on with those it began with."""

    def forget(self, account: Address) -> None:
        """The account has gone for good: let go of what is its own."""

    def desks(self) -> Sequence[object]:
        """Whoever answers its verbs (admin.verbs) while the service runs.

        Asked once, when the first question comes: what only desks need is imported here.
        """
        return ()

    def checks(self) -> Sequence[Check]:
        """Its lines of ``status``."""
        return ()


class DailyPart(Part):
    """A part whose ``each_day`` also comes once ``soon`` seconds after a start, when the machine has come to rest."""

    def __init__(self, clock: Clock, journal: HasFailed, soon: float) -> None:
        self._clock = clock
        self._journal = journal
        self._soon = soon
        self._first: Timer | None = None

    @property
    def is_waiting(self) -> bool:
        """Is the first time still to come?"""
        return self._first is not None

    async def start(self) -> None:
        """The first time comes later."""
        self._first = self._clock.callLater(self._soon, self._begin)

    def _begin(self) -> None:
        self._first = None
        shielded(self.each_day()).addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        self._journal.broken(self.name, failure.value or RuntimeError("no reason given"))

    async def stop(self) -> None:
        """No timer runs."""
        if self._first is not None and self._first.active():
            self._first.cancel()
