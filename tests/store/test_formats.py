"""Files shared with Dovecot: dovecot-uidlist, dovecot-keywords, subscriptions, maildirsize, dovecot-uidvalidity."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.mailbox import SpecialUse
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.store import keywords, quota, special, subscriptions, uidlist, uidvalidity
from mailbox_appliance.store.dotlock import LockTimeout, dotlock, is_stale
from mailbox_appliance.store.paths import Folder

HEAD = b"3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"


class FolderCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.path = os.path.join(self.root, "file")


class UidListTests(FolderCase):
    """dovecot-uidlist."""

    def test_dovecots_own(self) -> None:
        """The example of Dovecot's documentation: flags in the name, sizes before it."""
        found = uidlist.parse(
            HEAD + b"25006 :1276528487.M364837P9451.k,S=1355:2,\n25017 W2481 :1276533073.M242911P3632.k:2,F\n"
        )
        self.assertEqual(
            (found.validity, found.next, found.guid), (1275660208, 25022, "3085f01b7f11094c501100008c4a11c1")
        )
        self.assertEqual(found.uids, {"1276528487.M364837P9451.k,S=1355": 25006, "1276533073.M242911P3632.k": 25017})
        self.assertEqual(found.extras, {25017: "W2481"})
        self.assertFalse(found.damaged)

    def test_version_1(self) -> None:
        """Dovecot 1.0's form."""
        found = uidlist.parse(b"1 1275660208 9\n3 abc:2,S\n8 def\n")
        self.assertEqual((found.validity, found.next, found.uids), (1275660208, 9, {"abc": 3, "def": 8}))

    def test_next_uid_is_above_every_line(self) -> None:
        """Dovecot appends lines without touching the head."""
        self.assertEqual(uidlist.parse(b"3 V5 N1 G" + b"a" * 32 + b"\n7 :x\n").next, 8)

    def test_damage(self) -> None:
        """Octets, what can be saved of them, whether the file is to be rewritten."""
        for octets, validity, uids, damaged in (
            (b"", 0, {}, False),
            (b"rubbish", 0, {}, True),
            (b"3 V0 N1\n", 0, {}, True),
            (b"3 N5\n1 :a\n", 0, {}, True),
            (b"3 V5 N1\n1 :a\n2 :b", 5, {"a": 1}, True),  # a torn line
            (b"3 V5 N1\n1 :a\nxyz\n3 :c\n", 5, {"a": 1, "c": 3}, True),
            (b"3 V5 N1\n1 :a\n4 :a\n", 5, {"a": 4}, False),  # the highest wins
            (b"3 V5 N1\n4 :a\n1 :b\n", 5, {"a": 4, "b": 1}, True),
            (b"3 V5 N1\n1 :a\n1 :b\n", 5, {"a": 1}, True),  # two names, one UID
            (b"3 V5 N1\n0 :a\n99999999999 :b\n", 5, {}, True),
            (b"3 V5 N1\n1 :\n", 5, {}, True),
            (b"3 V5 N1\n1 :\xff\xfe\n2 :b\n", 5, {"b": 2}, True),
        ):
            found = uidlist.parse(octets)
            self.assertEqual((found.validity, found.uids, found.damaged), (validity, uids, damaged), octets)

    def test_written_and_appended(self) -> None:
        """What is written is read; signatures tell states apart."""
        self.assertEqual(uidlist.signature(self.path), uidlist.NONE)
        first = uidlist.rewrite(self.path, 5, 9, "a" * 32, [(1, "x", ""), (8, "y", "W12")])
        self.assertEqual(first, uidlist.signature(self.path))
        second = uidlist.append(self.path, [(9, "z"), (10, "q")])
        self.assertNotEqual(first, second)
        self.assertEqual(second, uidlist.signature(self.path))
        found = uidlist.read(self.path)
        self.assertEqual((found.validity, found.next, found.lines), (5, 11, 4))
        self.assertEqual(found.uids, {"x": 1, "y": 8, "z": 9, "q": 10})
        self.assertEqual(found.extras, {8: "W12"})

    @settings(max_examples=200)
    @given(st.binary(max_size=200) | st.lists(st.binary(max_size=30), max_size=8).map(lambda b: HEAD + b"\n".join(b)))
    def test_anything_can_be_read(self, octets: bytes) -> None:
        """No octets make trouble; no UID stands for two names."""
        found = uidlist.parse(octets)
        self.assertEqual(len(set(found.uids.values())), len(found.uids))
        self.assertTrue(all(uid < found.next for uid in found.uids.values()))


