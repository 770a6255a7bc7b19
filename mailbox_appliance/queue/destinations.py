"""Who may be sent to now: concurrency for each destination, and a memory of those that cannot be reached.

Concurrency follows success as in Postfix's queue manager: a destination begins with a few deliveries at once, each
success widens its window by 1/window, each failure to reach it narrows it, and as many failures in a row as the
window is wide (one "cohort") let it rest. After the rest one message tries first. Destinations take turns, so that
one with thousands of messages does not starve one with a single message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Generic, TypeVar

from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.values import dataclass

E = TypeVar("E")

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Concurrency:
    """``first`` deliveries at once to a new destination, at most ``most``, at most ``most_in_all`` together."""

    first: int = 5
    most: int = 20
    most_in_all: int = 60
    most_remembered: int = 2000


@dataclass(slots=True)
class Destination(Generic[E]):
    """What is known of one destination; ``waiting`` are errands that were loaded and not begun."""

    name: str
    window: float
    under_way: int = 0
    failures: float = 0.0
    rests: int = 0
    rests_until: float = 0.0
    why: Outcome | None = None
    waiting: deque[E] = field(default_factory=deque)
    in_line: bool = False

    @property
    def has_room(self) -> bool:
        """May one more delivery begin?"""
        return self.under_way < max(1, int(self.window))

    @property
    def is_forgettable(self) -> bool:
        """Nothing is under way, nothing waits, nothing bad is remembered."""
        return not (self.under_way or self.waiting or self.rests or self.failures)


class Destinations(Generic[E]):
    """All of them, in turns."""

    def __init__(self, concurrency: Concurrency) -> None:
        self.concurrency = concurrency
        self.under_way = 0
        self._known: dict[str, Destination[E]] = {}
        self._line: deque[Destination[E]] = deque()

    def get(self, name: str) -> Destination[E]:
        """The destination, made known."""
        known = self._known.get(name)
        if known is None:
            self._forget()
            known = self._known[name] = Destination(name, float(self.concurrency.first))
        return known

    def add(self, name: str, errand: E) -> None:
        """``errand`` waits for its turn."""
        destination = self.get(name)
        destination.waiting.append(errand)
        self._queue_up(destination)

    def due(self) -> Iterator[tuple[Destination[E], E]]:
        """Errands that may begin now, destinations in turn. Each one yielded counts as under way."""
        while self._line and self.under_way < self.concurrency.most_in_all:
            destination = self._line.popleft()
            destination.in_line = False
            if not destination.waiting or not destination.has_room:
                continue
            destination.under_way += 1
            self.under_way += 1
            errand = destination.waiting.popleft()
            self._queue_up(destination)
            yield destination, errand

    def ended(self, destination: Destination[E], outcomes: tuple[Outcome, ...], rest: float, now: float) -> str:
        """One delivery is over. Returns "rests" when a rest begins, "back" when one is over, else ""."""
        self.under_way -= 1
        destination.under_way -= 1
        change = ""
        if destination.name != LOCAL:
            if is_unreachable(outcomes):
                change = self._failed(destination, outcomes[0], rest, now)
            elif outcomes:
                change = self._reached(destination)
        self._queue_up(destination)
        if destination.is_forgettable:
            self._known.pop(destination.name, None)
        return change

    def take_waiting(self, destination: Destination[E]) -> list[E]:
        """Everything that waits for a destination that rests."""
        waiting = list(destination.waiting)
        destination.waiting.clear()
        return waiting

    def take_if(self, unwanted: Callable[[E], bool]) -> list[E]:
        """Take out of the lines whatever is unwanted."""
        taken: list[E] = []
        for destination in self._known.values():
            kept: deque[E] = deque()
            for errand in destination.waiting:
                (taken if unwanted(errand) else kept).append(errand)
            destination.waiting = kept
        return taken

    def wake(self) -> None:
        """Nobody needs rest any longer."""
        for destination in self._known.values():
            destination.rests_until = 0.0

    def _failed(self, destination: Destination[E], outcome: Outcome, rest: float, now: float) -> str:
        destination.failures += 1 / max(1.0, destination.window)
        destination.window = max(1.0, destination.window - 1)
        if destination.failures < 1 and not destination.rests:
            return ""
        if destination.rests_until > now:
            return ""
        destination.rests += 1
        destination.rests_until = now + rest
        destination.failures = 0.0
        destination.window = 1.0
        destination.why = outcome
        return "rests"

    def _reached(self, destination: Destination[E]) -> str:
        was_resting = destination.rests > 0
        destination.failures = 0.0
        destination.rests = 0
        destination.rests_until = 0.0
        destination.why = None
        destination.window = min(float(self.concurrency.most), destination.window + 1 / destination.window)
        return "back" if was_resting else ""

    def _queue_up(self, destination: Destination[E]) -> None:
        if not destination.in_line and destination.waiting and destination.has_room:
            destination.in_line = True
            self._line.append(destination)

    def _forget(self) -> None:
        if len(self._known) < self.concurrency.most_remembered:
            return
        for name, destination in list(self._known.items()):
            if not destination.under_way and not destination.waiting:
                del self._known[name]
                return


def is_unreachable(outcomes: tuple[Outcome, ...]) -> bool:
    """True when the next host took no part in it, or sent us away as a whole (421)."""
    return bool(outcomes) and all(
        outcome.result is Result.TRY_AGAIN and (not outcome.remote or outcome.reply.code == 421) for outcome in outcomes
    )
