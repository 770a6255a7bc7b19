"""What nobody waits for waits for everybody: numbering in batches, sizes and octets made beforehand."""

from __future__ import annotations

import os
import tempfile

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.ports.store import UNKNOWN_SIZE, Column, StoreError
from mailbox_appliance.store import admission
from mailbox_appliance.store.changes import Newcomer
from mailbox_appliance.store.nearby import is_nearby
from mailbox_appliance.store.pulse import PATIENCE, QUIET, Pulse
from tests.store.kit import ANN, StoreCase, Watching, settle

TEXT = "Subject: foreign\n\nmail\n"


class ArrivalTests(StoreCase):
    """Deliveries into a mailbox that rests in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.watcher = Watching()
        self.box = self.shop.open(watcher=self.watcher)
        self.box.release(self.watcher)

    def test_gathered(self) -> None:
        """Nobody watches: they are numbered together after a while, in one transaction."""
        for _ in range(5):
            self.shop.deliver()
        self.assertEqual(list(self.box.uids), [])
        self.assertTrue(self.box.has_waiting)
        self.shop.clock.advance(1.0)
        self.assertEqual(list(self.box.uids), [1, 2, 3, 4, 5])
        self.assertFalse(self.box.has_waiting)

    def test_many_do_not_wait(self) -> None:
        """A flood is numbered in bounded batches."""
        for _ in range(200):
            self.shop.deliver()
        self.assertEqual(len(self.box.uids), 200)

    def test_whoever_looks_sees_them(self) -> None:
        """STATUS, SELECT and a refresh number what waits first, and count it once."""
        self.shop.deliver()
        self.assertEqual(self.shop.do(self.shop.store.status("INBOX")).messages, 1)
        self.shop.deliver()
        again = self.shop.open()
        self.assertEqual(list(again.uids), [1, 2])
        self.shop.deliver()
        self.assertEqual(list(self.box.uids), [1, 2, 3])
        self.assertEqual(len(self.shop.files()), 3)

    def test_appended_meanwhile(self) -> None:
        """An APPEND waits for nobody, and takes the others along."""
        self.shop.deliver()
        self.assertEqual(self.shop.append(), 2)

    def test_killed_while_they_wait(self) -> None:
        """They lie in new/: the next life finds them."""
        self.shop.deliver()
        self.reopen()
        self.assertEqual(list(self.shop.open().uids), [1])

    def test_closed_meanwhile(self) -> None:
        """Whoever waits for a UID of a mailbox that was closed hears of it."""
        self.box.die("over")
        (waiter,) = self.box.enqueue_all([Newcomer(True, "1.a")])
        self.failureResultOf(waiter, StoreError)


class SizeTests(StoreCase):
    """Sizes that names do not tell."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(admission, "FEW", 2)
        self.shop.do(self.shop.stores.of(ANN))
        for number in range(5):
            self.shop.drop_in(f"1700000{number}.a{number}.x", TEXT + "\n" * number, place="cur")
        self.box = self.shop.open()

    def test_not_read_before_somebody_asks(self) -> None:
        """A large foreign tree is opened without reading its files."""
        self.assertEqual(list(self.box.sizes), [UNKNOWN_SIZE] * 5)
        self.assertFalse(self.box.is_measured)
        self.shop.do(self.box.measure([2]))
        self.assertEqual(self.box.sizes[1], len(TEXT) + 3 + 2)
        self.assertEqual(self.box.sizes.count(UNKNOWN_SIZE), 4)

    def test_everything_that_needs_sizes(self) -> None:
        """STATUS, FETCH, COPY and a new life know them."""
        rows = self.shop.collect(self.box.rows([1], [Column.SIZE]))
        self.assertEqual(rows, [(1, [b"%d" % (len(TEXT) + 3)])])
        self.shop.do(self.box.copy([3], "Archive"))
        self.assertIn(",W=", self.shop.files(".Archive")[0])
        status = self.shop.do(self.shop.store.status("INBOX"))
        self.assertEqual(status.size, sum(len(TEXT) + 3 + 2 * number for number in range(5)))
        self.assertTrue(self.box.is_measured)
        self.reopen()
        self.assertEqual(self.shop.do(self.shop.store.status("INBOX")).size, status.size)
        self.assertTrue(self.shop.open().is_measured)

    def test_status_of_a_closed_mailbox(self) -> None:
        """Sizes that are still unknown are counted for it."""
        self.reopen()
        status = self.shop.do(self.shop.store.status("INBOX"))
        self.assertEqual(status.size, sum(len(TEXT) + 3 + 2 * number for number in range(5)))

    def test_status_without_sizes(self) -> None:
        """Who does not ask for the size waits for none, and gets no wrong one later."""
        for shop in (self.shop, self.reopen()):
            self.assertEqual(shop.do(shop.store.status("INBOX", sized=False)).messages, 5)
        self.box = self.shop.open()
        self.assertFalse(self.box.is_measured)
        status = self.shop.do(self.shop.store.status("INBOX"))
        self.assertEqual(status.size, sum(len(TEXT) + 3 + 2 * number for number in range(5)))

    def test_renamed_meanwhile(self) -> None:
        """A file that another program has given flags is found again; one that is gone is left out."""
        names = self.shop.files()
        os.rename(os.path.join(self.shop.root, names[0]), os.path.join(self.shop.root, names[0] + ":2,S"))
        os.unlink(os.path.join(self.shop.root, names[1]))
        self.shop.do(self.box.measure(list(self.box.uids)))
        self.assertTrue(self.box.is_measured)
        self.assertEqual(list(self.box.uids), [1, 3, 4, 5])

    def test_made_when_calm(self) -> None:
        """Sizes, then octets, are made beforehand as soon as nobody wants anything."""
        self.reopen(prerender=True)
        self.box = self.shop.open()
        self.shop.clock.pump([0.1] * 30)
        self.assertTrue(self.box.is_measured)
        self.assertFalse(self.box.wants_rendering)
        table = self.box.account.kinds["bodystructure"]
        number = self.box.number
        (held,) = self.shop.store.ground.index.now(
            lambda connection: connection.execute(
                f"SELECT count(*) FROM rendered_{table} WHERE id >> 32 = ?", (number,)
            ).fetchone()
        )
        self.assertEqual(held, 5)

    def test_nothing_after_the_end(self) -> None:
        """A closed account's index is not opened again by what was to be made later, whenever the end comes."""
        asked: list[object] = []
        for seconds in (0.0, 0.3, 0.6, 1.0):
            self.reopen(prerender=True)
            self.box = self.shop.open()
            self.shop.clock.advance(seconds)
            store = self.shop.store
            store.stop()
            self.patch(store.ground.index, "run", lambda work, reading=False: asked.append(work))
            self.shop.clock.pump([0.1] * 60)
            self.assertEqual(asked, [], seconds)

    def test_not_made_while_somebody_is_at_work(self) -> None:
        """Somebody always is: hardly anything is made, but something is."""
        self.reopen(prerender=True)
        self.box = self.shop.open()
        for _ in range(40):
            self.shop.stores.pulse.touch()
            self.shop.clock.advance(0.1)
        self.assertFalse(self.box.is_measured)
        for _ in range(80):
            self.shop.stores.pulse.touch()
            self.shop.clock.advance(0.1)
        self.assertTrue(self.box.is_measured)


