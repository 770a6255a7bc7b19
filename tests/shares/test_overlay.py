"""A shared mailbox that is opened while its owner's changes: arrays made in slices are right at the end all the same."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.mailbox import FLAGGED, SEEN
from mailbox_appliance.shares.mailbox import SharedMailbox
from mailbox_appliance.shares.overlay import overlay
from mailbox_appliance.shares.seen import Mark
from tests.shares.stage import ANN

COUNT = 20_000


class Hurried:
    """A clock whose every slice is spent as soon as it begins; ``turn`` does what waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waiting: list[Callable[[], None]] = []

    def seconds(self) -> float:
        self.now += 1
        return self.now

    def callLater(self, delay: float, what: Callable[..., None], *arguments: Any) -> None:
        self.waiting.append(lambda: what(*arguments))

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()


def base_of(count: int) -> Any:
    """The owner's mailbox: odd messages are \\Seen for him, UIDs are even."""
    return SimpleNamespace(
        uids=array("I", range(2, 2 * count + 2, 2)),
        flags=array("Q", [FLAGGED | SEEN, FLAGGED] * (count // 2)),
        modseqs=array("Q", range(100, 100 + count)),
        watch=lambda watcher: None,
        release=lambda watcher: None,
    )


class OverlayTests(SynchronousTestCase):
    def test_marks(self) -> None:
        """His marks and no others; marks of messages that are gone are passed over."""
        marks = [Mark(1, True, 900), Mark(2, True, 5), Mark(4, False, 901), Mark(6, True, 902), Mark(99, True, 903)]
        done = self.successResultOf(Deferred.fromCoroutine(overlay(base_of(4), marks, None)))
        self.assertEqual(list(done[0]), [FLAGGED | SEEN, FLAGGED, FLAGGED | SEEN, FLAGGED])
        self.assertEqual(list(done[1]), [100, 901, 902, 103])

    def opening(self, base: Any) -> tuple[Any, Hurried, Deferred[None]]:
        clock = Hurried()
        marks = [Mark(uid, True, 1) for uid in base.uids[: COUNT // 2]]
        shared = SharedMailbox(base, ANN, *[None] * 2, frozenset, str, None, lambda box: None, clock)  # type: ignore[arg-type,misc]
        return shared, clock, Deferred.fromCoroutine(shared._fill(marks))

    def test_in_slices(self) -> None:
        """Others get their turn meanwhile, again and again."""
        shared, clock, opened = self.opening(base_of(COUNT))
        turns = 0
        while not opened.called:
            clock.turn()
            turns += 1
        self.successResultOf(opened)
        self.assertGreater(turns, COUNT // 4096 + COUNT // 512 - 2)
        self.assertEqual(sum(flags & SEEN for flags in shared.flags), COUNT // 2 * SEEN)

    def test_changed_meanwhile(self) -> None:
        """A change of the owner's mailbox on the way is in the arrays; one that never rests does not keep him out."""
        for changes in (1, 1000):
            base = base_of(COUNT)
            shared, clock, opened = self.opening(base)
            turns = made = 0
            while not opened.called:
                clock.turn()
                turns += 1
                if turns % 3 == 0 and made < changes and not opened.called:
                    made += 1
                    base.uids.append(base.uids[-1] + 2)
                    base.flags.append(SEEN)
                    base.modseqs.append(7)
                    shared.arrived(len(base.uids))
            self.successResultOf(opened)
            self.assertEqual(len(shared.flags), COUNT + made)
            self.assertEqual(len(shared.modseqs), COUNT + made)
            self.assertEqual(shared.flags[-1], 0)
