"""Other programs work in the same Maildir: mutt, rsync, procmail, Dovecot."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest import mock

from mailbox_appliance.journal.events.store import KeywordsRestored
from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT, FLAGGED, SEEN
from mailbox_appliance.ports.store import FlagAction, Problem, StoreError
from mailbox_appliance.store import keywords, uidlist
from mailbox_appliance.store.flags import flag_names
from mailbox_appliance.store.paths import Folder
from tests.store.kit import StoreCase, Watching

APPEND = uidlist.append


class ForeignChangeTests(StoreCase):
    """What others do to files is seen by those who watch."""

    def setUp(self) -> None:
        super().setUp()
        self.watcher = Watching()
        self.box = self.shop.open(watcher=self.watcher)

    def cur(self, name: str) -> str:
        return os.path.join(self.shop.root, "cur", name)

    def only_file(self) -> str:
        (path,) = self.shop.files()
        return path

    def refresh(self) -> None:
        self.shop.do(self.box.refresh())

    def test_a_new_file_gets_a_uid(self) -> None:
        """In new/ or cur/, with or without flags and sizes in the name."""
        self.shop.drop_in("1700000001.a.host")
        self.refresh()
        self.shop.drop_in("1700000000.b.host:2,FS", place="cur")
        self.refresh()
        self.assertEqual(self.watcher.take(), [("arrived", 1), ("arrived", 2)])
        self.assertEqual(list(self.box.flags), [0, FLAGGED | SEEN])
        self.assertEqual(list(self.box.sizes), [len("Subject: foreign\r\n\r\nmail\r\n")] * 2)
        listed = uidlist.read(os.path.join(self.shop.root, uidlist.NAME))
        self.assertEqual(listed.uids, {"1700000001.a.host": 1, "1700000000.b.host": 2})

    def test_a_newcomer_that_could_not_be_numbered(self) -> None:
        """The disk was full just then: the next look finds it, though nothing has changed in the directories since."""
        self.shop.drop_in("1700000001.a.host")
        for place in ("new", "cur"):
            os.utime(os.path.join(self.shop.root, place), (1_700_000_000, 1_700_000_000.5))  # not young any more
        full = OSError(errno.ENOSPC, "No space left on device")
        self.patch(uidlist, "append", mock.Mock(side_effect=full))
        with self.assertRaises(StoreError) as caught:
            self.refresh()
        self.assertIs(caught.exception.problem, Problem.DISK)
        self.assertEqual(list(self.box.uids), [])
        self.patch(uidlist, "append", APPEND)
        self.refresh()
        self.assertEqual(list(self.box.uids), [1])

    def test_newcomers_are_numbered_in_order_of_time(self) -> None:
        """By the seconds in their names."""
        for name in ("1700000009.c", "1700000001.a", "1700000005.b"):
            self.shop.drop_in(name)
        self.refresh()
        listed = uidlist.read(os.path.join(self.shop.root, uidlist.NAME))
        self.assertEqual(listed.uids, {"1700000001.a": 1, "1700000005.b": 2, "1700000009.c": 3})

    def test_a_renamed_file_has_other_flags(self) -> None:
        """Keywords too; the UID stays."""
        self.shop.append("A: b\n\n", "$Work")
        self.shop.append("A: b\n\n")
        path = os.path.join(self.shop.root, self.shop.files()[0])
        before = self.box.highest_modseq
        self.watcher.take()
        os.rename(path, self.cur(os.path.basename(path).partition(":")[0] + ":2,Sa"))
        self.refresh()
        self.assertEqual(self.watcher.take(), [("flags", [1], None)])
        self.assertEqual(list(self.box.flags), [SEEN | 1 << FIRST_KEYWORD_BIT, 0])
        self.assertGreater(self.box.modseqs[0], before)
        self.assertEqual(self.box.highest_modseq, self.box.modseqs[0])

    def test_a_removed_file_is_expunged(self) -> None:
        """And its UID is remembered as vanished."""
        self.shop.append()
        self.shop.append()
        before = self.box.highest_modseq
        self.watcher.take()
        os.unlink(os.path.join(self.shop.root, self.shop.files()[0]))
        self.refresh()
        self.assertEqual(self.watcher.take(), [("expunged", [1])])
        self.assertEqual(self.shop.do(self.box.vanished_since(before)), (1,))

    def test_moved_from_new_to_cur(self) -> None:
        """As every reader does: no change anybody hears of."""
        self.shop.append()
        path = os.path.join(self.shop.root, self.only_file())
        self.watcher.take()
        os.rename(path, self.cur(os.path.basename(path).partition(":")[0] + ":2,"))
        self.refresh()
        self.assertEqual(self.watcher.take(), [])
        self.shop.do(self.box.mark([1], FlagAction.ADD, ["\\Seen"]))
        self.assertTrue(self.only_file().endswith(":2,S"))

    def test_marking_a_file_that_was_renamed(self) -> None:
        """Both changes hold."""
        self.shop.append()
        path = os.path.join(self.shop.root, self.only_file())
        os.rename(path, self.cur(os.path.basename(path).partition(":")[0] + ":2,F"))
        self.assertEqual(self.shop.do(self.box.mark([1], FlagAction.ADD, ["\\Seen"])).changed, (1,))
        self.assertEqual(self.box.flags[0], FLAGGED | SEEN)
        self.assertTrue(self.only_file().endswith(":2,FS"))

    def test_marking_a_file_that_is_gone(self) -> None:
        """It is expunged; nothing was changed."""
        self.shop.append()
        os.unlink(os.path.join(self.shop.root, self.only_file()))
        self.assertEqual(self.shop.do(self.box.mark([1], FlagAction.ADD, ["\\Seen"])).changed, ())
        self.assertEqual(list(self.box.uids), [])

    def test_expunging_a_file_that_was_renamed(self) -> None:
        """It goes, whatever it is called now."""
        self.shop.append("A: b\n\n", "\\Deleted")
        path = os.path.join(self.shop.root, self.only_file())
        os.rename(path, self.cur(os.path.basename(path).partition(":")[0] + ":2,FT"))
        self.assertEqual(self.shop.do(self.box.expunge()), (1,))
        self.assertEqual(self.shop.files(), [])

    def test_reading_a_file_that_was_renamed(self) -> None:
        """It is found by its base; one that is gone is left out."""
        self.shop.append("A: 1\n\n")
        self.shop.append("A: 2\n\n")
        first, second = self.shop.files()
        os.rename(os.path.join(self.shop.root, first), self.cur(os.path.basename(first).partition(":")[0] + ":2,F"))
        os.unlink(os.path.join(self.shop.root, second))
        files = self.shop.collect(self.box.files([1, 2]))
        self.assertEqual([file.uid for file in files], [1])
        self.assertEqual(self.shop.do(files[0].read(0, 100)), b"A: 1\r\n\r\n")

    def test_copying_a_file_that_is_gone(self) -> None:
        """The others are copied."""
        self.shop.append("A: 1\n\n")
        self.shop.append("A: 2\n\n")
        os.unlink(os.path.join(self.shop.root, self.shop.files()[0]))
        said = self.shop.do(self.box.copy([1, 2], "Trash"))
        self.assertEqual((said.source_uids, said.target_uids), ((2,), (1,)))

    def test_crlf_and_mixed_files(self) -> None:
        """Foreign files may have CRLF, or both: sizes and octets agree."""
        mixed = b"Subject: x\r\n\r\none\ntwo\r\nthree\rfour\n"
        for number, octets in enumerate((b"Subject: x\r\n\r\nbody\r\n", mixed, mixed * 30_000)):
            with open(os.path.join(self.shop.root, "new", f"170000000{number}.x"), "wb") as file:
                file.write(octets)
        self.refresh()
        for found, size in zip(self.shop.collect(self.box.files([1, 2, 3])), self.box.sizes, strict=True):
            octets = b"".join(self.shop.do(found.read(at, 65_000)) for at in range(0, found.size, 65_000))
            self.assertEqual((found.size, len(octets)), (size, size))
            self.assertNotIn(b"\r\r", octets)
            self.assertEqual(octets.count(b"\n"), octets.count(b"\r\n"))
            found.close()

    def test_names_that_cannot_be_listed(self) -> None:
        """Odd names are replaced, the mail is there."""
        for name in (b"with blank", b"\xff\xfe:2,S", b"x" * 230):
            with open(os.path.join(os.fsencode(self.shop.root), b"cur", name), "wb") as file:
                file.write(b"A: b\n\n")
        self.refresh()
        self.assertEqual(len(self.box.uids), 3)
        self.assertEqual(sorted(self.box.flags), [0, 0, SEEN])
        self.refresh()
        self.assertEqual(len(self.box.uids), 3)

    def test_the_same_base_twice(self) -> None:
        """A copy under a known name is another message and gets a name of its own."""
        self.shop.drop_in("1700000000.x", "A: 1\n\n")
        self.refresh()
        self.shop.drop_in("1700000000.x:2,S", "A: 2\n\n", place="cur")
        self.refresh()
        self.assertEqual(list(self.box.uids), [1, 2])
        self.refresh()
        self.assertEqual(list(self.box.uids), [1, 2])
        self.assertEqual(len({path.split("/")[1].partition(":")[0] for path in self.shop.files()}), 2)

    def test_moved_by_link_and_unlink(self) -> None:
        """The moment in which a message has two names makes no second message."""
        self.shop.drop_in("1700000000.x")
        self.refresh()
        new = os.path.join(self.shop.root, "new", "1700000000.x")
        os.link(new, self.cur("1700000000.x:2,S"))
        self.refresh()
        self.assertEqual(list(self.box.uids), [1])
        if os.path.exists(new):
            os.unlink(new)
        self.refresh()
        self.assertEqual((list(self.box.uids), list(self.box.flags)), ([1], [SEEN]))

    def test_directories_and_dotfiles_are_no_messages(self) -> None:
        """Whatever else lies about."""
        os.mkdir(self.cur("folder"))
        self.shop.drop_in(".nfs0001", place="cur")
        os.symlink("/etc/passwd", self.cur("1700000000.link"))
        self.refresh()
        self.assertEqual(list(self.box.uids), [])

    def test_the_mailbox_is_removed(self) -> None:
        """Its sessions are told."""
        import shutil

        watcher = Watching()
        box = self.shop.open("Junk", watcher)
        shutil.rmtree(os.path.join(self.shop.root, ".Junk"))
        error = self.assertRaises(StoreError, self.shop.do, box.refresh())
        self.assertIs(error.problem, Problem.NO_SUCH_MAILBOX)
        self.assertEqual(watcher.take(), [("vanished",)])

    def test_seen_within_a_poll(self) -> None:
        """Nobody asks; the store looks by itself."""
        self.shop.stores.start()
        self.shop.drop_in("1700000000.x")
        self.shop.clock.advance(1.0)
        self.assertEqual(self.watcher.take(), [("arrived", 1)])

    def test_our_own_changes_are_not_looked_for(self) -> None:
        """After STORE, APPEND, COPY and EXPUNGE a look lists cur/ no more."""
        for _ in range(3):
            self.shop.append("A: b\n\n", "\\Deleted")
        self.shop.clock.advance(5)
        self.refresh()
        listed: list[str] = []
        from mailbox_appliance.store import scan

        real = scan.listing

        def listing(directory: str) -> list[str]:
            listed.append(os.path.basename(directory))
            return real(directory)

        self.patch(scan, "listing", listing)
        self.shop.do(self.box.mark([1, 2], FlagAction.ADD, ["\\Seen"]))
        self.shop.do(self.box.copy([1], "INBOX"))
        self.shop.do(self.box.expunge([2]))
        self.shop.append()
        self.refresh()
        self.assertNotIn("cur", listed)


class DovecotBesideTests(StoreCase):
    """Dovecot numbers messages and keywords too."""

    def setUp(self) -> None:
        super().setUp()
        self.box = self.shop.open()
        self.list = os.path.join(self.shop.root, uidlist.NAME)

    def refresh(self) -> None:
        self.shop.do(self.box.refresh())

    def test_uids_given_by_dovecot(self) -> None:
        """Lines appended by Dovecot are taken as they are."""
        self.shop.append()
        self.shop.drop_in("1700000005.b")
        self.shop.drop_in("1700000001.a")
        uidlist.append(self.list, [(7, "1700000005.b"), (9, "1700000001.a")])
        self.refresh()
        self.assertEqual(list(self.box.uids), [1, 7, 9])
        self.assertEqual(self.shop.append(), 10)

    def test_numbered_by_dovecot_while_we_number(self) -> None:
        """A UID below ours that Dovecot gave a moment ago keeps its message."""
        self.shop.append()
        self.shop.drop_in("1700000005.b")
        uidlist.append(self.list, [(2, "1700000005.b")])
        self.assertEqual(self.shop.append(), 3)
        self.assertEqual(list(self.box.uids), [1, 2, 3])
        self.assertEqual(uidlist.read(self.list).uids["1700000005.b"], 2)

    def test_rewritten_by_dovecot(self) -> None:
        """The same UIDs in a new file, a higher next UID."""
        self.shop.append()
        self.shop.append()
        found = uidlist.read(self.list)
        lines = sorted((uid, base, "") for base, uid in found.uids.items())
        uidlist.rewrite(self.list, found.validity, 50, found.guid, lines)
        self.refresh()
        self.assertEqual(list(self.box.uids), [1, 2])
        self.assertEqual(self.shop.append(), 50)

    def test_the_highest_uid_wins(self) -> None:
        """A message that both have numbered has the higher UID, here and in the file."""
        self.shop.append()
        self.shop.append()
        first, second = (os.path.basename(path).partition(":")[0] for path in self.shop.files())
        uidlist.append(self.list, [(12, first)])
        self.refresh()
        self.assertEqual(list(self.box.uids), [2, 12])
        found = uidlist.read(self.list)
        uidlist.rewrite(self.list, found.validity, 3, found.guid, [(1, second, ""), (2, first, "")])
        self.refresh()
        self.assertEqual(list(self.box.uids), [2, 12])
        self.assertEqual(uidlist.read(self.list).uids, {first: 12, second: 2})
        self.assertEqual(self.shop.append(), 13)

    def test_another_uidvalidity(self) -> None:
        """Sessions are told; the mailbox is opened anew with Dovecot's UIDs."""
        watcher = Watching()
        self.shop.append()
        box = self.shop.open(watcher=watcher)
        (base,) = (os.path.basename(path).partition(":")[0] for path in self.shop.files())
        uidlist.rewrite(self.list, 4_000_000_000, 78, "b" * 32, [(77, base, "")])
        self.assertRaises(StoreError, self.shop.do, box.refresh())
        self.assertEqual(watcher.take()[-1], ("vanished",))
        box = self.shop.open()
        self.assertEqual((box.uidvalidity, list(box.uids), box.mailbox_id), (4_000_000_000, [77], "b" * 32))

    def test_keywords_added_by_dovecot(self) -> None:
        """A new name in dovecot-keywords, and a letter nobody has named."""
        watcher = Watching()
        box = self.shop.open(watcher=watcher)
        self.shop.append("A: b\n\n", "mine")
        with open(os.path.join(self.shop.root, "dovecot-keywords"), "a") as file:
            file.write("1 theirs\n")
        self.shop.drop_in("1700000000.x:2,bd", place="cur")
        self.shop.do(box.refresh())
        self.assertEqual(list(box.keywords), ["mine", "theirs", "unknown-2", "unknown-3"])
        self.assertEqual(box.flags[1] >> FIRST_KEYWORD_BIT, 0b1010)
        self.assertIn(("keywords",), watcher.told)

    def keyworded(self, number: int = 3) -> list[list[str]]:
        """A message for each of so many keywords."""
        for at in range(number):
            self.shop.append("A: b\n\n", f"k{at}")
        self.refresh()
        return self.words()

    def words(self) -> list[list[str]]:
        return [sorted(flag_names(flags, self.box.keywords)) for flags in self.box.flags]

    def test_keyword_files_deleted(self) -> None:
        """The index knows the names, of high keywords also who has them: both files are written again, and told."""
        before = self.keyworded(29)
        names = [f"k{at}" for at in range(29)]
        ours, dovecots = (os.path.join(self.shop.root, name) for name in (keywords.OURS, keywords.DOVECOT))
        for gone in ((dovecots,), (ours,), (ours, dovecots)):
            for path in gone:
                os.unlink(path)
            self.refresh()
            self.assertEqual((list(self.box.keywords), self.words()), (names, before))
            self.assertEqual(keywords.read(Folder(self.shop.root, "")).names, names)
        self.assertEqual(len(self.shop.journal.of(KeywordsRestored)), 3)
        # Now the files are the truth again: what the index had is not needed any more.
        self.shop.lose_index()
        self.reopen()
        self.box = self.shop.open()
        self.assertEqual((list(self.box.keywords), self.words()), (names, before))

    def test_keyword_names_lost(self) -> None:
        """A file with fewer lines gets them back; a letter that has another name now keeps that one."""
        before = self.keyworded()
        path = Path(self.shop.root, keywords.DOVECOT)
        path.write_text("0 k0\n")
        self.refresh()
        self.assertEqual((self.words(), path.read_text()), (before, "0 k0\n1 k1\n2 k2\n"))
        path.write_text("1 k1\n2 K0\n")
        self.assertRaises(StoreError, self.shop.do, self.box.refresh())
        self.box = self.shop.open()
        self.assertEqual(list(self.box.keywords)[1:], ["k1", "K0"])

    def test_keywords_of_another_mailbox(self) -> None:
        """Where another mailbox has taken the place, the old names are not put on its letters."""
        self.keyworded()
        os.unlink(os.path.join(self.shop.root, keywords.DOVECOT))
        uidlist.rewrite(self.list, 4_000_000_000, 78, "b" * 32, [])
        self.assertRaises(StoreError, self.shop.do, self.box.refresh())
        self.assertFalse(os.path.exists(os.path.join(self.shop.root, keywords.DOVECOT)))

    def test_keywords_on_a_full_disk(self) -> None:
        """What cannot be written again is still known."""
        before = self.keyworded()
        os.unlink(os.path.join(self.shop.root, keywords.DOVECOT))

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(keywords, "replace_file", full)
        self.refresh()
        self.assertEqual(self.words(), before)

    def test_many_stale_lines_are_tidied(self) -> None:
        """The uidlist does not grow for ever, and no UID comes back."""
        for _ in range(3):
            self.shop.append("A: b\n\n", "\\Deleted")
        uidlist.append(self.list, [(uid, f"gone{uid}") for uid in range(10, 900)])
        self.refresh()
        self.shop.do(self.box.expunge([1]))
        self.box.release(self.box.watchers[0])
        self.shop.do(self.shop.store.unload(self.box))
        found = uidlist.read(self.list)
        self.assertEqual((sorted(found.uids.values()), found.next), ([2, 3], 900))
        self.shop.open()
        self.assertEqual(self.shop.append(), 900)