class PulseTests(SynchronousTestCase):
    """Who is at work?"""

    def test_calm(self) -> None:
        """Calm comes a while after the last one has ended, or never within PATIENCE."""
        clock = Clock()
        clock.advance(1000)
        pulse = Pulse(clock)
        self.assertTrue(pulse.is_calm)
        with pulse:
            clock.advance(10)
            self.assertFalse(pulse.is_calm)
        self.assertFalse(pulse.is_calm)
        clock.advance(2 * QUIET)
        self.assertTrue(settle(clock, pulse.calm()))
        answers: list[bool] = []

        async def wait() -> None:
            answers.append(await pulse.calm())

        with pulse:
            ensureDeferred(wait())
            clock.pump([QUIET] * int(PATIENCE / QUIET + 2))
        self.assertEqual(answers, [False])


class NearbyTests(SynchronousTestCase):
    """Which file systems are of this machine."""

    def test_mounts(self) -> None:
        """The deepest mount point counts; what is unknown is taken for far."""
        with tempfile.NamedTemporaryFile("w", suffix=".mounts", encoding="utf-8") as file:
            file.write(
                "/dev/a / ext4 rw 0 0\nnas:/x /srv/mail nfs4 rw 0 0\n/dev/b /srv/mail/here\\040too xfs rw 0 0\nbroken\n"
                "nas:/y /büro nfs4 rw 0 0\n"
            )
            file.flush()
            self.assertTrue(is_nearby("/srv", file.name))
            self.assertTrue(is_nearby("/srv/mailbox", file.name))
            self.assertFalse(is_nearby("/srv/mail", file.name))
            self.assertFalse(is_nearby("/srv/mail/x", file.name))
            self.assertTrue(is_nearby("/srv/mail/here too/x", file.name))
            self.assertFalse(is_nearby("/büro/mail", file.name))
            self.assertFalse(is_nearby("/srv", file.name + ".gone"))
