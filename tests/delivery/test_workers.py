"""The threads of the service, with a real reactor: results, failures, bounds, the end."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.workers import DOORS, ThreadedWorkers

reactor: Any = the_reactor


class ThreadedWorkersTests(TestCase):
    """Jobs go to threads, what came of them comes back into the reactor."""

    timeout = 30

    def setUp(self) -> None:
        self.workers = ThreadedWorkers(reactor)
        self.addCleanup(self.workers.stop)

    async def test_results(self) -> None:
        """Many jobs at once: each gets its own answer, in the reactor's thread, out of another thread."""

        def job(number: int) -> tuple[int, int]:
            return number, threading.get_ident()

        found: list[Any] = await gatherResults([self.workers.run("disk", job, number) for number in range(500)])
        self.assertEqual([number for number, _ in found], list(range(500)))
        self.assertNotIn(threading.get_ident(), {ident for _, ident in found})
        self.assertLessEqual(len({ident for _, ident in found}), DOORS["disk"][0])

    async def test_failures(self) -> None:
        """An exception comes back as itself, and the thread lives on."""
        with self.assertRaises(ZeroDivisionError):
            await self.workers.run("password", divmod, 1, 0)
        self.assertEqual(await self.workers.run("password", divmod, 7, 2), (3, 1))

    async def test_nobody_waits_any_longer(self) -> None:
        """A caller may cancel; the job is done all the same, and what came of it harms nobody."""
        done = threading.Event()
        waiting = self.workers.run("password", done.set)
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        await self.workers.run("password", done.wait, 10)
        self.assertTrue(done.is_set())

    async def test_bounds(self) -> None:
        """What would wait too long is refused; when the jobs are done there is room again."""
        gate = threading.Event()
        threads, most = DOORS["password"]
        jobs = [self.workers.run("password", gate.wait, 10) for _ in range(threads + most)]
        with self.assertRaises(Busy):
            await self.workers.run("password", int)
        gate.set()
        await gatherResults(jobs)
        self.assertEqual(await self.workers.run("password", int), 0)

    async def test_stop(self) -> None:
        """Jobs that wait are done before it returns; after it there is nobody to do any."""
        ran: list[int] = []
        for number in range(20):
            self.workers.run("disk", ran.append, number)
        self.workers.stop()
        self.assertEqual(sorted(ran), list(range(20)))
        with self.assertRaises(Busy):
            await self.workers.run("disk", int)

    def test_work_begets_work(self) -> Deferred[None]:
        """A callback may ask for more at once."""
        end: Deferred[int] = Deferred()

        def again(number: int) -> None:
            if number == 50:
                end.callback(number)
            else:
                self.workers.run("names", lambda: number + 1).addCallback(again)

        again(0)
        return end.addCallback(self.assertEqual, 50)
