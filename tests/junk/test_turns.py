"""Many at once: turns, and a filter whose workers answer late."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute, gatherResults
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.junk.filter import StatisticalFilter
from mailbox_appliance.junk.turns import Turns
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.workers import Busy
from tests.junk.letters import Place, advertisement, content_of, note


class LateWorkers:
    """Jobs wait until :meth:`work` is called."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = deque()

    def run(self, door: str, job: Callable[..., Any], *args: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.jobs.append((answer, job, args))
        return answer

    def work(self) -> None:
        answer, job, args = self.jobs.popleft()
        execute(job, *args).addBoth(answer.callback)


class TurnsTests(SynchronousTestCase):
    """One at a time."""

    def test_a_thousand_at_once(self) -> None:
        """Waiters that are done at once do not pile up on the stack, and keep their order."""
        turns = Turns()
        order: list[int] = []

        async def one(number: int) -> None:
            await turns.take()
            order.append(number)
            turns.give()

        self.successResultOf(Deferred.fromCoroutine(turns.take()))
        for number in range(1500):
            Deferred.fromCoroutine(one(number))
        self.assertEqual(order, [])
        turns.give()
        self.assertEqual(order, list(range(1500)))
        self.successResultOf(Deferred.fromCoroutine(turns.take()))

    def test_bound_and_leaving(self) -> None:
        """Too many are refused; who leaves the line is not called."""
        turns = Turns()
        self.successResultOf(Deferred.fromCoroutine(turns.take()))
        waiting = [Deferred.fromCoroutine(turns.take()) for _ in range(2000)]
        self.failureResultOf(Deferred.fromCoroutine(turns.take()), Busy)
        waiting[0].cancel()
        self.failureResultOf(waiting[0])
        turns.give()
        self.successResultOf(waiting[1])


class ManyAtOnceTests(SynchronousTestCase):
    """StatisticalFilter with late workers."""

    def test_lessons_at_once(self) -> None:
        """Lessons of more accounts than are held, all at once: none is lost, and all can be taken back."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        place, workers = Place(folder), LateWorkers()
        filter_ = StatisticalFilter(place.settings, workers, place.journal, place.clock)
        people = [Address(f"user{number}", "example.org") for number in range(7)]

        def done(coroutines: list[Any]) -> list[Any]:
            waiting = gatherResults([Deferred.fromCoroutine(coroutine) for coroutine in coroutines])
            while not waiting.called:
                if workers.jobs:
                    workers.work()
                place.clock.advance(0)
            return self.successResultOf(waiting)

        lessons = [
            (people[number % 7], (advertisement if number % 2 else note)(number), bool(number % 2))
            for number in range(140)
        ]
        done([filter_.learn(who, octets, junk) for who, octets, junk in lessons])
        judged = done([filter_.judge(who, content_of(advertisement(500))) for who in people])
        self.assertEqual([judgement.lessons for judgement in judged], [20] * 7)
        self.assertEqual(done([filter_.forget(who, octets) for who, octets, _ in lessons]), [True] * 140)
        family = filter_._accounts[f"{place.settings.family}/family.db"]
        self.assertEqual((family.memory.lessons, any(family.memory.weights), family.users), (0, False, 0))
        done([filter_.stop()])