class UidValidityTests(FolderCase):
    """dovecot-uidvalidity."""

    def test_never_twice(self) -> None:
        """Two in the same second differ; a clock that was set back does no harm."""
        given_ = [uidvalidity.give(self.root, now) for now in (1000.0, 1000.5, 5000.0, 10.0)]
        self.assertEqual(given_, [1000, 1001, 5000, 5001])
        uidvalidity.spent(self.root, 9000)
        self.assertEqual(uidvalidity.give(self.root, 10.0), 9001)

    def test_dovecots_files(self) -> None:
        """The eight digits in the file, or in the name of the empty file beside it."""
        open(os.path.join(self.root, "dovecot-uidvalidity.6b0311c3"), "w").close()
        self.assertEqual(uidvalidity.last_given(self.root), 0x6B0311C3)


class KeywordTests(FolderCase):
    """dovecot-keywords and mailappliance-keywords."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Folder(self.root, "")

    def test_dovecots_file(self) -> None:
        """Lines of number and name; gaps get placeholders, bad lines are passed over."""
        for octets, names in (
            (b"0 $Work\n1 foo\n", ["$Work", "foo"]),
            (b"2 c\n0 a\n", ["a", "unknown-1", "c"]),
            (b"0 a\n0 b\nx\n26 z\n1 A\n", ["a"]),
            (b"", []),
        ):
            self.assertEqual(keywords.parse_dovecot(octets), names, octets)

    def test_more_than_26(self) -> None:
        """The first 26 are Dovecot's, further ones ours."""
        names = keywords.add(self.folder, [f"k{n}" for n in range(20)])
        names = keywords.add(self.folder, [f"k{n}" for n in range(40)])
        self.assertEqual(names, [f"k{n}" for n in range(40)])
        with open(self.folder.file(keywords.DOVECOT)) as file:
            self.assertEqual(file.read().splitlines(), [f"{n} k{n}" for n in range(26)])
        bit = 1 << keywords.HIGH_SHIFT
        keywords.set_masks(self.folder, [("a", bit), ("b", bit << 5), ("c", bit)])
        keywords.set_masks(self.folder, [("a", bit << 1 | bit), ("b", 0)])
        found = keywords.read(self.folder)
        self.assertEqual(found.names, names)
        self.assertEqual(found.masks, {"a": bit << 1 | bit, "c": bit})
        keywords.compact(self.folder, found)
        self.assertEqual(keywords.read(self.folder).masks, found.masks)
        self.assertEqual(keywords.read(self.folder).names, names)

    def test_a_torn_line_is_passed_over(self) -> None:
        """A crash in the middle of a write costs that line only."""
        keywords.set_masks(self.folder, [("a", 1 << keywords.HIGH_SHIFT)])
        with open(self.folder.file(keywords.OURS), "ab") as file:
            file.write(b"M 1 hal")
        self.assertEqual(set(keywords.read(self.folder).masks), {"a"})
        keywords.set_masks(self.folder, [("b", 1 << keywords.HIGH_SHIFT)])
        self.assertLessEqual({"a", "b"}, set(keywords.read(self.folder).masks))

    def test_refused(self) -> None:
        """No number left, or no keyword at all: nothing changes."""
        for name in ("", "a b", "x" * 65, "a(b", "ü", "a\\b", "a]"):
            self.assertRaises(StoreError, keywords.add, self.folder, [name])
        error = self.assertRaises(StoreError, keywords.add, self.folder, [f"k{n}" for n in range(59)])
        self.assertIs(error.problem, Problem.LIMIT)
        self.assertEqual(keywords.read(self.folder).names, [])

    @settings(max_examples=150)
    @given(st.binary(max_size=200))
    def test_anything_can_be_read(self, octets: bytes) -> None:
        """No octets make trouble."""
        keywords.parse_dovecot(octets)
        keywords.parse_ours(octets)


class SubscriptionTests(FolderCase):
    """subscriptions."""

    def test_both_forms(self) -> None:
        """Lines of names, or version 2 with levels parted by TAB."""
        self.assertEqual(
            subscriptions.parse(b"INBOX\nEntw&APw-rfe.Zwei\nbad&\nSent\nSent\n"), ["INBOX", "Entwürfe.Zwei", "Sent"]
        )
        self.assertEqual(subscriptions.parse(b"V\t2\n\nEntw&APw-rfe\tZwei\nA&-B\n"), ["Entwürfe.Zwei", "A&B"])
        self.assertEqual(subscriptions.parse(b""), [])

    def test_changed(self) -> None:
        """What is written is read."""
        subscriptions.change(self.root, ["A.B", "Ü"], [])
        subscriptions.change(self.root, ["C"], ["A.B"])
        self.assertEqual(subscriptions.read(self.root), ["Ü", "C"])
        with open(os.path.join(self.root, "subscriptions"), "rb") as file:
            self.assertEqual(file.read(), b"V\t2\n\n&ANw-\nC\n")

    @settings(max_examples=100)
    @given(st.binary(max_size=100))
    def test_anything_can_be_read(self, octets: bytes) -> None:
        """No octets make trouble, and what was read can be written."""
        names = subscriptions.parse(octets)
        self.assertEqual(subscriptions.parse(subscriptions.write(names)), names)


