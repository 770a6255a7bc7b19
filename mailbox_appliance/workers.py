"""The one door to threads, each pool bounded in threads and in what may wait before it.

Threads are for waiting (disk, SQLite) and for C code that releases the GIL. Pure-Python computing in a thread stalls
the reactor: an echo server beside one busy thread fell from 10,000 to 180 round trips a second at the default switch
interval; so it does not belong here.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from mailbox_appliance.ports.workers import Busy

T = TypeVar("T")

# door: (threads, jobs that may wait)
DOORS: dict[str, tuple[int, int]] = {
    "disk": (16, 4096),
    "database": (4, 4096),
    "password": (2, 64),
    "names": (2, 256),  # getaddrinfo and the like, where nothing better exists
}


_Job = tuple[Callable[[], Any], "Deferred[Any]"]


class _Door:
    """Threads of one kind, and the jobs before them."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.jobs: deque[_Job] = deque()
        self.idle: deque[threading.Lock] = deque()  # the bells of idle threads; who came last is rung first
        self.waiting = 0  # jobs whose results are not delivered yet

    def next(self, bell: threading.Lock, is_over: Callable[[], bool]) -> _Job | None:
        """The next job for the thread that ``bell`` calls; None when it is over."""
        while True:
            try:
                return self.jobs.popleft()
            except IndexError:
                pass
            if is_over():
                return None
            self.idle.append(bell)
            # A job put down before the bell stood there has rung nobody.
            if self.jobs or is_over():
                try:
                    self.idle.remove(bell)
                    continue
                except ValueError:
                    pass  # rung meanwhile
            bell.acquire()

    def ring(self) -> bool:
        """Call one idle thread; False when there is none."""
        try:
            self.idle.pop().release()
        except IndexError:
            return False
        return True


class ThreadedWorkers:
    """Threads that start when they are needed first and end with :meth:`stop`.

    Twisted's own pool would do, but a trip through it and back costs a third more processor time, and nearly every
    command takes one. One idle thread is called for a job: a SimpleQueue at which all of them wait calls a second one
    in vain each time.
    """

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._doors: dict[str, _Door] = {door: _Door() for door in DOORS}
        self._finished: deque[tuple[Deferred[Any], object, _Door]] = deque()
        self._is_told = False  # does the reactor know that something is finished?
        self._stopped = False

    def run(self, door: str, job: Callable[..., T], *args: Any) -> Deferred[T]:
        """Run ``job(*args)`` in a thread of ``door``. Fails with Busy when too many jobs wait, or after stop."""
        most_threads, most = DOORS[door]
        there = self._doors[door]
        if self._stopped or there.waiting >= most + most_threads:
            return fail(Busy(f"too much work waits for the {door} workers"))
        there.waiting += 1
        result: Deferred[T] = Deferred()
        there.jobs.append((partial(job, *args), result))
        threads = there.threads
        if not there.ring() and len(threads) < min(there.waiting, most_threads):
            thread = threading.Thread(target=self._work, args=(there,), name=f"{door}-{len(threads)}")
            threads.append(thread)
            thread.start()
        return result

    def _work(self, door: _Door) -> None:
        bell = threading.Lock()
        bell.acquire()
        while (taken := door.next(bell, self._is_over)) is not None:
            job, result = taken
            outcome: object
            try:
                outcome = job()
            except BaseException:  # noqa: BLE001 - whatever it is, it belongs to whoever asked
                outcome = Failure()
            self._finished.append((result, outcome, door))
            # Nothing of a job is kept while the next is awaited.
            del taken, job, result, outcome
            if not self._is_told:
                self._is_told = True
                self._reactor.callFromThread(self._deliver)

    def _is_over(self) -> bool:
        return self._stopped

    def _deliver(self) -> None:
        self._is_told = False
        for _ in range(len(self._finished)):
            result, outcome, door = self._finished.popleft()
            door.waiting -= 1
            result.callback(outcome)

    def stop(self) -> None:
        """Finish the jobs that run and wait, then end the threads. Blocks; call it last."""
        self._stopped = True
        for door in self._doors.values():
            while door.ring():
                pass
        for door in self._doors.values():
            for thread in door.threads:
                thread.join()
            door.threads.clear()


class Hands:
    """More hands for a job that runs in a worker already, for calls that do nothing but wait: fsync of many files.

    ``most`` threads beside the caller's own; they begin with the first need and end when nothing came for ``idle``
    seconds. Where the first call takes less than ``slow`` seconds (a fast disk), the caller's thread does the rest as
    well: each change of threads costs the reactor more than such a wait.
    """

    def __init__(self, most: int = 3, *, slow: float = 0.002, idle: float = 5.0) -> None:
        self._most = most
        self._slow = slow
        self._idle = idle
        self._jobs: SimpleQueue[tuple[Callable[[], None], threading.Lock]] = SimpleQueue()
        self._threads = 0
        self._lock = threading.Lock()

    def each(self, call: Callable[[T], object], things: Collection[T]) -> None:
        """``call`` each of ``things``, several at a time; returns when all are done. Raises what a call raised."""
        waiting = deque(things)
        errors: list[Exception] = []

        def take(*, until_slow: bool = False) -> None:
            while True:
                try:
                    thing = waiting.popleft()
                except IndexError:
                    return
                began = time.monotonic()
                try:
                    call(thing)
                except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
                    errors.append(error)
                if until_slow and time.monotonic() - began > self._slow:
                    return

        take(until_slow=True)
        ends: list[threading.Lock] = []
        for _ in range(min(self._most, len(waiting) - 1)):
            end = threading.Lock()
            end.acquire()
            self._jobs.put((take, end))
            ends.append(end)
        if ends:
            self._engage()
        take()
        for end in ends:
            end.acquire()
        if errors:
            raise errors[0]

    def _engage(self) -> None:
        with self._lock:
            while self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._help, name="hand", daemon=True).start()

    def _help(self) -> None:
        while True:
            try:
                take, end = self._jobs.get(timeout=self._idle)
            except Empty:
                with self._lock:
                    # Whoever puts a job and then asks for hands finds this one gone, or the job taken.
                    if self._jobs.empty():
                        self._threads -= 1
                        return
                continue
            try:
                take()
            finally:
                end.release()
