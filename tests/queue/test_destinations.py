"""Turns and windows: who may be sent to now."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.queue.destinations import LOCAL, Concurrency, Destinations, is_unreachable
from tests.kit.fake_relay import LATER, REFUSED, SENT, UNREACHABLE


class DestinationsTests(SynchronousTestCase):
    """Concurrency follows success; destinations take turns."""

    def setUp(self) -> None:
        self.all: Destinations[str] = Destinations(Concurrency(first=2, most=4, most_in_all=6))

    def begin(self) -> list[str]:
        return [f"{destination.name}:{errand}" for destination, errand in self.all.due()]

    def test_turns(self) -> None:
        """A destination with much does not starve one with little."""
        for n in range(10):
            self.all.add("big", str(n))
        self.all.add("small", "0")
        self.assertEqual(self.begin(), ["big:0", "small:0", "big:1"])

    def test_window_grows_and_shrinks(self) -> None:
        """Successes widen it by 1/window up to the bound; failures to reach it narrow it."""
        big = self.all.get("big")
        for n in range(40):
            self.all.add("big", str(n))
        self.assertEqual(len(self.begin()), 2)
        for _ in range(30):
            self.all.ended(big, (SENT,), 60, 0)
            self.begin()
        self.assertEqual((big.under_way, int(big.window)), (4, 4))
        self.all.ended(big, (UNREACHABLE,), 60, 0)
        self.assertEqual(int(big.window), 3)

    def test_total(self) -> None:
        """All together are bounded."""
        for n in range(10):
            self.all.add(f"d{n}", "0")
        self.assertEqual(len(self.begin()), 6)
        self.all.ended(self.all.get("d0"), (SENT,), 60, 0)
        self.assertEqual(self.begin(), ["d6:0"])

    def test_rest(self) -> None:
        """As many failures in a row as the window is wide let it rest, longer each time; a success ends that."""
        one = self.all.get("one")
        self.all.add("one", "a")
        self.all.add("one", "b")
        self.begin()
        self.assertEqual(self.all.ended(one, (UNREACHABLE,), 60, 1000), "")
        self.assertEqual(self.all.ended(one, (UNREACHABLE,), 60, 1000), "rests")
        self.assertEqual((one.rests_until, one.rests), (1060, 1))
        self.all.add("one", "c")
        self.all.add("one", "d")
        self.assertEqual(self.begin(), ["one:c"], "one tries first")
        self.assertEqual(self.all.ended(one, (UNREACHABLE,), 120, 1061), "rests")
        self.assertEqual(self.begin(), ["one:d"])
        self.assertEqual(self.all.ended(one, (SENT,), 120, 1200), "back")
        self.assertEqual((one.rests, one.rests_until), (0, 0))

    def test_what_counts_as_unreachable(self) -> None:
        """A refusal or a deferral of recipients says that the host is well."""
        self.assertTrue(is_unreachable((UNREACHABLE, UNREACHABLE)))
        for outcomes in ((LATER,), (REFUSED,), (SENT,), (UNREACHABLE, REFUSED), ()):
            self.assertFalse(is_unreachable(outcomes))

    def test_local_never_rests(self) -> None:
        """Full mailboxes say nothing about other mailboxes."""
        for n in range(8):
            self.all.add(LOCAL, str(n))
        for _ in range(8):
            self.begin()
            self.assertEqual(self.all.ended(self.all.get(LOCAL), (UNREACHABLE,), 60, 0), "")

    def test_forgetting(self) -> None:
        """A destination with nothing to remember is forgotten."""
        for n in range(100):
            self.all.add(f"d{n}", "x")
            for destination, _ in self.all.due():
                self.all.ended(destination, (SENT,), 60, 0)
        self.assertEqual(self.all._known, {})
