"""More hands for a worker: several waits at a time where the disk is slow, none where it is quick."""

from __future__ import annotations

import threading

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.workers import Hands


class HandsTests(SynchronousTestCase):
    """``each`` returns when everything is done, whoever did it."""

    def test_quick(self) -> None:
        """Calls that do not wait are made by the caller alone, in order."""
        seen: list[tuple[int, int]] = []
        Hands(3, slow=60.0).each(lambda n: seen.append((n, threading.get_ident())), range(20))
        self.assertEqual(seen, [(n, threading.get_ident()) for n in range(20)])

    def test_slow(self) -> None:
        """Four calls wait for one another: each is made by a thread of its own."""
        barrier = threading.Barrier(4, timeout=20)
        seen: list[int] = []

        def call(number: int) -> None:
            if number:
                barrier.wait()
            seen.append(threading.get_ident())

        Hands(3, slow=-1.0, idle=0.05).each(call, range(5))
        self.assertEqual(len(seen), 5)
        self.assertEqual(len(set(seen[1:])), 4)

    def test_hands_leave_and_come_again(self) -> None:
        """Threads end when nothing came for a while; later work finds new ones."""
        hands = Hands(2, slow=-1.0, idle=0.0)
        for _ in range(50):
            seen: list[int] = []
            hands.each(seen.append, range(6))
            self.assertEqual(sorted(seen), list(range(6)))

    def test_a_fault(self) -> None:
        """What one call raises is raised in the end; the others are made nevertheless."""
        for slow in (60.0, -1.0):
            seen: list[int] = []

            def call(number: int, seen: list[int] = seen) -> None:
                seen.append(number)
                if number == 2:
                    raise ValueError(number)

            self.assertRaises(ValueError, Hands(3, slow=slow, idle=0.0).each, call, range(8))
            self.assertEqual(sorted(seen), list(range(8)))

    def test_nothing(self) -> None:
        """No things, no calls."""
        Hands(3).each(lambda _: self.fail("called"), [])
