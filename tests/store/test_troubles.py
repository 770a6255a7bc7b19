"""What the owner must hear of: damaged index, full disk, foreign locks; and what sessions hear then."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable
from typing import Any

from mailbox_appliance.journal.events.store import (
    IndexDamaged,
    MailboxScanned,
    StoreFull,
    StoreLocked,
    StoreNotWritable,
)
from mailbox_appliance.ports.rounds import Commit, DiskTrouble
from mailbox_appliance.ports.store import Column, FlagAction, Problem, StoreError
from mailbox_appliance.store import dotlock, uidlist
from tests.store.kit import StoreCase, Watching, message


class TroubleTests(StoreCase):
    """Each trouble has a problem for the session and an event for the owner."""

    def fails(self, problem: Problem, what: object) -> str:
        error = self.assertRaises(StoreError, self.shop.do, what)
        self.assertIs(error.problem, problem)
        return str(error)

    def test_index_is_rubbish(self) -> None:
        """It is put aside and made anew, with the same UIDs and flags."""
        self.shop.open()
        self.shop.append("A: b\n\n", "\\Seen", "$Work")
        self.shop.stores.stop()
        for tail in ("-wal", "-shm"):
            if os.path.exists(self.shop.index + tail):
                os.unlink(self.shop.index + tail)
        with open(self.shop.index, "wb") as file:
            file.write(b"this is no database, whatever it says " * 100)
        self.reopen()
        box = self.shop.open()
        self.assertEqual((list(box.uids), list(box.keywords)), ([1], ["$Work"]))
        (event,) = self.shop.journal.of(IndexDamaged)
        self.assertTrue(os.path.exists(event.kept_as))

    def test_a_row_of_the_index_is_rubbish(self) -> None:
        """Octets that are no text, text that is no list: the index is set aside and built anew, the UIDs stay."""
        uid = self.shop.append()
        for rubbish in ("CAST(x'5b31ff' AS TEXT)", "'[1,'", "'{}'", "'[1, 2]'", "7"):
            for column in ("known", "keywords"):
                if (column, rubbish) == ("keywords", "'{}'") or (column, rubbish) == ("keywords", "'[1, 2]'"):
                    continue
                self.shop.stores.stop()
                with contextlib.closing(sqlite3.connect(self.shop.index, isolation_level=None)) as connection:
                    connection.execute(f"UPDATE mailbox SET {column} = {rubbish}")
                self.shop = self.shop.reopened()
                for _ in range(3):
                    with contextlib.suppress(StoreError):
                        self.assertEqual(list(self.shop.open().uids), [uid], (column, rubbish))
                        break
                else:
                    self.fail(f"{column} {rubbish}")

    def test_index_is_damaged_while_open(self) -> None:
        """Sessions are told to select again, and can."""
        watcher = Watching()
        box = self.shop.open(watcher=watcher)
        self.shop.append("A: b\n\n", "\\Seen")

        def damage(connection: sqlite3.Connection) -> None:
            connection.execute("DROP TABLE message")

        self.shop.do(self.shop.store.ground.run(damage))
        self.fails(Problem.BUSY, box.mark([1], FlagAction.ADD, ["\\Flagged"]))
        self.assertEqual(watcher.take()[-1], ("vanished",))
        self.assertEqual(list(self.shop.open().uids), [1])
        self.assertEqual(len(self.shop.journal.of(IndexDamaged)), 1)

    def test_disk_full_at_append(self) -> None:
        """Nothing is left of the message, the next one goes in."""
        box = self.shop.open()
        self.shop.rounds.trouble = DiskTrouble("no space", full=True)
        self.fails(Problem.DISK, self.shop.store.append("INBOX", [message()]))
        self.assertEqual(len(self.shop.journal.of(StoreFull)), 1)
        self.shop.rounds.trouble = None
        self.shop.append()
        self.assertEqual(list(box.uids), [1])
        self.assertTrue(self.shop.do(self.shop.store.ground.room.fits(10)))

    def test_disk_full_while_numbering(self) -> None:
        """An APPEND that cannot get its UID leaves nothing; a delivered message waits in new/ and gets it later."""
        box = self.shop.open()
        real = uidlist.append

        def full(*args: object) -> uidlist.Signature:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(uidlist, "append", full)
        self.fails(Problem.DISK, self.shop.store.append("INBOX", [message()]))
        self.assertEqual(self.shop.files(), [])
        self.shop.deliver()
        self.assertEqual(list(box.uids), [])
        self.patch(uidlist, "append", real)
        self.shop.clock.advance(2)
        self.assertEqual(list(box.uids), [1])

    def test_disk_full_in_the_middle_of_a_copy(self) -> None:
        """All or nothing: no message is left in the target."""
        box = self.shop.open()
        for _ in range(3):
            self.shop.append()
        real, calls = os.link, [0]

        def link(*args: object, **kwargs: object) -> None:
            calls[0] += 1
            if calls[0] == 3:
                raise OSError(errno.EDQUOT, "Disk quota exceeded")
            real(*args, **kwargs)  # type: ignore[arg-type]

        self.patch(os, "link", link)
        self.fails(Problem.DISK, box.copy([1, 2, 3], "Trash"))
        self.assertEqual(self.shop.files(".Trash"), [])
        self.assertEqual(self.shop.do(self.shop.store.status("Trash")).messages, 0)
        self.assertEqual(len(self.shop.files()), 3)

    def test_across_file_systems(self) -> None:
        """Where no link is possible a synced copy is made."""
        box = self.shop.open()
        self.shop.append("A: b\n\nbody\n", "\\Seen", date=1e9)

        real = os.link

        def link(old: str, new: str, **kwargs: Any) -> None:
            if not new.endswith(".lock"):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            real(old, new, **kwargs)

        self.patch(os, "link", link)
        self.shop.do(box.copy([1], "Trash"))
        trash = self.shop.open("Trash")
        self.assertEqual((list(trash.dates), list(trash.sizes)), ([10**9], [len("A: b\r\n\r\nbody\r\n")]))
        path = os.path.join(self.shop.root, ".Trash", self.shop.files(".Trash")[0])
        self.assertEqual(int(os.stat(path).st_mtime), 10**9)

    def test_a_directory_cannot_be_written(self) -> None:
        """STORE says NO, the owner hears which folder; what was done is told."""
        box = self.shop.open()
        self.shop.append()
        self.shop.append()
        real, calls = os.rename, [0]

        def rename(*args: object, **kwargs: object) -> None:
            calls[0] += 1
            if calls[0] == 2:
                raise OSError(errno.EACCES, "Permission denied")
            real(*args, **kwargs)  # type: ignore[arg-type]

        self.patch(os, "rename", rename)
        self.fails(Problem.DISK, box.mark([1, 2], FlagAction.ADD, ["\\Seen"]))
        self.assertEqual(len(self.shop.journal.of(StoreNotWritable)), 1)
        self.assertEqual(list(box.flags), [1, 0])

    def test_another_program_keeps_the_lock(self) -> None:
        """The session hears BUSY, the owner which lock it is."""
        self.shop.open()
        self.patch(dotlock, "PATIENCE", 0.0)
        path = os.path.join(self.shop.root, uidlist.NAME) + ".lock"
        with open(path, "w") as file:
            file.write("1:elsewhere")
        real = dotlock.dotlock

        def impatient(path: str, **_: object) -> object:
            return real(path, patience=0.0)

        from mailbox_appliance.store import admission

        self.patch(admission, "dotlock", impatient)
        self.fails(Problem.BUSY, self.shop.store.append("INBOX", [message()]))
        (event,) = self.shop.journal.of(StoreLocked)
        self.assertIn(path, event.private)

    def test_a_watcher_that_fails(self) -> None:
        """One session's fault is not another's."""

        class Broken(Watching):
            def arrived(self, count: int) -> None:
                raise ValueError("broken session")

        self.shop.open(watcher=Broken())
        good = Watching()
        self.shop.open(watcher=good)
        self.shop.append()
        self.assertEqual(good.take(), [("arrived", 1)])
        self.assertEqual(len(self.shop.journal.failures), 1)
        self.shop.journal.failures.clear()

    def test_a_caller_who_goes_away(self) -> None:
        """Cancelling the wait does not stop the work in its middle."""
        from twisted.internet.defer import CancelledError, Deferred

        box = self.shop.open()
        self.shop.append()
        waiting: Deferred[None] = Deferred()
        real = self.shop.workers.run

        def run(door: str, job: Callable[..., Any], *args: Any) -> Deferred[Any]:
            return waiting.addCallback(lambda _: real(door, job, *args))

        self.patch(self.shop.workers, "run", run)
        marking = box.mark([1], FlagAction.ADD, ["\\Seen"])
        marking.cancel()  # type: ignore[attr-defined]
        self.failureResultOf(marking, CancelledError)
        waiting.callback(None)
        self.assertEqual(list(box.flags), [1])
        self.patch(self.shop.workers, "run", real)
        self.shop.do(box.mark([1], FlagAction.ADD, ["\\Flagged"]))


class RaceTests(StoreCase):
    """Sessions that do all they can to one message at once."""

    def test_expunged_before_its_uid_was_told(self) -> None:
        """A look numbers a file of ours before we do, somebody expunges it: the APPEND was done all the same."""
        box = self.shop.open()
        self.shop.append("Subject: first\n\n")
        usage = self.shop.do(self.shop.store.quota()).used
        commit = self.shop.rounds.commit

        async def and_they_are_quicker(job: Commit) -> None:
            await commit(job)
            await box.refresh_locked(thorough=True)
            await box.mark([2], FlagAction.ADD, ["\\Deleted"])
            await box.expunge([2])

        self.patch(self.shop.rounds, "commit", and_they_are_quicker)
        self.assertEqual(self.shop.append("Subject: second\n\n"), 2)
        self.assertEqual(list(box.uids), [1])
        self.assertEqual(self.shop.do(self.shop.store.quota()).used, usage)

    def test_what_was_given_is_forgotten(self) -> None:
        """Numbers are remembered only while somebody brings messages."""
        box = self.shop.open()
        self.shop.append()
        self.shop.drop_in("1.foreign")
        self.shop.do(box.refresh())
        self.assertEqual(box._arrivals._numbered, {})


class RestTests(StoreCase):
    """What is not used is let go."""

    def test_mailboxes_rest_and_close(self) -> None:
        """After the last session has left, and some minutes; then the index is closed."""
        self.shop.stores.start()
        watcher = Watching()
        box = self.shop.open(watcher=watcher)
        store = self.shop.store
        box.release(watcher)
        self.shop.clock.advance(200)
        self.assertIs(self.shop.open(watcher=watcher), box)
        box.release(watcher)
        for _ in range(4):
            self.shop.clock.advance(200)
        self.assertEqual(store.boxes, {})
        self.assertIsNot(self.shop.open(watcher=watcher), box)

    def test_too_many_rest(self) -> None:
        """The longest resting goes first."""
        self.reopen(most_resting=2)
        self.shop.stores.start()
        for name in ("Sent", "Drafts", "Trash", "Junk"):
            watcher = Watching()
            self.shop.open(name, watcher).release(watcher)
        self.shop.clock.advance(1)
        self.assertEqual(set(self.shop.store.boxes), {"Trash", "Junk"})

    def test_stop_leaves_no_timer(self) -> None:
        """Nothing runs after stop."""
        self.shop.stores.start()
        self.shop.open()
        self.shop.deliver(name="Junk")
        self.shop.stores.stop()
        self.assertEqual(self.shop.clock.getDelayedCalls(), [])


class PrerenderTests(StoreCase):
    """What is asked of every message is there before anybody asks."""

    def test_made_when_idle(self) -> None:
        """After delivery, without a read at FETCH."""
        self.reopen(prerender=True)
        box = self.shop.open()
        self.shop.deliver("Subject: hello\n\nworld\n")
        for _ in range(20):
            self.shop.clock.advance(0.3)
        from mailbox_appliance.store import rendering

        def no_reading(*args: object) -> object:
            raise AssertionError("the file was read")

        self.patch(rendering, "read_files", no_reading)
        rows = self.shop.collect(box.rows([1], [Column.ENVELOPE, Column.BODYSTRUCTURE]))
        self.assertIn(b'"hello"', rows[0][1][0])

    def test_a_copy_looks_like_its_source(self) -> None:
        """COPY takes the rendered octets along."""
        box = self.shop.open()
        self.shop.append("Subject: hello\n\nworld\n")
        before = self.shop.collect(box.rows([1], [Column.ENVELOPE]))
        self.shop.do(box.copy([1], "Trash"))
        from mailbox_appliance.store import rendering

        self.patch(rendering, "read_files", None)
        after = self.shop.collect(self.shop.open("Trash").rows([1], [Column.ENVELOPE]))
        self.assertEqual([list(row) for _, row in before], [list(row) for _, row in after])

    def test_headers_longer_than_the_first_read(self) -> None:
        """A field behind 16 KiB of others is found."""
        box = self.shop.open()
        self.shop.append("X-Long: " + "y" * 20_000 + "\nSubject: far\n\nbody\n")
        from mailbox_appliance.mail import search as keys
        from mailbox_appliance.ports.store import Fields

        rows = self.shop.collect(box.rows([1], [Fields(("subject",))]))
        self.assertEqual(rows[0][1][0], b"Subject: far\r\n\r\n")
        for key in (keys.InHeader("subject", "far"), keys.InHeader("x-long", "yyy")):
            self.assertEqual(list(self.shop.do(box.search(key, [1], 1))), [1])

    def test_a_look_is_told_once(self) -> None:
        """One event for a batch of foreign mail."""
        for number in range(20):
            self.shop.store  # noqa: B018 - made
            self.shop.drop_in(f"17000000{number:02}.x", place="cur")
        self.shop.open()
        (event,) = self.shop.journal.of(MailboxScanned)
        self.assertEqual(event.arrived, 20)
