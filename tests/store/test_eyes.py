"""inotify: other programs' changes are seen at once, bulk copies cost few looks, and the poll is there when it fails."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import shutil
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock
from zope.interface import implementer

from mailbox_appliance.journal.events.store import WatchesShort
from mailbox_appliance.ports.store import FlagAction
from mailbox_appliance.store import eyes
from mailbox_appliance.store.eyes import FIRST, SLOWEST, Eyes
from mailbox_appliance.store.mailbox import OpenMailbox
from mailbox_appliance.store.nearby import is_nearby
from tests.store.kit import Shop, StoreCase, Watching


@implementer(IReactorFDSet)
class FakeReactor(Clock):
    """A clock that knows readers; ``pump`` is a turn of the real one, without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        raise NotImplementedError

    removeWriter = addWriter

    def removeAll(self) -> list[Any]:
        raise NotImplementedError

    getReaders = getWriters = removeAll

    def pump(self) -> int:
        """How many reads there were."""
        reads = 0
        while ready := select.select(list(self.readers), [], [], 0)[0]:
            for reader in ready:
                reader.doRead()
                reads += 1
        return reads


class EyesCase(StoreCase):
    """A shop on a reactor with descriptors."""

    def setUp(self) -> None:
        super().setUp()
        if not is_nearby(self.folder):
            self.skipTest(f"{self.folder} is not on a file system of this machine")
        self.reactor = FakeReactor()
        self.reactor.advance(self.shop.clock.seconds())
        self.shop.stores.stop()
        self.shop = Shop(self.folder, self.reactor)
        self.shop.stores.start()
        if not self.reactor.readers:
            self.skipTest("there is no inotify here")
        self.addCleanup(self.shop.stores.stop)
        self.watcher = Watching()
        self.box = self.shop.open("INBOX", self.watcher)
        self.quiet()

    @property
    def eyes(self) -> Eyes:
        (found,) = self.reactor.readers
        assert isinstance(found, Eyes)
        return found

    def quiet(self) -> None:
        """Let everything come to rest."""
        for _ in range(30):
            self.reactor.pump()
            self.reactor.advance(1.0)
        self.watcher.take()

    def looks(self) -> list[OpenMailbox]:
        """Every look from now on."""
        looked: list[OpenMailbox] = []
        real = self.eyes._look

        def look(box: OpenMailbox) -> Deferred[None]:
            looked.append(box)
            return real(box)

        self.patch(self.eyes, "_look", look)
        return looked


