"""Work that must not stop in its middle (its caller may stop waiting, but cannot cancel it), and locks around it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

T = TypeVar("T")


def shielded(work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    """Run ``work`` to its end; the Deferred returned gives its result and may be cancelled without harm to it."""
    waiting: Deferred[T] = Deferred()

    def done(result: T | Failure) -> None:
        if not waiting.called:
            waiting.callback(result)

    Deferred.fromCoroutine(work).addBoth(done)
    return waiting


class Held:
    """``async with Held(lock):``"""

    __slots__ = ("_lock",)

    def __init__(self, lock: DeferredLock) -> None:
        self._lock = lock

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *exc: object) -> None:
        self._lock.release()
