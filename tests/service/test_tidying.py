"""Memory of what has ended goes back while the service runs."""

from __future__ import annotations

import weakref
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance import process
from mailbox_appliance.assembly.tidying import EVERY, Tidying


class _Ring:
    """Holds itself."""

    def __init__(self) -> None:
        self.me = self


class TidyingTests(SynchronousTestCase):
    """Once a minute, until the stop."""

    def test_each_minute(self) -> None:
        """A dead ring has gone after a minute, another one after the next; after the stop no timer is left."""
        clock = Clock()
        part = Tidying(clock)
        self.successResultOf(Deferred.fromCoroutine(part.start()))
        for _ in range(2):
            dead = weakref.ref(_Ring())
            clock.advance(EVERY)
            self.assertIsNone(dead())
        self.successResultOf(Deferred.fromCoroutine(part.stop()))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_another_library(self) -> None:
        """A C library without malloc_trim is no trouble."""
        with mock.patch.object(process.ctypes, "CDLL", return_value=object()):
            process.tidy()
