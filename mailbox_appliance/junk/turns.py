"""One at a time, in order: a lock for coroutines whose line of waiters never becomes a stack of calls.

(``DeferredLock.release`` runs the next waiter inside the call; a few hundred that are done at once exhaust the stack.)
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from mailbox_appliance.ports.workers import Busy

_MOST_WAITING = 2_000


class Turns:
    """``await take()``, then ``give()`` in a ``finally``."""

    __slots__ = ("_again", "_giving", "_taken", "_waiting")

    def __init__(self) -> None:
        self._taken = False
        self._giving = False
        self._again = False
        self._waiting: deque[Deferred[None]] = deque()

    async def take(self) -> None:
        """Wait for one's turn. Raises Busy when too many wait."""
        if not self._taken:
            self._taken = True
            return
        if len(self._waiting) >= _MOST_WAITING:
            raise Busy("too many lessons wait for one memory")
        turn: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(turn)
        await turn

    def give(self) -> None:
        """Let the next one go on; whoever is done before this returns lets the one after him go on from here."""
        if self._giving:
            self._again = True
            return
        self._giving = True
        try:
            while True:
                self._again = False
                if not self._waiting:
                    self._taken = False
                    return
                self._waiting.popleft().callback(None)
                if not self._again:
                    return
        finally:
            self._giving = False
