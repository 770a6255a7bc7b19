"""Rows that were read lately, so that the same correspondents cost no trip to a worker and its file.

Right as long as this process alone writes the file: whoever writes says what has changed. What was read while somebody
wrote may be old already, and is not kept: :meth:`Lately.begin` before the trip, its word back with :meth:`Lately.keep`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 2048


class Lately(Generic[K, V]):
    """Bounded: the oldest make room."""

    __slots__ = ("_changes", "_most", "_rows")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._rows: dict[K, V] = {}
        self._changes = 0

    def get(self, key: K) -> V | None:
        """The row, or None when it must be read."""
        return self._rows.get(key)

    def begin(self) -> int:
        """Before reading."""
        return self._changes

    def keep(self, began: int, key: K, row: V) -> None:
        """What was read since ``begin`` gave ``began``."""
        if began != self._changes:
            return
        while len(self._rows) >= self._most:
            del self._rows[next(iter(self._rows))]
        self._rows[key] = row

    def forget(self, fits: Callable[[K], bool] | None = None) -> None:
        """Something is being written, or has been: these rows, or all, are not what they were."""
        self._changes += 1
        if fits is None:
            self._rows.clear()
        else:
            for key in [key for key in self._rows if fits(key)]:
                del self._rows[key]
