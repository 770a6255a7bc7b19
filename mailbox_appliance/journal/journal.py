"""The journal itself: every station tells it events, and each becomes a line, a count and a step of the trail.

Telling never waits and never fails; it costs some microseconds, because what can be known of a class of events is
worked out once. Every path that leaves the process (line, trail) is filled later, in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

from twisted.internet.defer import Deferred

from mailbox_appliance.journal import breakage
from mailbox_appliance.journal.counters import Counters
from mailbox_appliance.journal.events.journal import Broken, TrailLost
from mailbox_appliance.journal.lines import LineWriter, show_value
from mailbox_appliance.journal.trail import SEARCHED_FIELDS, Trail, TrailStep, search_words
from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all events of one class have in common."""

    name: str
    level: Level
    fields: tuple[str, ...]  # without trace
    searched: tuple[str, ...]
    counted_by: tuple[str, ...]


def _kind(event_class: type[Event]) -> _Kind:
    names = tuple(field.name for field in fields(event_class) if field.name != "trace")
    return _Kind(
        event_class.name,
        event_class.level,
        names,
        tuple(name for name in names if name in SEARCHED_FIELDS),
        event_class.counted_by,
    )


class Journal:
    """Fits ports.journal.Journal and HasFailed. ``loudest`` is the least important level that becomes a line.

    ``trail`` None keeps no trail (tests, the desk without the service).
    """

    def __init__(
        self,
        clock: Clock,
        lines: LineWriter | None,
        trail: Trail | None = None,
        counters: Counters | None = None,
        loudest: Level = Level.INFO,
    ) -> None:
        self._clock = clock
        self._lines = lines
        self._trail = trail
        self._loudest = loudest
        self._kinds: dict[type[Event], _Kind] = {}
        self._breakages = breakage.Breakages(clock)
        self.counters = Counters() if counters is None else counters
        self.listeners: list[Callable[[Event], None]] = []

    def tell(self, event: Event) -> None:
        """Record ``event`` with the time of the journal's clock."""
        event_class = event.__class__
        kind = self._kinds.get(event_class)
        if kind is None:
            kind = self._kinds[event_class] = _kind(event_class)
        if kind.counted_by:
            self.counters.add(kind.name, tuple([str(getattr(event, name)) for name in kind.counted_by]))
        else:
            self.counters.add(kind.name)
        level = kind.level
        if level > self._loudest:
            return
        facts = [
            f"{name}={show_value(value)}"
            for name in kind.fields
            if (value := getattr(event, name)) is not None and value != "" and value != ()
        ]
        now = self._clock.seconds()
        text = " ".join(facts)
        trace = event.trace
        if self._lines is not None:
            self._lines.write(now, level, kind.name, f"trace={trace} {text}" if trace else text)
        if self._trail is not None and (trace or kind.searched):
            words: list[str] = []
            for name in kind.searched:
                value = getattr(event, name)
                if value:
                    words += search_words(name, value)
            if trace or words:
                self._trail.add(now, trace, kind.name, int(level), text, tuple(words))

    def broken(self, where: str, error: BaseException, trace: str = "") -> None:
        """Journal ``error``, raised in the station ``where``: its type and frames, never what it was about."""
        event = self._breakages.event(where, error, trace)
        if event is not None:
            self.tell(event)
        else:
            self.counters.add(Broken.name, (where,))

    def trail_lost(self, steps: int, reason: str) -> None:
        """For Trail: say that steps were lost, in the log only."""
        if self._lines is not None:
            facts = f"steps={steps} reason={show_value(reason)}"
            self._lines.write(self._clock.seconds(), TrailLost.level, TrailLost.name, facts)
        self.counters.add(TrailLost.name, by=steps)

    async def search(self, text: str) -> tuple[TrailStep, ...]:
        """The steps which ``text`` names, oldest first (see Trail.search)."""
        return () if self._trail is None else await self._trail.search(text)

    async def recent(self, names: Sequence[str], since: float, most: int) -> tuple[TrailStep, ...]:
        """The newest steps of some names (see Trail.recent)."""
        return () if self._trail is None else await self._trail.recent(names, since, most)

    def start(self) -> None:
        """Begin to prune the trail."""
        if self._trail is not None:
            self._trail.start()

    def flush(self) -> None:
        """Write the lines that wait, at once."""
        if self._lines is not None:
            self._lines.flush()

    async def stop(self) -> None:
        """Write everything out and close the trail; lines are still taken afterwards."""
        self.flush()
        if self._trail is not None:
            trail, self._trail = self._trail, None
            await Deferred.fromCoroutine(trail.stop())
        self.flush()
