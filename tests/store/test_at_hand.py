"""What is in memory is read in the reactor, and nothing else is."""

from __future__ import annotations

import errno
import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.ports.store import Column, MessageFile
from mailbox_appliance.store import at_hand
from mailbox_appliance.store.at_hand import MOST_OCTETS, REST, SLOW, Files, Patience
from tests.store.kit import ANN, StoreCase, settle


class FilesTests(SynchronousTestCase):
    """Files by name and size."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.files = Files()

    def write(self, octets: bytes) -> None:
        with open(self.path, "wb") as file:
            file.write(octets)

    def test_read(self) -> None:
        """All of it, where the kernel knows how; else nothing."""
        self.write(b"line\n" * 100)
        self.assertIn(self.files.read(self.path, 500), (b"line\n" * 100, None))

    def test_another_size(self) -> None:
        """A file that has grown or shrunk is not what was asked for."""
        self.write(b"line\n")
        self.assertIsNone(self.files.read(self.path, 4))
        self.assertIsNone(self.files.read(self.path, 6))

    def test_gone(self) -> None:
        """A worker may find it elsewhere; and others are read as before."""
        self.assertIsNone(self.files.read(self.path, 5))
        self.write(b"line\n")
        self.assertIn(self.files.read(self.path, 5), (b"line\n", None))

    def test_too_large(self) -> None:
        """A large one is not worth the reactor's time."""
        self.write(b"x" * (MOST_OCTETS + 1))
        self.assertIsNone(self.files.read(self.path, MOST_OCTETS + 1))

    def test_kernels(self) -> None:
        """One that cannot tell what is in memory is not asked again, nor is a file system."""
        asked: list[bytes] = []

        def refuse(path: bytes) -> int:
            asked.append(path)
            raise OSError(errno.ENOSYS, "openat2")

        self.files._call = refuse
        for _ in range(3):
            self.assertIsNone(self.files.read("x", 5))
        self.assertEqual(len(asked), 1)
        self.files._call = lambda path: os.open(self.path, os.O_RDONLY)
        self.write(b"line\n")

        def unknown(*arguments: object) -> int:
            raise OSError(errno.EOPNOTSUPP, "preadv2")

        self.patch(os, "preadv", unknown)
        self.assertIsNone(self.files.read(self.path, 5))
        self.assertIs(self.files._call, at_hand._never)


class PatienceTests(SynchronousTestCase):
    """A disk that lets the reactor wait is left alone."""

    def look(self, seconds: float, blocks: int) -> bool:
        clock = self.clock = Clock()
        clock.advance(1000)
        self.patience = Patience(clock)
        read = [0]
        self.patch(at_hand, "blocks_read", lambda: read[0])
        with self.patience:
            clock.advance(seconds)
            read[0] += blocks
        return bool(self.patience)

    def test_quick(self) -> None:
        """A quick disk may be asked, and a busy processor is no slow disk."""
        self.assertTrue(self.look(SLOW / 2, 8))
        self.assertTrue(self.look(1.0, 0))

    def test_slow(self) -> None:
        """One wait, then none for a while; a clock that was set back makes no eternity of it."""
        self.assertFalse(self.look(SLOW * 2, 8))
        self.clock.advance(REST - 0.1)
        self.assertFalse(self.patience)
        self.clock.advance(0.2)
        self.assertTrue(self.patience)
        self.assertFalse(self.look(SLOW * 2, 8))
        self.clock.rightNow -= 500
        self.assertTrue(self.patience)


class StoreTests(StoreCase):
    """One message, asked of an open mailbox on a disk of this machine."""

    def setUp(self) -> None:
        super().setUp()
        self.shop.do(self.shop.stores.of(ANN))
        for number in range(3):
            self.shop.append(f"Subject: {number}\n\nworld\n")
        self.box = self.shop.open()
        self.account = self.box.account
        self.account.is_nearby = True

    def text_of(self, uid: int) -> bytes:
        files: list[MessageFile] = self.shop.collect(self.box.files([uid]))
        return b"".join([settle(self.shop.clock, file.read(0, file.size)) for file in files])

    def test_message(self) -> None:
        """The same octets, with a worker and without."""
        if self.account.at_hand.read(os.path.join(self.shop.root, self.shop.files()[0]), 18) is None:
            self.text_of(1)  # this kernel cannot tell: workers read
        self.shop.workers.doors.clear()
        near = self.text_of(2)
        self.account.is_nearby = False
        self.assertEqual(near, self.text_of(2))
        self.assertEqual(near, b"Subject: 1\r\n\r\nworld\r\n")

    def test_row(self) -> None:
        """What is rendered already needs no worker."""
        first = self.shop.collect(self.box.rows([1, 2], [Column.ENVELOPE]))
        self.shop.workers.doors.clear()
        again = self.shop.collect(self.box.rows([1, 2], [Column.ENVELOPE]))
        self.assertEqual([(uid, list(row)) for uid, row in again], [(uid, list(row)) for uid, row in first])
        self.assertEqual(self.shop.workers.doors, [])

    def test_in_use(self) -> None:
        """While a worker has the index, a worker is asked."""
        self.shop.collect(self.box.rows([1], [Column.ENVELOPE]))
        seen: list[object] = []
        self.account.index.now(lambda connection: seen.append(self.account.glance(lambda other: 1)))
        self.assertEqual(seen, [None])
        self.assertEqual(self.account.glance(lambda connection: 1), 1)

    def test_moved(self) -> None:
        """A file that another program has renamed is found by a worker."""
        name = self.shop.files()[0]
        os.rename(os.path.join(self.shop.root, name), os.path.join(self.shop.root, name.partition(":")[0] + ":2,FS"))
        self.assertEqual(self.text_of(1), b"Subject: 0\r\n\r\nworld\r\n")

    def test_gone(self) -> None:
        """A message that is gone is left out."""
        os.unlink(os.path.join(self.shop.root, self.shop.files()[0]))
        self.assertEqual(self.text_of(1), b"")

    def test_impatient(self) -> None:
        """Where the disk was slow, workers wait for it."""
        self.account.patience._rests_until = self.shop.clock.seconds() + 1
        self.assertIsNone(self.account.glance(lambda connection: 1))
