"""Room kept for a full disk."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.assembly.ballast import EVERY, FULL, OCTETS, PLENTY, Ballast
from mailbox_appliance.journal.events.service import BallastGiven
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers


class BallastTests(SynchronousTestCase):
    """Made with plenty of room, given back once when there is none, made again later."""

    def test_life(self) -> None:
        state, clock, journal = self.mktemp(), Clock(), RememberedJournal()
        os.mkdir(state)
        free = [PLENTY]
        part = Ballast(state, clock, InlineWorkers(), journal, lambda folder: free[0])
        path = os.path.join(state, "ballast")

        def look(octets: int) -> bool:
            free[0] = octets
            clock.advance(EVERY)
            return os.path.exists(path)

        self.successResultOf(Deferred.fromCoroutine(part.start()))
        self.assertFalse(os.path.exists(path))  # not plenty enough
        self.assertTrue(look(PLENTY + 1))
        self.assertEqual(os.stat(path).st_size, OCTETS)
        self.assertGreaterEqual(os.stat(path).st_blocks * 512, OCTETS)
        self.assertTrue(look(FULL))
        self.assertFalse(look(FULL - 1))
        self.assertFalse(look(OCTETS))  # what was given back is not taken again
        self.assertEqual(len(journal.of(BallastGiven)), 1)
        self.assertTrue(look(PLENTY + 1))
        self.successResultOf(Deferred.fromCoroutine(part.stop()))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_no_room_for_it(self) -> None:
        """A disk that cannot give it is no reason not to start."""
        part = Ballast("/nowhere/at/all", clock := Clock(), InlineWorkers(), RememberedJournal())
        self.successResultOf(Deferred.fromCoroutine(part.start()))
        self.assertEqual(len(clock.getDelayedCalls()), 1)

    def test_stopped_in_the_middle(self) -> None:
        """A look that is under way when the service stops is the last one."""
        looks: list[Deferred[bool]] = []

        class SlowWorkers(InlineWorkers):
            def run(self, door: str, job: Any, *args: Any) -> Any:
                looks.append(Deferred())
                return looks[-1]

        clock = Clock()
        part = Ballast(self.mktemp(), clock, SlowWorkers(), RememberedJournal())
        Deferred.fromCoroutine(part.start())
        self.successResultOf(Deferred.fromCoroutine(part.stop()))
        looks[0].callback(False)
        self.assertEqual((len(looks), clock.getDelayedCalls()), (1, []))
