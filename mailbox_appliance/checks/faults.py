"""Lists that misbehave: said once an hour, and remembered for ``status`` until they have been well for a day."""

from __future__ import annotations

from mailbox_appliance.journal.events.checks import ListFault
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal

TOLD_AGAIN = 3600.0  # seconds between two complaints about one list
REMEMBERED = 86_400.0
MOST = 64


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer of a list that is no listing."""

    zone: str
    answer: str
    reason: str


class ListFaults:
    """One for all messages; outlives a reload."""

    def __init__(self, clock: Clock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._told: dict[str, float] = {}
        self._last: dict[str, tuple[float, Fault]] = {}

    def note(self, fault: Fault, trace: str) -> None:
        """A list misbehaves."""
        now = self._clock.seconds()
        for table in (self._told, self._last):
            while len(table) >= MOST and fault.zone not in table:
                del table[next(iter(table))]
        self._last[fault.zone] = now, fault
        if 0 <= now - self._told.get(fault.zone, float("-inf")) < TOLD_AGAIN:
            return
        self._told[fault.zone] = now
        self._journal.tell(ListFault(trace=trace, zone=fault.zone, answer=fault.answer, reason=fault.reason))

    def lately(self) -> tuple[Fault, ...]:
        """The faults of the last day."""
        now = self._clock.seconds()
        return tuple(fault for when, fault in self._last.values() if now - when < REMEMBERED)