class EyesTests(EyesCase):
    """What the kernel tells."""

    def test_a_delivery_is_seen_at_once(self) -> None:
        """Into new/, and into cur/ again after that."""
        self.shop.drop_in("1700000000.x")
        self.assertEqual(self.watcher.take(), [])
        self.reactor.pump()
        self.reactor.advance(FIRST)
        self.assertEqual(self.watcher.take(), [("arrived", 1)])
        self.quiet()
        self.shop.drop_in("1700000001.x:2,S", place="cur")
        self.reactor.pump()
        self.reactor.advance(FIRST)
        self.assertEqual(self.watcher.take(), [("arrived", 2)])

    def test_flags_and_expunges(self) -> None:
        """A rename and a removal by another program."""
        self.shop.drop_in("1700000000.x:2,", place="cur")
        self.quiet()
        cur = os.path.join(self.box.folder.cur, "")
        (file,) = os.listdir(cur)
        os.rename(cur + file, cur + file + "F")
        self.reactor.pump()
        self.reactor.advance(FIRST)
        self.assertEqual([told[0] for told in self.watcher.take()], ["flags"])
        self.quiet()
        os.unlink(cur + file + "F")
        self.reactor.pump()
        self.reactor.advance(FIRST)
        self.assertEqual([told[0] for told in self.watcher.take()], ["expunged"])

    def test_a_bulk_copy_costs_few_looks(self) -> None:
        """Ten a tick for ten seconds: looks come ever later, each event is one read, and nothing is missed."""
        looked = self.looks()
        reads = 0
        for number in range(1000):
            self.shop.drop_in(f"17{number:08}.x")
            reads += self.reactor.pump()
            self.reactor.advance(0.01)
        self.assertLessEqual(len(looked), 20)
        self.assertLessEqual(reads, 40)
        self.reactor.pump()
        self.reactor.advance(SLOWEST)
        self.quiet()
        self.assertEqual(len(self.box.uids), 1000)

    def test_our_own_changes_are_not_looked_for(self) -> None:
        """The kernel tells of them, too; the index knows them already, and cur/ is not listed for them."""
        from mailbox_appliance.store import scan

        listed: list[str] = []
        real = scan.listing
        self.patch(scan, "listing", lambda directory: listed.append(directory) or real(directory))  # type: ignore[func-returns-value]
        self.shop.append()
        self.shop.do(self.box.mark([1], FlagAction.ADD, ["\\Seen"]))
        self.reactor.pump()
        self.reactor.advance(FIRST)
        self.assertNotIn("cur", [os.path.basename(directory.rstrip("/")) for directory in listed])

    def test_only_while_selected(self) -> None:
        """Two watches while somebody watches, none after; a mailbox that is removed takes its own along."""
        self.assertTrue(self.eyes.sees(self.box))
        self.box.release(self.watcher)
        self.assertFalse(self.eyes.sees(self.box))
        self.assertEqual(self.eyes._watches, {})
        other = self.shop.open("Junk", self.watcher)
        self.assertTrue(self.eyes.sees(other))
        shutil.rmtree(other.folder.path)
        self.reactor.pump()
        self.reactor.advance(FIRST)
        self.assertEqual(self.watcher.take(), [("vanished",)])
        self.assertEqual((self.eyes._watches, self.eyes._sights), ({}, {}))

    def test_no_more_watches(self) -> None:
        """Beyond the bound the poll finds it."""
        self.patch(self.eyes, "_most", 2)
        other = self.shop.open("Junk", self.watcher)
        self.assertFalse(self.eyes.sees(other))
        self.shop.drop_in("1700000000.x", box=".Junk")
        self.assertEqual(self.reactor.pump(), 0)
        self.reactor.advance(1.0)
        self.assertIn(("arrived", 1), self.watcher.take())

    def test_the_kernel_has_no_more(self) -> None:
        """The owner hears it once."""

        class Exhausted:
            def inotify_add_watch(self, *arguments: object) -> int:
                ctypes.set_errno(errno.ENOSPC)
                return -1

        self.patch(self.eyes, "_libc", Exhausted())
        for name in ("Junk", "Trash"):
            self.assertFalse(self.eyes.sees(self.shop.open(name, self.watcher)))
        self.assertEqual(len(self.shop.journal.of(WatchesShort)), 1)

    def test_the_poll_sees_what_was_missed(self) -> None:
        """Even of a mailbox that is watched, now and then."""
        self.shop.drop_in("1700000000.x")
        for _ in range(10):
            self.reactor.advance(1.0)  # and nobody reads the events
        self.assertEqual(self.watcher.take(), [("arrived", 1)])

    def test_closed(self) -> None:
        """Nothing is left open."""
        before = self.eyes
        self.shop.stores.stop()
        self.assertEqual((self.reactor.readers, before._fd), (set(), -1))
        before.watch(self.box)
        self.assertFalse(before.sees(self.box))

    def test_overflow(self) -> None:
        """When the kernel has lost events every watched mailbox is looked at."""
        looked = self.looks()
        octets = eyes._HEAD.pack(-1, eyes._OVERFLOW, 0, 0)
        self.patch(eyes.os, "read", lambda fd, size: octets)
        self.eyes.doRead()
        self.reactor.advance(FIRST)
        self.assertEqual(looked, [self.box])
