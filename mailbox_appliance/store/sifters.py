"""The service's end of the processes that read messages for SEARCH: started with the first need, ended when idle.

Finding a needle in texts that lie in files is computing, which would keep the reactor from everybody else; here other
processors do it, at a lower priority. Whatever goes wrong with such a process, the service reads the messages itself.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import subprocess
import sys
import threading
from collections.abc import Sequence

from twisted.internet.defer import Deferred, DeferredSemaphore

from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.shielded import shielded
from mailbox_appliance.store import message_rows, sifter
from mailbox_appliance.store.index_file import Index
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.sift import Texts

MODULE = "mailbox_appliance.store.sifter"
IDLE = 30.0  # seconds after which nobody is taken to search any more
PATIENCE = 120.0  # seconds for one batch, on a busy machine; then the process is killed
REST = 60.0  # seconds without such processes after one could not be started


class Sifted:
    """What became of one batch: who holds the needle, who must be read by the service itself, texts if wanted."""

    __slots__ = ("found", "texts", "unread")

    def __init__(self, found: list[int], unread: list[int], texts: list[Texts]) -> None:
        self.found = found
        self.unread = unread
        self.texts = texts


class Sifters:
    """At most ``most`` processes; 0: there are none, and whoever asks hears that everything is unread."""

    def __init__(self, clock: Clock, workers: Workers, most: int) -> None:
        self.most = most
        self._clock = clock
        self._workers = workers
        # One more than there are processes, so that none waits for its next batch.
        self._turns = DeferredSemaphore(most + 1)
        self._room = threading.Semaphore(max(most, 1))
        self._free: list[_Process] = []
        self._rest_until = 0.0
        self._timer: Timer | None = None
        self._stopped = False

    @property
    def at_once(self) -> int:
        """Batches worth being under way for one search."""
        return self.most + 1

    @property
    def are_there(self) -> bool:
        """Is it worth asking?"""
        return self.most > 0 and not self._stopped and self._clock.seconds() >= self._rest_until

    def sift(
        self, store: Index, folder: Folder, number: int, uids: Sequence[int], needle: str, whole: bool, texts: bool
    ) -> Deferred[Sifted]:
        """Look for ``needle`` (casemapped; "" for texts only) in messages of a mailbox. Raises StoreError's causes."""
        return shielded(self._sift(store, folder, number, uids, needle, whole, texts))

    async def _sift(
        self, store: Index, folder: Folder, number: int, uids: Sequence[int], needle: str, whole: bool, texts: bool
    ) -> Sifted:
        await self._turns.acquire()
        try:
            if not self.are_there:
                return Sifted([], list(uids), [])
            asked = await self._workers.run("disk", self._ask, store, folder, number, uids, needle, whole, texts)
        finally:
            self._turns.release()
            self._sleep_later()
        if asked is None:
            self._rest_until = self._clock.seconds() + REST
            return Sifted([], list(uids), [])
        return asked

    def _ask(
        self, store: Index, folder: Folder, number: int, uids: Sequence[int], needle: str, whole: bool, texts: bool
    ) -> Sifted | None:
        """In a worker. None: there is no such process."""
        rows = store.read(lambda connection: message_rows.files_of(connection, number, uids))
        paths = [folder.message(bool(fresh), file) for _, file, fresh, _, _ in rows]
        with self._room:
            process = self._free.pop() if self._free else _begun()
            if process is None:
                return None
            said = process.ask((needle, whole, texts, paths))
            if said is None or self._stopped:
                process.end()
            else:
                self._free.append(process)
        if said is None:
            return None
        results, made = said
        there = [uid for uid, *_ in rows]
        found = [uid for uid, result in zip(there, results, strict=True) if result == sifter.YES]
        unread = [uid for uid, result in zip(there, results, strict=True) if result == sifter.UNREAD]
        known = [
            Texts(uid, *one, is_measured=True) for uid, one in zip(there, made, strict=bool(made)) if one is not None
        ]
        return Sifted(found, unread, known)

    def _sleep_later(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if self._stopped or not self._free else self._clock.callLater(IDLE, self._sleep)

    def _sleep(self) -> None:
        self._timer = None
        shielded(self._end_idle())

    async def _end_idle(self) -> None:
        try:
            await self._workers.run("disk", self._end_free)
        except Busy:
            self._sleep_later()

    def _end_free(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._free.pop().end()

    def stop(self) -> None:
        """None runs any longer. Blocks for a moment."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._end_free()


class _Process:
    """One of them, asked by one worker at a time."""

    def __init__(self, popen: subprocess.Popen[bytes], asking: int, hearing: int) -> None:
        self._popen = popen
        self._asking = asking
        self._hearing = hearing

    def ask(self, question: sifter.Question) -> sifter.Answer | None:
        """None when it has gone, or takes too long."""
        try:
            sifter.write(self._asking, question)
            poll = select.poll()
            poll.register(self._hearing, select.POLLIN)
            if not poll.poll(PATIENCE * 1000):
                return None
            octets = sifter.read(self._hearing)
            answer: sifter.Answer | None = marshal.loads(octets) if octets else None
            return answer
        except (OSError, ValueError, EOFError, TypeError):
            return None

    def end(self) -> None:
        """It has nothing to lose."""
        for fd in (self._asking, self._hearing):
            os.close(fd)
        self._popen.kill()
        self._popen.wait()


def _begun() -> _Process | None:
    try:
        popen = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
        )
    except (OSError, ValueError):
        return None
    assert popen.stdin is not None
    assert popen.stdout is not None
    # Descriptors of our own: file objects would be closed by whoever collects them.
    asking, hearing = os.dup(popen.stdin.fileno()), os.dup(popen.stdout.fileno())
    popen.stdin.close()
    popen.stdout.close()
    for fd in (asking, hearing):
        sifter.widen(fd)
    return _Process(popen, asking, hearing)
