"""The contract of ports/store.py: the real store and the fake of tests/kit behave alike."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar, cast

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.database import Database
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import (
    ANSWERED,
    DELETED,
    FIRST_KEYWORD_BIT,
    FLAGGED,
    RECENT,
    SEEN,
    MailboxStatus,
    SpecialUse,
)
from mailbox_appliance.mail.rights import ALL
from mailbox_appliance.ports.store import (
    Appended,
    Column,
    Fields,
    FlagAction,
    Mailbox,
    Mailstore,
    NewMessage,
    Problem,
    StoreError,
)
from mailbox_appliance.shares.seen import MIGRATIONS, SeenMarks
from mailbox_appliance.shares.station import Shares
from mailbox_appliance.store.mailbox import OpenMailbox
from mailbox_appliance.store.papers import MailPapers
from mailbox_appliance.wire.imap.columns import render_one
from tests.kit.fake_store import FakeStores
from tests.store.kit import ANN, Shop, Watching, collect, message, settle

T = TypeVar("T")
DAY = 86400
BEN = Address("ben", "example.org")
NEWS = "From: Jürgen <j@example.org>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from home\nDate: Fri, 1 Mar 2024 23:30:00 -0500\n"


class StoreContract(SynchronousTestCase):
    """Mixed into a case per implementation, which gives ``clock`` and ``open_store``."""

    clock: Clock

    def open_store(self, limit: int = 0) -> Mailstore:
        raise NotImplementedError

    def do(self, awaitable: Awaitable[T]) -> T:
        return settle(self.clock, awaitable)

    def setUp(self) -> None:
        self.store = self.open_store()
        self.watcher = Watching()

    def open(self, name: str = "INBOX", watcher: Watching | None = None) -> Mailbox:
        return self.do(self.store.open(name, watcher or self.watcher))

    def test_notes(self) -> None:
        """Notes beside mailboxes are kept and changed, and go with a mailbox when it is renamed or deleted."""
        self.do(self.store.create("a"))
        self.do(self.store.set_metadata("a", {"/private/comment": b"\0one", "/shared/x": b"two"}))
        self.do(self.store.set_metadata("", {"/shared/x": b"three"}))
        self.do(self.store.set_metadata("a", {"/shared/x": None, "/private/y": None}))
        self.assertEqual(self.do(self.store.metadata("a")), {"/private/comment": b"\0one"})
        self.assertEqual(self.do(self.store.metadata("")), {"/shared/x": b"three"})
        self.assertEqual(self.do(self.store.metadata("INBOX")), {})
        self.do(self.store.rename("a", "b"))
        self.assertEqual(self.do(self.store.metadata("b")), {"/private/comment": b"\0one"})
        self.do(self.store.delete("b"))
        self.do(self.store.create("b"))
        self.assertEqual(self.do(self.store.metadata("b")), {})
        many = {f"/private/{n}": b"x" for n in range(2000)}
        self.assertRaises(StoreError, self.do, self.store.set_metadata("INBOX", many))

    def test_sort_and_thread_keys(self) -> None:
        """The keys of SORT and THREAD, as the wire renders them."""
        text = NEWS + "Message-ID: <a@b>\nReferences: <c@d> <e@f>\nTo: x@y\n\nbody\n"
        uid = self.append(text)
        box = self.open()
        ((found, row),) = self.do(collect(box.rows([uid], [Column.SORTKEYS, Column.THREADKEYS])))
        made = render_one(text.encode(), ["sortkeys", "threadkeys"])
        self.assertEqual((found, tuple(row)), (uid, (made["sortkeys"], made["threadkeys"])))

    def append(self, text: str = "Subject: a\n\nbody\n", *flags: str, name: str = "INBOX", **more: Any) -> int:
        return self.do(self.store.append(name, [message(text, *flags, **more)])).uids[0]

    def fails(self, problem: Problem, awaitable: Awaitable[Any]) -> None:
        error = self.assertRaises(StoreError, self.do, awaitable)
        self.assertIs(error.problem, problem)
        self.assertTrue(str(error))

    def flags_of(self, box: Mailbox) -> list[set[str]]:
        names = {SEEN: "seen", ANSWERED: "answered", FLAGGED: "flagged", DELETED: "deleted"}
        found = []
        for bits in box.flags:
            mine = {name for bit, name in names.items() if bits & bit}
            mine |= {k for i, k in enumerate(box.keywords) if bits >> FIRST_KEYWORD_BIT + i & 1}
            found.append(mine)
        return found

    # ------------------------------------------------------------ the tree

    def test_a_new_account_has_inbox_and_special_folders(self) -> None:
        """Sent, Drafts, Trash, Junk and Archive are there, flagged and subscribed."""
        found = {info.name: info for info in self.do(self.store.mailboxes())}
        self.assertEqual(set(found), {"INBOX", "Sent", "Drafts", "Trash", "Junk", "Archive"})
        self.assertIs(found["Sent"].special_use, SpecialUse.SENT)
        self.assertIs(found["Junk"].special_use, SpecialUse.JUNK)
        self.assertIsNone(found["INBOX"].special_use)
        self.assertTrue(all(info.subscribed and info.selectable and info.exists for info in found.values()))

    def test_create(self) -> None:
        """A mailbox with levels has parents that cannot be selected."""
        self.do(self.store.create("Work.Ünïcode.A&B"))
        found = {info.name: info for info in self.do(self.store.mailboxes())}
        self.assertTrue(found["Work.Ünïcode.A&B"].selectable)
        self.assertFalse(found["Work.Ünïcode"].selectable)
        self.assertTrue(found["Work"].exists and found["Work"].has_children)
        self.assertFalse(found["Work.Ünïcode.A&B"].subscribed)
        self.fails(Problem.MAILBOX_EXISTS, self.store.create("Work.Ünïcode.A&B"))

    def test_special_use_is_kept(self) -> None:
        """CREATE-SPECIAL-USE (RFC 6154 §3)."""
        self.do(self.store.create("Old", SpecialUse.ARCHIVE))
        found = {info.name: info for info in self.do(self.store.mailboxes())}
        self.assertIs(found["Old"].special_use, SpecialUse.ARCHIVE)

    def test_bad_names(self) -> None:
        """Names that could leave the account's folder, or that no folder can have."""
        for name in ("", ".", "..", "../x", "a/b", "/etc", ".a", "a.", "a..b"):
            self.fails(Problem.NOT_ALLOWED, self.store.create(name))

    def test_delete(self) -> None:
        """The sessions of a deleted mailbox are told; INBOX and strangers are refused."""
        self.open("Junk")
        self.do(self.store.delete("Junk"))
        self.assertEqual(self.watcher.take(), [("vanished",)])
        self.fails(Problem.NO_SUCH_MAILBOX, self.store.open("Junk", self.watcher))
        self.fails(Problem.NO_SUCH_MAILBOX, self.store.delete("Junk"))
        self.fails(Problem.NOT_ALLOWED, self.store.delete("INBOX"))

    def test_a_deleted_mailbox_with_children_stays_as_a_name(self) -> None:
        """RFC 3501 §6.3.4."""
        self.do(self.store.create("A"))
        self.do(self.store.create("A.B"))
        self.append(name="A")
        self.do(self.store.delete("A"))
        found = {info.name: info for info in self.do(self.store.mailboxes())}
        self.assertFalse(found["A"].selectable)
        self.assertTrue(found["A.B"].selectable)

    def test_a_mailbox_made_again_has_a_new_uidvalidity(self) -> None:
        """RFC 3501 §2.3.1.1."""
        self.do(self.store.create("A"))
        before = self.do(self.store.status("A")).uidvalidity
        self.do(self.store.delete("A"))
        self.do(self.store.create("A"))
        self.assertGreater(self.do(self.store.status("A")).uidvalidity, before)

    def test_rename_takes_children_along(self) -> None:
        """UIDs and UIDVALIDITY stay with the messages."""
        self.do(self.store.create("A"))
        self.do(self.store.create("A.B"))
        self.append(name="A.B")
        before = self.do(self.store.status("A.B"))
        self.do(self.store.rename("A", "X.Y"))
        found = {info.name for info in self.do(self.store.mailboxes())}
        self.assertLessEqual({"X", "X.Y", "X.Y.B"}, found)
        self.assertFalse({"A", "A.B"} & found)
        after = self.do(self.store.status("X.Y.B"))
        self.assertEqual((after.uidvalidity, after.uidnext, after.messages), (before.uidvalidity, 2, 1))
        self.fails(Problem.NO_SUCH_MAILBOX, self.store.rename("A", "Z"))
        self.fails(Problem.MAILBOX_EXISTS, self.store.rename("X.Y", "Sent"))

    def test_renaming_inbox_moves_its_messages(self) -> None:
        """RFC 3501 §6.3.5."""
        self.append("Subject: moved\n\n", "\\Seen")
        self.do(self.store.rename("INBOX", "Old"))
        self.assertEqual(self.do(self.store.status("INBOX")).messages, 0)
        self.assertEqual(self.do(self.store.status("Old")).messages, 1)

    def test_subscriptions(self) -> None:
        """A subscribed name need not exist, and is then told as not existing."""
        self.do(self.store.subscribe("Gone.Away", True))
        self.do(self.store.subscribe("Sent", False))
        found = {info.name: info for info in self.do(self.store.mailboxes())}
        self.assertFalse(found["Gone.Away"].exists)
        self.assertTrue(found["Gone.Away"].subscribed)
        self.assertFalse(found["Sent"].subscribed)

    # ------------------------------------------------------------ messages come

    def test_append(self) -> None:
        """UIDs in order, flags and dates kept, everybody told."""
        box = self.open()
        said = self.do(
            self.store.append("INBOX", [message("A: b\n\nx\n", "\\Seen", "$Work", date=1000.0), message("C: d\n\n")])
        )
        self.assertEqual((said.uidvalidity, said.uids), (box.uidvalidity, (1, 2)))
        self.assertEqual(list(box.uids), [1, 2])
        self.assertEqual(self.flags_of(box), [{"seen", "$Work"}, set()])
        self.assertEqual(list(box.sizes), [len("A: b\r\n\r\nx\r\n"), len("C: d\r\n\r\n")])
        self.assertEqual(box.dates[0], 1000)
        self.assertEqual(box.uidnext, 3)
        self.assertIn(("keywords",), self.watcher.told)
        self.assertEqual(self.watcher.told[-1], ("arrived", 2))
        self.fails(Problem.NO_SUCH_MAILBOX, self.store.append("Nowhere", [message()]))

    def test_uids_grow_in_place(self) -> None:
        """A session that remembers the array sees what comes, and keeps what goes."""
        box = self.open()
        self.append()
        held = box.uids
        self.append()
        self.assertIs(box.uids, held)
        self.do(box.mark([1], FlagAction.ADD, ["\\Deleted"]))
        self.do(box.expunge())
        self.assertEqual(list(held), [1, 2])
        self.assertEqual(list(box.uids), [2])

    def test_recent_is_claimed_once(self) -> None:
        """The first session gets \\Recent, EXAMINE takes none away (RFC 3501 §2.3.2)."""
        self.append()
        self.append()
        self.assertEqual(self.do(self.store.status("INBOX")).recent, 2)
        box = self.open()
        self.assertEqual(box.claim_recent(peek=True), 1)
        self.assertEqual(box.claim_recent(), 1)
        self.assertEqual(box.claim_recent(), 3)
        self.assertEqual(self.do(self.store.status("INBOX")).recent, 0)

    def test_status(self) -> None:
        """Counts without opening."""
        self.append("Subject: x\n\nabc\n", "\\Seen")
        self.append("Subject: x\n\n", "\\Deleted")
        found = self.do(self.store.status("INBOX"))
        self.assertEqual((found.messages, found.unseen, found.deleted, found.uidnext), (2, 1, 1, 3))
        self.assertEqual(found.size, len("Subject: x\r\n\r\nabc\r\n" + "Subject: x\r\n\r\n"))
        self.assertTrue(found.mailbox_id)
        self.fails(Problem.NO_SUCH_MAILBOX, self.store.status("Nowhere"))

    def test_quota(self) -> None:
        """What does not fit is refused, and nothing of it is left."""
        self.store = self.open_store(limit=1000)
        self.append("Subject: x\n\n" + "y" * 600 + "\n")
        self.fails(Problem.OVER_QUOTA, self.store.append("INBOX", [message("Subject: x\n\n" + "y" * 600 + "\n")]))
        self.fails(Problem.OVER_QUOTA, self.store.check_room("INBOX", 600))
        self.do(self.store.check_room("INBOX", 100))
        self.fails(Problem.NO_SUCH_MAILBOX, self.store.check_room("Nowhere", 100))
        self.assertEqual(self.do(self.store.status("INBOX")).messages, 1)
        found = self.do(self.store.quota())
        self.assertEqual(found.limit, 1000)
        self.assertEqual(found.messages, 1)
        self.assertTrue(600 < found.used < 700)

    # ------------------------------------------------------------ flags

    def test_mark(self) -> None:
        """Add, remove, replace; only what really changes is told, once, with who did it."""
        box = self.open()
        for _ in range(3):
            self.append()
        self.watcher.take()
        before = box.highest_modseq
        said = self.do(box.mark([1, 2], FlagAction.ADD, ["\\Seen"], by=self.watcher))
        self.assertEqual((said.changed, said.conflicting), ((1, 2), ()))
        self.assertGreater(said.modseq, before)
        self.assertEqual(box.highest_modseq, said.modseq)
        self.assertEqual(list(box.modseqs)[:2], [said.modseq, said.modseq])
        self.assertEqual(self.watcher.take(), [("flags", [1, 2], self.watcher)])
        self.assertEqual(self.do(box.mark([1, 2], FlagAction.ADD, ["\\seen"])).changed, ())
        self.assertEqual(self.watcher.take(), [])
        self.do(box.mark([2, 3, 99], FlagAction.REPLACE, ["\\Flagged", "Label"]))
        self.do(box.mark([1], FlagAction.REMOVE, ["\\Seen", "unknown"]))
        self.assertEqual(self.flags_of(box), [set(), {"flagged", "Label"}, {"flagged", "Label"}])
        self.do(box.mark([2], FlagAction.ADD, ["LABEL"]))
        self.assertEqual(list(box.keywords), ["Label"])

    def test_unchanged_since(self) -> None:
        """RFC 7162 §3.1.3: what changed meanwhile is left alone and reported."""
        box = self.open()
        self.append()
        self.append()
        first = box.highest_modseq
        self.do(box.mark([2], FlagAction.ADD, ["\\Seen"]))
        said = self.do(box.mark([1, 2], FlagAction.ADD, ["\\Flagged"], unchanged_since=first))
        self.assertEqual((said.changed, said.conflicting), ((1,), (2,)))

    def test_many_keywords(self) -> None:
        """More than 26 keywords work; more than 58 are refused and change nothing."""
        box = self.open()
        self.append()
        names = [f"k{n}" for n in range(40)]
        self.do(box.mark([1], FlagAction.ADD, names))
        self.assertEqual(self.flags_of(box), [set(names)])
        self.do(box.mark([1], FlagAction.REMOVE, ["k1", "k39"]))
        self.assertEqual(self.flags_of(box), [set(names) - {"k1", "k39"}])
        self.fails(Problem.LIMIT, box.mark([1], FlagAction.ADD, [f"more{n}" for n in range(30)]))
        self.assertEqual(self.flags_of(box), [set(names) - {"k1", "k39"}])

    # ------------------------------------------------------------ messages go

    def test_expunge(self) -> None:
        """\\Deleted ones only, of the given UIDs only; the array is a new one."""
        box = self.open()
        for _ in range(4):
            self.append("A: b\n\n", "\\Deleted")
        self.do(box.mark([2], FlagAction.REMOVE, ["\\Deleted"]))
        before = box.highest_modseq
        self.watcher.take()
        self.assertEqual(self.do(box.expunge([1, 2])), (1,))
        self.assertEqual(self.watcher.take(), [("expunged", [1])])
        self.assertEqual(self.do(box.expunge()), (3, 4))
        self.assertEqual(list(box.uids), [2])
        self.assertEqual(self.do(box.expunge()), ())
        self.assertEqual(self.do(box.vanished_since(before)), (1, 3, 4))
        self.assertEqual(self.do(box.vanished_since(box.highest_modseq)), ())
        self.assertEqual(self.append(), 5)

    def test_copy(self) -> None:
        """Flags, keywords and dates come along; UIDs that are gone are left out."""
        box = self.open()
        self.append("A: b\n\n1\n", "\\Seen", "$One", "$Two", date=5000.0)
        self.append("A: b\n\n2\n")
        other_watcher = Watching()
        other = self.open("Archive", other_watcher)
        self.append("A: b\n\n0\n", "$Two", name="Archive")
        said = self.do(box.copy([1, 2, 77], "Archive"))
        self.assertEqual((said.uidvalidity, said.source_uids, said.target_uids), (other.uidvalidity, (1, 2), (2, 3)))
        self.assertEqual(self.flags_of(other), [{"$Two"}, {"seen", "$One", "$Two"}, set()])
        self.assertEqual(other.dates[1], 5000)
        self.assertEqual(other_watcher.told[-1], ("arrived", 3))
        self.assertEqual(list(box.uids), [1, 2])
        self.fails(Problem.NO_SUCH_MAILBOX, box.copy([1], "Nowhere"))

    def test_copy_onto_itself(self) -> None:
        """COPY to the selected mailbox."""
        box = self.open()
        self.append("A: b\n\n1\n", "\\Seen")
        self.assertEqual(self.do(box.copy([1], "INBOX")).target_uids, (2,))
        self.assertEqual(self.flags_of(box), [{"seen"}, {"seen"}])

    def test_move(self) -> None:
        """RFC 6851: there afterwards, and no longer here."""
        box = self.open()
        self.append("A: b\n\n1\n", "\\Flagged")
        self.append("A: b\n\n2\n")
        self.watcher.take()
        said = self.do(box.copy([1], "Trash", move=True))
        self.assertEqual((said.source_uids, said.target_uids), ((1,), (1,)))
        self.assertEqual(list(box.uids), [2])
        self.assertEqual(self.watcher.take(), [("expunged", [1])])
        self.assertEqual(self.flags_of(self.open("Trash", Watching())), [{"flagged"}])

    # ------------------------------------------------------------ reading

    def test_rows(self) -> None:
        """Prerendered columns in the order asked for, by UID; gone messages are left out."""
        box = self.open()
        self.append(NEWS + "\nHello there\n", date=1700000000.0, zone=60)
        self.append("Subject: two\nX-Other: y\n\nbody\n", date=1700000000.0)
        columns: list[Column | Fields] = [
            Column.SIZE,
            Column.ENVELOPE,
            Column.INTERNALDATE,
            Column.BODYSTRUCTURE,
            Fields(("subject",)),
            Fields(("subject",), exclude=True),
            Column.PREVIEW,
        ]
        for _ in range(2):
            rows = self.do(collect(box.rows([1, 2, 9], columns)))
            self.assertEqual([uid for uid, _ in rows], [1, 2])
            size, envelope, date, structure, fields, others, preview = rows[1][1]
            self.assertEqual(size, b"%d" % box.sizes[1])
            self.assertIn(b'"two"', envelope)
            self.assertEqual(date, b'"14-Nov-2023 22:13:20 +0000"')
            self.assertTrue(structure.startswith(b'("text" "plain"'), structure)
            self.assertEqual(fields, b"Subject: two\r\n\r\n")
            self.assertEqual(others, b"X-Other: y\r\n\r\n")
            self.assertEqual(preview, b"body")
            self.assertEqual(rows[0][1][2], b'"14-Nov-2023 23:13:20 +0100"')

    def test_rows_of_many(self) -> None:
        """Batches, and any choice of UIDs."""
        box = self.open()
        self.do(self.store.append("INBOX", [message(f"Subject: n{n}\n\nbody {n}\n") for n in range(1, 701)]))
        odd = [uid for uid in box.uids if uid % 2]
        rows = self.do(collect(box.rows(odd, [Fields(("subject",))])))
        self.assertEqual([(uid, list(row)) for uid, row in rows], [(n, [b"Subject: n%d\r\n\r\n" % n]) for n in odd])
        rows = self.do(collect(box.rows(list(box.uids), [Fields(("subject",))])))
        self.assertEqual([uid for uid, _ in rows], list(range(1, 701)))

    def test_files(self) -> None:
        """Octets with CRLF, in slices, small and large ones, with their structure."""
        box = self.open()
        small = "Subject: s\n\nline one\nline two"
        large = "Subject: l\n\n" + "".join(f"line {n}\n" for n in range(60_000))
        self.append(small)
        self.append(large)
        files = self.do(collect(box.files([1, 2, 5])))
        self.assertEqual([file.uid for file in files], [1, 2])
        for file, text in zip(files, (small, large), strict=True):
            wire = text.replace("\n", "\r\n").encode()
            self.assertEqual(file.size, len(wire))
            self.assertEqual(file.size, box.sizes[box.uids.index(file.uid)])
            self.assertEqual(self.do(file.read(0, 200_000)), wire[:200_000])
            for offset, length in ((0, 5), (11, 1), (7, 100), (65_530, 20), (len(wire) - 3, 50), (len(wire), 5)):
                self.assertEqual(self.do(file.read(offset, length)), wire[offset : offset + length])
            part = self.do(file.structure())
            self.assertEqual((part.start, part.body, part.end), (0, wire.index(b"\r\n\r\n") + 4, len(wire)))
            file.close()

    def test_search(self) -> None:
        """Every key against three messages."""
        box = self.open()
        noon = 1709294400  # 2024-03-01 12:00 UTC
        self.append(NEWS + "\nStraße am See\n", "\\Seen", "$Work", date=float(noon))
        self.append(
            "Subject: second\nDate: Sat, 2 Mar 2024 00:30:00 +0200\nContent-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: base64\n\nRHVyY2ggZGVuIFdhbGQ=\n",
            "\\Flagged",
            date=float(noon + DAY),
        )
        self.append("Subject: third\nX-Spam: no\n\n" + "word " * 100 + "\n", date=float(noon + 2 * DAY))
        day = noon // DAY
        table: list[tuple[keys.SearchKey, list[int]]] = [
            (keys.All(), [1, 2, 3]),
            (keys.HasFlag(SEEN), [1]),
            (keys.Not(keys.HasFlag(SEEN)), [2, 3]),
            (keys.HasKeyword("$work"), [1]),
            (keys.HasKeyword("nobody"), []),
            (keys.Or(keys.HasFlag(SEEN), keys.HasFlag(FLAGGED)), [1, 2]),
            (keys.And((keys.HasFlag(SEEN), keys.HasFlag(FLAGGED))), []),
            (keys.InHeader("subject", "gRÜß"), [1]),
            (keys.InHeader("from", "jürgen"), [1]),
            (keys.InHeader("x-spam", ""), [3]),
            (keys.InHeader("subject", ""), [1, 2, 3]),
            (keys.InHeader("cc", "x"), []),
            (keys.InBody("STRAßE"), [1]),
            (keys.InBody("den wald"), [2]),
            (keys.InBody("second"), []),
            (keys.InText("second"), [2]),
            (keys.InText("ord wor"), [3]),
            (keys.InternalDate("on", day), [1]),
            (keys.InternalDate("before", day + 1), [1]),
            (keys.InternalDate("since", day + 1), [2, 3]),
            (keys.SentDate("on", day), [1]),
            (keys.SentDate("since", day + 1), [2]),
            (keys.Size(400, larger=True), [3]),
            (keys.Size(400, larger=False), [1, 2]),
            (keys.ModSeq(box.modseqs[1]), [2, 3]),
            (keys.Among(((1, 1), (3, 9))), [1, 3]),
            (keys.Not(keys.And((keys.InBody("wald"), keys.HasFlag(FLAGGED)))), [1, 3]),
        ]
        for key, expected in table:
            self.assertEqual(list(self.do(box.search(key, list(box.uids), 1))), expected, key)
            self.assertEqual(list(self.do(box.search(key, [2], 1))), [uid for uid in expected if uid == 2], key)

    def test_search_by_age_and_recent(self) -> None:
        """WITHIN (RFC 5032) counts from now; RECENT is the session's."""
        box = self.open()
        now = self.clock.seconds()
        self.append(date=now - 1000)
        self.append(date=now - 10)
        self.assertEqual(list(self.do(box.search(keys.Age(100, younger=True), [1, 2], 1))), [2])
        self.assertEqual(list(self.do(box.search(keys.Age(100, younger=False), [1, 2], 1))), [1])
        self.assertEqual(list(self.do(box.search(keys.HasFlag(RECENT), [1, 2], 2))), [2])

    def test_two_watchers_and_release(self) -> None:
        """Both sessions are told; one that left is not."""
        second = Watching()
        box = self.open()
        self.assertIs(self.open("INBOX", second), box)
        self.append()
        self.assertEqual(self.watcher.take(), [("arrived", 1)])
        self.assertEqual(second.take(), [("arrived", 1)])
        box.release(second)
        self.append()
        self.assertEqual(second.take(), [])
        self.assertEqual(self.watcher.take(), [("arrived", 2)])


