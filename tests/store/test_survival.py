"""Caches, lists and processes get lost; messages, UIDs, flags and keywords do not."""

from __future__ import annotations

import os
import shutil
from typing import Any

from mailbox_appliance.mail.mailbox import SEEN
from mailbox_appliance.ports.store import FlagAction
from mailbox_appliance.store import looking, scan, uidlist
from mailbox_appliance.store.mailbox import OpenMailbox
from tests.store.kit import ANN, Shop, StoreCase, Watching, content, message

State = tuple[int, dict[int, tuple[frozenset[str], int, int]]]


def state_of(box: OpenMailbox) -> State:
    """UIDVALIDITY, and by UID: flags by name, size, date."""
    from mailbox_appliance.store.flags import flag_names

    return box.uidvalidity, {
        uid: (frozenset(flag_names(box.flags[at], box.keywords)), box.sizes[at], box.dates[at])
        for at, uid in enumerate(box.uids)
    }


class LossTests(StoreCase):
    """Promise 2 and 7."""

    def setUp(self) -> None:
        super().setUp()
        box = self.shop.open()
        for number in range(6):
            self.shop.append(f"Subject: {number}\n\n" + "x\n" * number, "\\Seen", f"k{number}", date=1e9 + number)
        self.shop.do(box.mark([2, 3], FlagAction.ADD, [f"more{n}" for n in range(30)]))
        self.shop.do(box.mark([1, 4], FlagAction.ADD, ["\\Deleted"]))
        self.shop.do(box.expunge())
        self.before = state_of(box)
        self.modseq = box.highest_modseq
        self.next = box.uidnext

    def test_the_process_is_killed(self) -> None:
        """A new process finds everything as it was, without listing."""
        self.reopen()
        box = self.shop.open()
        self.assertEqual(state_of(box), self.before)
        self.assertEqual((box.uidnext, box.highest_modseq), (self.next, self.modseq))
        self.assertEqual(self.shop.do(box.vanished_since(0)), None)

    def test_the_index_is_deleted(self) -> None:
        """Same UIDs, flags and keywords; MODSEQ is higher than ever before."""
        self.shop.lose_index()
        self.shop.clock.advance(5)
        self.reopen()
        box = self.shop.open()
        self.assertEqual(state_of(box), self.before)
        self.assertEqual(box.uidnext, self.next)
        self.assertGreater(min(box.modseqs), self.modseq)
        self.assertIsNone(self.shop.do(box.vanished_since(self.modseq)))

    def test_the_uidlist_is_deleted(self) -> None:
        """The index knows the UIDs still, and the file is written anew."""
        path = os.path.join(self.shop.root, uidlist.NAME)
        before = uidlist.read(path)
        os.unlink(path)
        self.reopen()
        self.assertEqual(state_of(self.shop.open()), self.before)
        after = uidlist.read(path)
        self.assertEqual((after.validity, after.guid, after.next), (before.validity, before.guid, before.next))

    def test_the_uidlist_is_damaged(self) -> None:
        """Half of it is gone: what the index knows fills it up."""
        path = os.path.join(self.shop.root, uidlist.NAME)
        with open(path, "rb+") as file:
            file.truncate(os.path.getsize(path) // 2)
        self.reopen()
        self.assertEqual(state_of(self.shop.open()), self.before)
        self.assertEqual(sorted(uidlist.read(path).uids.values())[-1], 6)

    def test_both_are_deleted(self) -> None:
        """Clients must begin anew, and are told so by a higher UIDVALIDITY; flags and keywords are there."""
        os.unlink(os.path.join(self.shop.root, uidlist.NAME))
        self.shop.lose_index()
        self.shop.clock.advance(5)
        self.reopen()
        box = self.shop.open()
        validity, messages = state_of(box)
        self.assertGreater(validity, self.before[0])
        self.assertEqual(list(messages), [1, 2, 3, 4])
        self.assertEqual(list(messages.values()), list(self.before[1].values()))

    def test_a_backup_is_restored(self) -> None:
        """An older Maildir under a newer index: no UID given since then comes again."""
        backup = self.shop.root + ".backup"
        shutil.copytree(self.shop.root, backup)
        self.shop.append("Subject: later\n\n")
        self.assertEqual(self.shop.append("Subject: later still\n\n"), self.next + 1)
        self.shop.stores.stop()
        shutil.rmtree(self.shop.root)
        shutil.move(backup, self.shop.root)
        self.reopen()
        box = self.shop.open()
        self.assertEqual(state_of(box)[1], self.before[1])
        self.assertEqual(self.shop.append("Subject: another\n\n"), self.next + 2)

    def test_the_index_is_lost_again_and_again_within_a_second(self) -> None:
        """What was told in this very second is below what the new one tells."""
        for _ in range(3):
            self.shop.lose_index()
            self.shop.clock.advance(0.001)
            self.reopen()
            box = self.shop.open()
            self.assertGreater(min(box.modseqs), self.modseq)
            self.shop.do(box.mark([2], FlagAction.ADD, ["\\Flagged"]))
            self.shop.do(box.mark([2], FlagAction.REMOVE, ["\\Flagged"]))
            self.modseq = box.highest_modseq

    def test_an_older_index_never_repeats_a_modseq(self) -> None:
        """A power cut may roll the index back; what changes afterwards is above what clients saw."""
        box = self.shop.open()
        self.shop.stores.stop()
        shutil.copy(self.shop.index, self.shop.index + ".old")
        self.reopen()
        box = self.shop.open()
        for _ in range(5):
            self.shop.do(box.mark([2], FlagAction.ADD, ["\\Flagged"]))
            self.shop.do(box.mark([2], FlagAction.REMOVE, ["\\Flagged"]))
        seen = box.highest_modseq
        self.shop.stores.stop()
        for tail in ("", "-wal", "-shm"):
            if os.path.exists(self.shop.index + tail):
                os.unlink(self.shop.index + tail)
        os.rename(self.shop.index + ".old", self.shop.index)
        self.shop.clock.advance(1)
        self.reopen()
        box = self.shop.open()
        self.shop.do(box.mark([3], FlagAction.ADD, ["\\Flagged"]))
        self.assertGreater(box.modseqs[1], seen)


class KilledTests(StoreCase):
    """kill -9 between any two steps: the next process makes it good."""

    def killed_at(self, name: str, module: object, call: int = 1) -> None:
        """From the ``call``-th use of ``module.name`` on, nothing is done any more."""
        real = getattr(module, name)
        count = [0]

        def dies(*args: object, **kwargs: object) -> object:
            count[0] += 1
            if count[0] >= call:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        self.patch(module, name, dies)

    def attempt(self, what: object) -> None:
        try:
            self.shop.do(what)  # type: ignore[arg-type]
        except (KeyboardInterrupt, AssertionError):
            pass

    def test_killed_while_numbering(self) -> None:
        """After the uidlist line and before the row: the UID is the one in the list, and nobody else's."""
        from mailbox_appliance.store import message_rows

        self.shop.open()
        self.shop.append("A: 1\n\n")
        self.killed_at("insert_messages", message_rows)
        self.attempt(self.shop.store.append("INBOX", [message("A: 2\n\n")]))
        self.doCleanups_patches()
        self.reopen()
        box = self.shop.open()
        self.assertEqual(list(box.uids), [1, 2])
        self.assertEqual(self.shop.append("A: 3\n\n"), 3)
        self.assertEqual(sorted(uidlist.read(os.path.join(self.shop.root, uidlist.NAME)).uids.values()), [1, 2, 3])

    def test_killed_while_marking(self) -> None:
        """Some files are renamed, the index knows nothing of it: flags are those of the names."""
        from mailbox_appliance.store import message_rows

        box = self.shop.open()
        for _ in range(3):
            self.shop.append("A: b\n\n")
        self.killed_at("update_tails", message_rows)
        self.attempt(box.mark([1, 2], FlagAction.ADD, ["\\Seen"]))
        self.doCleanups_patches()
        self.reopen()
        self.assertEqual(list(self.shop.open().flags), [SEEN, SEEN, 0])

    def test_killed_while_expunging(self) -> None:
        """Files are gone, rows are not: they go at the next look."""
        from mailbox_appliance.store import message_rows

        box = self.shop.open()
        for _ in range(3):
            self.shop.append("A: b\n\n", "\\Deleted")
        self.killed_at("remove_messages", message_rows)
        self.attempt(box.expunge([1, 2]))
        self.doCleanups_patches()
        self.reopen()
        self.assertEqual(list(self.shop.open().uids), [3])

    def test_killed_while_moving(self) -> None:
        """A moved message is in one mailbox or in both, never in none."""
        from mailbox_appliance.store import expunge

        box = self.shop.open()
        self.shop.append("A: b\n\n")
        self.killed_at("unlink_files", expunge)
        self.attempt(box.copy([1], "Trash", move=True))
        self.doCleanups_patches()
        self.reopen()
        self.assertEqual(list(self.shop.open().uids), [1])
        self.assertEqual(list(self.shop.open("Trash").uids), [1])

    def test_killed_while_rewriting_the_uidlist(self) -> None:
        """The old file stands until the new one is whole."""
        from mailbox_appliance.store import durable

        self.shop.open()
        self.shop.append("A: 1\n\n")
        path = os.path.join(self.shop.root, uidlist.NAME)
        with open(path, "rb") as file:
            before = file.read()
        for name in ("write_all", "sync_folder"):
            self.killed_at(name, durable)
            self.assertRaises(KeyboardInterrupt, uidlist.rewrite, path, 7, 8, "c" * 32, [])
            self.doCleanups_patches()
            with open(path, "rb") as file:
                octets = file.read()
            self.assertIn(octets, (before, b"3 V7 N8 G" + b"c" * 32 + b"\n"))

    def test_killed_in_the_middle_of_a_first_look(self) -> None:
        """A tree that Dovecot left, half taken in: every UID is Dovecot's."""
        root = self.shop.root
        self.shop.open()
        names = [f"17000{n:05}.x" for n in range(30)]
        for name in names:
            self.shop.drop_in(f"{name}:2,S", place="cur")
        self.shop.stores.stop()
        self.shop.lose_index()
        uidlist.rewrite(
            os.path.join(root, uidlist.NAME), 77, 900, "d" * 32, [(n * 3 + 5, name, "") for n, name in enumerate(names)]
        )
        self.patch(looking, "CHUNK", 7)
        self.reopen()
        real = looking.admit
        calls = [0]

        async def admit(box: OpenMailbox, *args: object) -> object:
            calls[0] += 1
            if calls[0] > 2:
                raise KeyboardInterrupt
            return await real(box, *args)  # type: ignore[arg-type]

        self.patch(looking, "admit", admit)
        self.attempt(self.shop.store.open("INBOX", Watching()))
        self.patch(looking, "admit", real)
        self.reopen()
        box = self.shop.open()
        self.assertEqual(list(box.uids), [n * 3 + 5 for n in range(30)])
        self.assertEqual((box.uidvalidity, box.uidnext), (77, 900))

    def test_leftovers_are_removed(self) -> None:
        """Files in tmp/ older than 36 hours go, younger ones stay."""
        self.shop.open()
        now = self.shop.clock.seconds()
        for name, hours in (("old", 40), ("young", 10)):
            path = os.path.join(self.shop.root, "tmp", name)
            open(path, "w").close()
            os.utime(path, (now - hours * 3600, now - hours * 3600))
        self.shop.clock.advance(37 * 3600)
        os.utime(os.path.join(self.shop.root, "tmp", "young"), (self.shop.clock.seconds() - 3600,) * 2)
        self.reopen()
        self.shop.open()
        self.assertEqual(os.listdir(os.path.join(self.shop.root, "tmp")), ["young"])

    def doCleanups_patches(self) -> None:
        """Undo the patches: the next process is whole."""
        self._undo()

    def patch(self, obj: object, attribute: str, value: object) -> None:
        self._patched.append((obj, attribute, getattr(obj, attribute)))
        setattr(obj, attribute, value)

    def setUp(self) -> None:
        super().setUp()
        self._patched: list[tuple[object, str, object]] = []
        self.addCleanup(self._undo)

    def _undo(self) -> None:
        while self._patched:
            setattr(*self._patched.pop())


class DeliveryTests(StoreCase):
    """Files that delivery has put down."""

    def test_delivered_into_an_open_mailbox(self) -> None:
        """Told at once, with flags and keywords."""
        watcher = Watching()
        box = self.shop.open(watcher=watcher)
        self.shop.deliver("A: b\n\n")
        self.shop.deliver("A: b\n\n", "\\Seen", "$Leak")
        self.assertEqual([told for told in watcher.take() if told[0] == "arrived"], [("arrived", 1), ("arrived", 2)])
        self.assertEqual(state_of(box)[1][2][0], {"\\Seen", "$Leak"})

    def test_delivered_into_a_closed_mailbox(self) -> None:
        """UIDs come a moment later; STATUS does not wait for that moment."""
        self.shop.deliver(name="Junk")
        self.assertEqual(self.shop.do(self.shop.store.status("Junk")).messages, 1)
        self.shop.deliver(name="Junk")
        self.shop.deliver(name="Lists.New")
        self.shop.clock.advance(1.5)
        self.assertEqual(len(uidlist.read(os.path.join(self.shop.root, ".Lists.New", uidlist.NAME)).uids), 1)
        self.assertEqual(self.shop.do(self.shop.store.status("Junk")).messages, 2)
        (info,) = [info for info in self.shop.do(self.shop.store.mailboxes()) if info.name == "Lists.New"]
        self.assertTrue(info.subscribed)

    def test_killed_before_it_has_a_uid(self) -> None:
        """The file in new/ is found by the next process."""
        self.shop.deliver()
        self.reopen()
        self.assertEqual(list(self.shop.open().uids), [1])

    def test_killed_between_our_own_changes(self) -> None:
        """A file that came while we renamed others, and whose UID the crash took, is seen at once by the next process."""
        box = self.shop.open()
        uid = self.shop.append("A: 1\n\n", "\\Seen")
        self.shop.clock.advance(5)
        self.shop.do(box.refresh())
        before = scan.mtimes(box.folder)
        self.shop.clock.advance(5)

        real = os.rename

        def rename(*args: Any, **kwargs: Any) -> None:
            real(*args, **kwargs)
            self.shop.drop_in("1.M1.meanwhile")

        self.patch(os, "rename", rename)
        self.shop.do(box.mark([uid], FlagAction.ADD, ["\\Flagged"]))
        self.patch(os, "rename", real)
        self.assertNotEqual(scan.mtimes(box.folder), before)
        self.assertTrue(scan.is_unchanged(box.row, box.folder))  # nothing tells that there is more than our own change
        killed = self.shop
        self.addCleanup(killed.stores.stop)
        self.shop = Shop(killed.folder, killed.clock, **killed.settings)
        self.assertEqual(len(self.shop.open().uids), 2)

    def test_found_by_a_look_before_it_is_announced(self) -> None:
        """One message, one UID."""
        box = self.shop.open()
        octets = content("A: b\n\n")
        place = self.shop.do(self.shop.depot.place(ANN, "INBOX", octets))
        with open(place.final, "w") as file:
            file.write("A: b\n\n")
        self.shop.do(box.refresh())
        self.assertEqual(list(box.uids), [1])
        self.shop.depot.arrived(place, octets)
        self.assertEqual(list(box.uids), [1])
        self.assertEqual(box.uidnext, 2)

    def test_seen_files_move_to_cur(self) -> None:
        """At SELECT, not at EXAMINE."""
        self.shop.deliver()
        self.shop.open(read_only=True)
        self.assertTrue(self.shop.files()[0].startswith("new/"))
        self.shop.open()
        self.assertTrue(self.shop.files()[0].startswith("cur/"))
        self.assertTrue(self.shop.files()[0].endswith(":2,"))

    def test_quota(self) -> None:
        """Reserved at place, given back when the round fails, counted when it arrives."""
        self.shop.stores.stop()
        self.shop = self.shop.reopened()
        self.shop.limit = 100
        octets = content("A: b\n\n" + "x" * 60)
        first = self.shop.do(self.shop.depot.place(ANN, "INBOX", octets))
        from mailbox_appliance.ports.store import Problem, StoreError

        error = self.assertRaises(StoreError, self.shop.do, self.shop.depot.place(ANN, "INBOX", octets))
        self.assertIs(error.problem, Problem.OVER_QUOTA)
        self.assertFalse(self.shop.do(self.shop.depot.room(ANN, 60)))
        self.shop.depot.abandoned(first, octets)
        self.assertTrue(self.shop.do(self.shop.depot.room(ANN, 60)))
        self.shop.deliver("A: b\n\n" + "x" * 60)
        self.shop.open()
        self.assertFalse(self.shop.do(self.shop.depot.room(ANN, 60)))
        quota = self.shop.do(self.shop.store.quota())
        self.assertEqual((quota.used, quota.limit, quota.messages), (66, 100, 1))
        with open(os.path.join(self.shop.root, "maildirsize")) as file:
            self.assertEqual(file.read().splitlines()[0], "100S")
