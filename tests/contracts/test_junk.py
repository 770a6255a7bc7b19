"""Port junk: what the real filter and the fake must both do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.junk.selftest import GTUBE
from mailbox_appliance.ports.junk import JunkFilter
from tests.junk.letters import ANN, BOB, Place, advertisement, content_of, letter, note
from tests.kit.fake_junk import FakeJunkFilter


class JunkContract:
    """The suite; ``filter`` is what is tested."""

    filter: JunkFilter

    def done(self: Any, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def test_gtube(self: Any) -> None:
        """The public test text is junk for everybody, and for nobody in particular."""
        for account in (ANN, None):
            judgement = self.done(self.filter.judge(account, content_of(letter("x", GTUBE.decode()))))
            self.assertTrue(judgement.is_junk)
            self.assertEqual(judgement.as_evidence().result, "junk")

    def test_a_letter(self: Any) -> None:
        """A plain letter is no junk; the judgement has tokens and a figure between 0 and 1."""
        judgement = self.done(self.filter.judge(ANN, content_of(note()), explain=True))
        self.assertFalse(judgement.is_junk)
        self.assertTrue(0.0 <= judgement.probability < 0.5)
        self.assertTrue(judgement.tokens)
        self.assertEqual(judgement.as_evidence().check, "content")

    def test_lessons_are_counted(self: Any) -> None:
        """Lessons are the account's own; the same one twice is one; forgetting tells whether there was one."""
        self.done(self.filter.learn(ANN, advertisement(1), True))
        self.done(self.filter.learn(ANN, advertisement(1).replace(b"\n", b"\r\n"), True))
        self.done(self.filter.learn(ANN, note(2), False, ("spf pass",)))
        self.assertEqual(self.done(self.filter.judge(ANN, content_of(note()))).lessons, 2)
        self.assertEqual(self.done(self.filter.judge(BOB, content_of(note()))).lessons, 0)
        self.assertFalse(self.done(self.filter.forget(BOB, advertisement(1))))
        self.assertTrue(self.done(self.filter.forget(ANN, advertisement(1))))
        self.assertFalse(self.done(self.filter.forget(ANN, advertisement(1))))

    def test_alive(self: Any) -> None:
        """The self-test passes."""
        self.assertTrue(self.done(self.filter.self_test()))


class FakeTests(JunkContract, SynchronousTestCase):
    """kit.fake_junk"""

    def setUp(self) -> None:
        self.filter = FakeJunkFilter()


class RealTests(JunkContract, SynchronousTestCase):
    """StatisticalFilter"""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.place = Place(folder)
        self.filter = self.place.filter

    def done(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        waiting = Deferred.fromCoroutine(coroutine)
        while not waiting.called:
            self.place.clock.advance(0)
        return self.successResultOf(waiting)
