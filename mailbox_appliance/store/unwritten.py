"""Messages that have their UIDs but no rows in the index yet: who needs the rows waits here, the newest least long.

Another program has filled the mailbox, and it is looked at for the first time (``store.first``). What SELECT tells is
known when the UIDs are durable; the rows, a cache of what the files tell, are written behind the answer.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from mailbox_appliance.ports.store import StoreError


class Unwritten:
    """One open mailbox's; ``_bottom``: from this place on all have their rows."""

    __slots__ = ("_bottom", "_waiting")

    def __init__(self) -> None:
        self._bottom = 0
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def __bool__(self) -> bool:
        return self._bottom > 0

    def begin(self, count: int) -> None:
        """``count`` messages have none."""
        self._bottom = count

    def wait(self, place: int) -> Deferred[None]:
        """Until the message in this place, and all that are newer, have theirs. Fails with StoreError."""
        if place >= self._bottom:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting.append((place, waiter))
        return waiter

    def reached(self, bottom: int) -> None:
        """From this place on they are there."""
        self._bottom = bottom
        waiting, self._waiting = self._waiting, []
        for place, waiter in waiting:
            if place >= bottom:
                waiter.callback(None)
            else:
                self._waiting.append((place, waiter))

    def give_up(self, error: StoreError) -> None:
        """They will not come."""
        self._bottom = 0
        waiting, self._waiting = self._waiting, []
        for _, waiter in waiting:
            waiter.errback(error)