class SpecialTests(FolderCase):
    """mailappliance-special."""

    def test_written(self) -> None:
        """What is written is read; None before the first time."""
        self.assertIsNone(special.read(self.root))
        uses = {"Sent": SpecialUse.SENT, "Entwürfe": SpecialUse.DRAFTS}
        special.write(self.root, uses)
        self.assertEqual(special.read(self.root), uses)

    def test_folders_of_other_servers_are_taken(self) -> None:
        """No second Sent beside "Sent Items"."""
        chosen = special.choose(["INBOX", "Sent Items", "Trash"])
        self.assertIs(chosen["Sent Items"], SpecialUse.SENT)
        self.assertIs(chosen["Trash"], SpecialUse.TRASH)
        self.assertNotIn("Sent", chosen)


class MaildirSizeTests(FolderCase):
    """maildirsize."""

    def test_sums(self) -> None:
        """Octets of the file and their sum; None means: count again."""
        for data, found in (
            (b"1000S\n24 1\n-24 -1\n100 2\n", quota.Sum(1000, 100, 2)),
            (b"1000S,5C\n", quota.Sum(1000, 0, 0)),
            (b"5C\n10 1\n", quota.Sum(0, 10, 1)),
            (b"1000S\nrubbish\n", None),
            (b"1000S\n-5 0\n", None),
            (b"", None),
            (b"1000S", None),
        ):
            self.assertEqual(quota.parse(data), found, data)

    def test_begun_anew(self) -> None:
        """A missing file, or one with another limit, is counted from the names (and a stat where they do not tell)."""
        for box in ("", ".Trash"):
            os.makedirs(os.path.join(self.root, box, "cur"))
        for path, size in (("cur/1.h,S=100:2,S", 3), (".Trash/cur/2.h", 7)):
            with open(os.path.join(self.root, path), "wb") as file:
                file.write(b"x" * size)
        self.assertEqual(quota.read(self.root, 5000, 0.0), quota.Sum(5000, 107, 2))
        quota.add(self.root, 50, 1)
        self.assertEqual(quota.read(self.root, 5000, 0.0), quota.Sum(5000, 157, 3))
        self.assertEqual(quota.read(self.root, 6000, 0.0), quota.Sum(6000, 107, 2))


class DotlockTests(FolderCase):
    """Dovecot's lock files."""

    def test_held_and_freed(self) -> None:
        """The lock names us, and is gone afterwards."""
        with dotlock(self.path):
            with open(self.path + ".lock") as file:
                self.assertTrue(file.read().startswith(f"{os.getpid()}:"))
        self.assertFalse(os.path.exists(self.path + ".lock"))

    def test_never_without_its_owner(self) -> None:
        """The file appears with its text in it, with and without nameless files; nothing is left beside it."""
        real_open, real_link = os.open, os.link
        seen: list[int] = []

        def named_only(path: str, flags: int, *rest: Any, **more: Any) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "Operation not supported")
            return real_open(path, flags, *rest, **more)

        def link(old: str, new: str, **more: Any) -> None:
            seen.append(os.stat(old).st_size)
            real_link(old, new, **more)

        self.patch(os, "link", link)
        for opening in (real_open, named_only):
            self.patch(os, "open", opening)
            with dotlock(self.path):
                self.assertGreater(seen[-1], 2)
                self.assertEqual(os.listdir(self.root), [os.path.basename(self.path) + ".lock"])
            self.assertEqual(os.listdir(self.root), [])
        self.assertEqual(len(seen), 2)

    def test_a_living_owner_is_waited_for(self) -> None:
        """Then the wait ends with the owner's name."""
        with open(self.path + ".lock", "w") as file:
            file.write("1:elsewhere")
        slept: list[float] = []
        with self.assertRaises(LockTimeout) as caught:
            with dotlock(self.path, patience=0.05, sleep=slept.append):
                pass
        self.assertIn("process 1 on elsewhere", str(caught.exception))
        self.assertTrue(slept)
        self.assertTrue(os.path.exists(self.path + ".lock"))

    def test_stale_ones_are_taken_away(self) -> None:
        """Nobody's for two minutes, or of a process of this host that is gone, or ours from an earlier life."""
        import socket

        lock = self.path + ".lock"
        now = 1_700_000_000.0
        for text, age, stale in (
            ("1:elsewhere", 10, False),
            ("1:elsewhere", 130, True),
            (f"{os.getpid()}:{socket.gethostname()}", 1, True),
            (f"4194399:{socket.gethostname()}", 1, True),
            ("", 10, False),
            ("", 130, True),
        ):
            with open(lock, "w") as file:
                file.write(text)
            os.utime(lock, (now - age, now - age))
            self.assertEqual(is_stale(lock, socket.gethostname(), now), stale, (text, age))
