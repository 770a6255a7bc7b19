"""The one door to threads, each pool bounded in threads and in what may wait before it.

Threads are for waiting (disk, SQLite) and for C code that releases the GIL. Pure-Python computing in a thread stalls
the reactor: an echo server beside one busy thread fell from 10,000 to 180 round trips a second at the default switch
interval; so it does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from mailbox_appliance.ports.workers import Busy

T = TypeVar("T")

# door: (threads, jobs that may wait)
DOORS: dict[str, tuple[int, int]] = {
    "disk": (16, 4096),
    "database": (4, 4096),
    "password": (2, 64),
    "names": (2, 256),  # getaddrinfo and the like, where nothing better exists
}


class ThreadedWorkers:
    """Thread pools that start with their first job and end with :meth:`stop`."""

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._pools: dict[str, ThreadPool] = {}
        self._waiting: dict[str, int] = dict.fromkeys(DOORS, 0)
        self._stopped = False

    def run(self, door: str, job: Callable[..., T], *args: Any) -> Deferred[T]:
        """Run ``job(*args)`` in a thread of ``door``. Fails with Busy when too many jobs wait, or after stop."""
        threads, most = DOORS[door]
        if self._stopped or self._waiting[door] >= most + threads:
            return fail(Busy(f"too much work waits for the {door} workers"))
        pool = self._pools.get(door)
        if pool is None:
            pool = self._pools[door] = ThreadPool(0, threads, name=door)
            pool.start()
        self._waiting[door] += 1
        result: Deferred[T] = deferToThreadPool(self._reactor, pool, job, *args)
        return result.addBoth(self._done, door)

    def _done(self, result: T, door: str) -> T:
        self._waiting[door] -= 1
        return result

    def stop(self) -> None:
        """Finish the jobs that run and wait, then end the threads. Blocks; call it last."""
        self._stopped = True
        for pool in self._pools.values():
            pool.stop()
        self._pools.clear()