class RealStoreTests(StoreContract):
    """The contract, kept by store/."""

    def open_store(self, limit: int = 0) -> Mailstore:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        shop = Shop(folder, limit=limit)
        self.addCleanup(self._stop, shop)
        self.clock = shop.clock
        return shop.do(shop.stores.of(ANN))

    def _stop(self, shop: Shop) -> None:
        shop.stores.stop()
        self.assertEqual(shop.journal.failures, [])


class FakeStoreTests(StoreContract):
    """The contract, kept by the fake."""

    def open_store(self, limit: int = 0) -> Mailstore:
        self.clock = Clock()
        self.clock.advance(time.time())
        return self.do(FakeStores(self.clock, limit).of(ANN))


def shares_over(case: RealStoreTests | OwnThroughSharesTests, limit: int) -> tuple[Shop, Shares]:
    """The sharing station over a real store."""
    folder = tempfile.mkdtemp()
    case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    shop = Shop(folder, limit=limit)
    case.addCleanup(shop.stores.stop)
    case.clock = shop.clock
    shares = Shares(
        shop.stores,
        MailPapers(os.path.join(folder, "mail"), shop.workers),
        SeenMarks(Database(os.path.join(folder, "shares.db"), MIGRATIONS, shop.workers)),
        lambda: succeed((ANN, BEN)),
        shop.clock,
        shop.workers,
        shop.journal,
        os.path.join(folder, "spool"),
    )
    case.addCleanup(shares.stop)
    return shop, shares


