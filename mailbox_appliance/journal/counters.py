"""How often each thing happened: event name and labels → a number, since the start of the process.

Labels come from few values each (``Event.counted_by``); should a peer manage to invent more, the rest is "other".
"""

from __future__ import annotations

MOST_LABELINGS = 200  # distinct label tuples kept for one event name

_Labels = tuple[str, ...]


class Counters:
    """Additions are a dict look-up; reading is rare."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[_Labels, int]] = {}

    def add(self, name: str, labels: _Labels = (), by: int = 1) -> None:
        """Count ``by`` more of ``name``."""
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = {}
        if labels not in counts and len(counts) >= MOST_LABELINGS:
            labels = ("other",) * len(labels)
        counts[labels] = counts.get(labels, 0) + by

    def of(self, name: str, labels: _Labels | None = None) -> int:
        """The count of ``name`` with ``labels``, or over all labels."""
        counts = self._counts.get(name, {})
        return sum(counts.values()) if labels is None else counts.get(labels, 0)

    def snapshot(self) -> dict[str, dict[_Labels, int]]:
        """All counts, by name and labels."""
        return {name: dict(counts) for name, counts in self._counts.items()}
