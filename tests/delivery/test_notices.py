"""Letters from the house, and the look at the disk's free space."""

from __future__ import annotations

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.delivery.space import Space
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.workers import Busy
from tests.kit.post_office import HOST, PostOffice, now


class NoticesTests(SynchronousTestCase):
    """A notice is mail like any other."""

    def setUp(self) -> None:
        self.office = PostOffice(self.mktemp())
        self.addCleanup(self.office.close)
        self.notices = Notices(self.office.door, self.office.directory, self.office.clock, HOST)

    def test_owner(self) -> None:
        """The owner finds it in the mailbox, from the postmaster, with the null reverse path."""
        self.assertEqual(now(self.notices.tell_owners("The disk is nearly full", "Remove something.\n")), 1)
        (octets,) = self.office.depot.files("ann@example.org")
        self.assertTrue(octets.startswith(b"Return-Path: <>\nDate: "))
        self.assertIn(b"\nFrom: Postmaster <postmaster@example.org>\nTo: ann@example.org\n", octets)
        self.assertIn(b"\nAuto-Submitted: auto-generated\n", octets)

    def test_not_taken(self) -> None:
        """Somebody who cannot take it is no exception."""
        self.assertFalse(now(self.notices.send(Address.parse("nobody@example.org"), "Hello", "text")))


class SlowWorkers:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Deferred[int]] = []

    def run(self, door, job, *args):  # type: ignore[no-untyped-def]
        self.asked.append(Deferred())
        return self.asked[-1]


class SpaceTests(SynchronousTestCase):
    """Asked often, looked up seldom, never in the way."""

    def test_space(self) -> None:
        """The first asker waits; later ones are answered from memory while a new look is under way."""
        workers, clock = SlowWorkers(), Clock()
        space = Space(workers, clock, "/", reserve=100, every=2.0)
        first = ensureDeferred(space.has_room(50))
        self.assertNoResult(first)
        workers.asked[0].callback(1000)
        self.assertTrue(self.successResultOf(first))
        self.assertFalse(now(space.has_room(901)))
        self.assertTrue(now(space.has_room(900)))
        clock.advance(3)
        self.assertTrue(now(space.has_room(900)), "the old answer, at once")
        self.assertEqual(len(workers.asked), 2)
        workers.asked[1].callback(100)
        self.assertFalse(now(space.has_room(1)))
        clock.advance(3)
        self.assertFalse(now(space.has_room(1)))
        workers.asked[2].errback(Busy("too much"))
        self.assertTrue(now(space.has_room(1 << 50)), "nobody knows: writing will tell")