class OwnThroughSharesTests(StoreContract):
    """The contract, kept by shares/ for what is one's own: it is the real store's."""

    def open_store(self, limit: int = 0) -> Mailstore:
        _, shares = shares_over(self, limit)
        return self.do(shares.of(ANN))

    def test_own_mailboxes_cost_nothing(self) -> None:
        """What is opened is the store's own open mailbox, not a wrapper of it."""
        self.assertIs(type(self.open()), OpenMailbox)


class Guest:
    """Ann's store, her mailboxes opened by Ben, who may do everything in them."""

    def __init__(self, case: OwnThroughSharesTests, limit: int) -> None:
        shop, self.shares = shares_over(case, limit)
        self.own, self.guest = shop.store, case.do(self.shares.of(BEN))
        for info in case.do(self.own.mailboxes()):
            self._share(case, info.name)
        self.case = case

    def _share(self, case: OwnThroughSharesTests, name: str) -> None:
        case.do(self.shares.change(ANN, name, str(BEN), ALL))

    async def create(self, name: str, use: SpecialUse | None = None) -> None:
        await self.own.create(name, use)
        await self.shares.change(ANN, name, str(BEN), ALL)

    def open(self, name: str, watcher: Watching, *, read_only: bool = False) -> Awaitable[Mailbox]:
        return self.guest.open(f"Other Users.ann.{name}", watcher, read_only=read_only)

    def append(self, name: str, messages: Sequence[NewMessage]) -> Awaitable[Appended]:
        return self.guest.append(f"Other Users.ann.{name}", messages)

    def status(self, name: str, *, sized: bool = True) -> Awaitable[MailboxStatus]:
        return self.guest.status(f"Other Users.ann.{name}", sized=sized)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


def _of_guest(case: OwnThroughSharesTests, limit: int = 0) -> Mailstore:
    return cast(Mailstore, Guest(case, limit))


# Of a tree that is not one's own other things hold (tests.shares), and \\Recent is the owner's.
_KEPT = (
    "test_uids_grow_in_place test_mark test_unchanged_since test_many_keywords test_expunge test_rows "
    "test_rows_of_many test_files test_search test_two_watchers_and_release"
).split()
GuestTests = type(
    "GuestTests",
    (SynchronousTestCase,),
    {
        **{name: what for name, what in vars(StoreContract).items() if not name.startswith("test_") or name in _KEPT},
        "open_store": _of_guest,
        "__doc__": "The contract of an open mailbox, kept by shares/ for somebody else's.",
    },
)

# The mixin itself is no case.
del StoreContract
