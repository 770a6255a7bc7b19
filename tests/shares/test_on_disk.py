"""Sharing over the real store: files beside mailboxes, messages that change their owner, folders of nobody."""

from __future__ import annotations

import os
from unittest import mock

from twisted.internet.defer import succeed

from mailbox_appliance.database import Database
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import FLAGGED, SEEN
from mailbox_appliance.mail.rights import ALL, read_rights
from mailbox_appliance.ports.habits import Filed
from mailbox_appliance.ports.sharing import FAMILY, Change
from mailbox_appliance.ports.store import FlagAction, Mailbox, Problem, StoreError
from mailbox_appliance.shares import crossing
from mailbox_appliance.shares.names import Where
from mailbox_appliance.shares.seen import MIGRATIONS, SeenMarks
from mailbox_appliance.shares.station import Shares
from mailbox_appliance.shares.store import SharingStore
from mailbox_appliance.store.papers import MailPapers
from tests.kit.rounds import octets_of
from tests.store.kit import ANN, StoreCase, Watching, content, message

BEN = Address("ben", "example.org")
LARGE = "Subject: large\n\n" + "".join(f"line {number} of a long message\n" for number in range(30_000))


class DiskCase(StoreCase):
    """Ann's mailbox Bills, on which Ben has ``rights``."""

    def setUp(self) -> None:
        super().setUp()
        self.shares = self.joined()
        self.addCleanup(lambda: self.shares.stop())  # noqa: PLW0108 - the one there is at the end
        self.do = self.shop.do
        self.do(self.shop.store.create("Bills"))

    def joined(self) -> Shares:
        shop = self.shop
        return Shares(
            shop.stores,
            MailPapers(os.path.join(self.folder, "mail"), shop.workers),
            SeenMarks(Database(os.path.join(self.folder, "shares.db"), MIGRATIONS, shop.workers)),
            lambda: succeed((ANN, BEN)),
            shop.clock,
            shop.workers,
            shop.journal,
            os.path.join(self.folder, "spool"),
            shop.stores.habits,
        )

    def grant(self, rights: str, mailbox: str = "Bills") -> None:
        self.do(self.shares.change(ANN, mailbox, str(BEN), read_rights(rights)))

    @property
    def ben(self) -> SharingStore:
        return self.do(self.shares.of(BEN))

    def open(self, name: str = "Other Users.ann.Bills", watcher: Watching | None = None) -> Mailbox:
        return self.do(self.ben.open(name, watcher or Watching()))

    def text(self, box: Mailbox, uid: int) -> bytes:
        (file,) = self.shop.collect(box.files([uid]))
        octets = b""
        while piece := self.do(file.read(len(octets), 1 << 18)):
            octets += piece
        file.close()
        return octets

    def refused(self, problem: Problem, work: object) -> None:
        with self.assertRaises(StoreError) as raised:
            self.do(work)  # type: ignore[arg-type]
        self.assertIs(raised.exception.problem, problem)


class FileTests(DiskCase):
    """dovecot-acl."""

    def test_written_and_gone(self) -> None:
        """It lies in the folder, readable by nobody else, and goes with the last right."""
        path = os.path.join(self.shop.root, ".Bills", "dovecot-acl")
        self.grant("lrs")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"user=ben@example.org lrs\n")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(os.path.dirname(path)).count("dovecot-acl.lock"), 0)
        self.grant("")
        self.assertFalse(os.path.exists(path))

    def test_inbox(self) -> None:
        """The inbox can be shared; its file lies beside its cur/."""
        self.grant("lr", "INBOX")
        self.assertTrue(os.path.exists(os.path.join(self.shop.root, "dovecot-acl")))
        self.shop.append()
        self.assertEqual(len(self.open("Other Users.ann.INBOX").uids), 1)

    def test_goes_with_the_mailbox(self) -> None:
        """A new name takes the rights along; a mailbox made again begins without."""
        self.grant("lr")
        ann = self.do(self.shares.of(ANN))
        self.do(ann.rename("Bills", "Paid"))
        self.assertEqual(self.do(self.shares.rights(BEN, "Other Users.ann.Paid")), frozenset("lr"))
        self.do(ann.delete("Paid"))
        self.do(ann.create("Paid"))
        self.refused(Problem.NO_SUCH_MAILBOX, self.shares.rights(BEN, "Other Users.ann.Paid"))

    def test_inherited(self) -> None:
        """What is made below a shared mailbox is shared alike."""
        self.grant("lrk")
        self.do(self.do(self.shares.of(ANN)).create("Bills.2024"))
        self.do(self.ben.create("Other Users.ann.Bills.2025"))
        names = [info.name for info in self.do(self.ben.mailboxes()) if "Bills." in info.name]
        self.assertEqual(names, ["Other Users.ann.Bills.2024", "Other Users.ann.Bills.2025"])

    def test_edited_by_hand(self) -> None:
        """Seen within half a minute; whatever stands in it, nobody gets more than it says."""
        self.grant("lr")
        self.do(self.ben.mailboxes())
        with open(os.path.join(self.shop.root, ".Bills", "dovecot-acl"), "wb") as file:
            file.write(b"\xff\xfe garbage\nanyone lri\n")
        self.do(self.ben.mailboxes())
        self.assertEqual(self.do(self.shares.rights(BEN, "Other Users.ann.Bills")), frozenset("lr"))
        self.shop.clock.advance(31)
        self.do(self.ben.mailboxes())
        self.assertEqual(self.do(self.shares.rights(BEN, "Other Users.ann.Bills")), frozenset("lri"))

    def test_not_a_mailbox(self) -> None:
        """No rights on what is not there, and none outside."""
        for name in ("Nothing", "../../ben/Maildir", "a/b"):
            with self.assertRaises(StoreError):
                self.do(self.shares.change_at(Where(ANN, name), "anyone", ALL, Change.REPLACE, by=""))

    def test_forgotten_people(self) -> None:
        """Rights and marks of somebody who is gone for good go too."""
        self.grant("lrs")
        self.shop.append(name="Bills")
        self.do(self.open().mark([1], FlagAction.ADD, ["\\Seen"]))
        self.assertEqual(self.do(self.shares.marks.readers()), [str(BEN)])
        self.do(self.shares.forget_all_but({ANN}))
        self.assertEqual(self.do(self.shares.marks.readers()), [])
        self.assertFalse(os.path.exists(os.path.join(self.shop.root, ".Bills", "dovecot-acl")))


class MarkTests(DiskCase):
    """Marks in shares.db."""

    def test_the_owners_files_stay_as_they_are(self) -> None:
        """Ben's mark is in no file name, and outlives the loss of the index."""
        self.grant("lrs")
        self.shop.append(name="Bills")
        before = self.shop.files(".Bills")
        box = self.open()
        self.do(box.mark([1], FlagAction.ADD, ["\\Seen"]))
        self.assertEqual(self.shop.files(".Bills"), before)
        told = box.highest_modseq
        self.shares.stop()
        self.shop.lose_index()
        self.shop.clock.advance(2)
        self.reopen()
        self.shares = self.joined()
        self.do = self.shop.do
        box = self.open()
        self.assertEqual([flags & SEEN for flags in box.flags], [SEEN])
        self.assertGreater(box.highest_modseq, told)
        self.assertEqual(list(self.do(box.search(keys.HasFlag(SEEN), [1], 1))), [1])

    def test_nobody_left(self) -> None:
        """When the last session leaves, the owner's mailbox may rest."""
        self.grant("lr")
        watcher = Watching()
        box = self.open(watcher=watcher)
        self.assertEqual(len(self.shop.store.boxes["Bills"].watchers), 1)
        box.release(watcher)
        self.assertEqual(self.shop.store.boxes["Bills"].watchers, [])
        self.assertEqual(self.shares._open, set())


class CrossingTests(DiskCase):
    """COPY and MOVE between accounts."""

    def both(self) -> Mailbox:
        self.grant("lrswite")
        for number, flags in ((1, ["\\Flagged"]), (2, []), (3, ["$Fun"])):
            self.shop.append(f"Subject: {number}\n\nbody {number}\n", *flags, name="Bills", date=1_700_000_000 + number)
        return self.open()

    def test_out_and_in(self) -> None:
        """Octets, flags, dates and order stay; \\Seen is the reader's; COPYUID's lists run in step."""
        box = self.both()
        self.do(box.mark([2], FlagAction.ADD, ["\\Seen"]))
        done = self.do(self.ben.copy(box, [1, 2, 3], "INBOX"))
        self.assertEqual((done.source_uids, done.target_uids), ((1, 2, 3), (1, 2, 3)))
        mine = self.open("INBOX")
        self.assertEqual([f & (SEEN | FLAGGED) for f in mine.flags], [FLAGGED, SEEN, 0])
        self.assertEqual(list(mine.keywords), ["$Fun"])
        self.assertEqual(list(mine.dates), list(box.dates))
        self.assertEqual(self.text(mine, 2), self.text(box, 2))
        back = self.do(self.ben.copy(mine, [2], "Other Users.ann.Bills", move=True))
        self.assertEqual(back.target_uids, (4,))
        self.assertEqual(list(mine.uids), [1, 3])
        self.assertEqual(box.flags[3] & SEEN, SEEN)
        self.assertEqual(self.shop.open("Bills").flags[3] & SEEN, 0)

    def test_learned(self) -> None:
        """Whose mailbox it has come into is told of it, and from where, in his own words."""
        told: list[Filed] = []
        with mock.patch.object(self.shop.stores.habits, "filed", told.append):
            box = self.both()
            self.do(self.ben.copy(box, [1, 2], "Junk", move=True))
            self.do(self.ben.copy(self.open("Junk"), [1], "Other Users.ann.Bills"))
            self.refused(Problem.NO_SUCH_MAILBOX, self.ben.copy(self.open("Junk"), [1], "Other Users.ann.Else"))
            self.do(self.ben.copy(box, [99], "INBOX"))
        self.assertEqual(
            told,
            [
                Filed(BEN, "Other Users.ann.Bills", "Junk", (1, 2), moved=True),
                Filed(ANN, "Other Users.ben.Junk", "Bills", (4,), moved=False),
            ],
        )

    def test_large(self) -> None:
        """A large message goes by a file; nothing is left of it."""
        self.grant("lr")
        self.shop.append(LARGE, name="Bills")
        box = self.open()
        self.do(self.ben.copy(box, [1], "INBOX"))
        self.assertEqual(self.text(self.open("INBOX"), 1), LARGE.replace("\n", "\r\n").encode())
        self.assertEqual(os.listdir(os.path.join(self.folder, "spool")), [])

    def test_all_or_nothing(self) -> None:
        """When a later batch finds no room, what was appended before is taken back."""
        box = self.both()
        with mock.patch.object(crossing, "MESSAGES", 1), mock.patch.object(self.ben.own, "append", self.failing()):
            self.refused(Problem.OVER_QUOTA, self.ben.copy(box, [1, 2, 3], "INBOX", move=True))
        self.assertEqual(list(self.open("INBOX").uids), [])
        self.assertEqual(list(box.uids), [1, 2, 3])

    def failing(self) -> object:
        append, left = self.ben.own.append, [1]

        async def once(name: str, messages: object) -> object:
            if not left:
                raise StoreError(Problem.OVER_QUOTA, "the mailbox is full")
            left.pop()
            return await append(name, messages)  # type: ignore[arg-type]

        return once

    def test_within_one_owner(self) -> None:
        """Between two mailboxes of Ann's the store links files; Ben's marks go along."""
        box = self.both()
        self.do(self.shop.store.create("Paid"))
        self.grant("lrswite", "Paid")
        self.do(box.mark([1], FlagAction.ADD, ["\\Seen"]))
        done = self.do(self.ben.copy(box, [1, 3], "Other Users.ann.Paid", move=True))
        self.assertEqual(done.source_uids, (1, 3))
        paid = self.open("Other Users.ann.Paid")
        self.assertEqual([flags & SEEN for flags in paid.flags], [SEEN, 0])
        self.assertEqual([flags & SEEN for flags in self.shop.open("Paid").flags], [0, 0])
        self.assertEqual(list(box.uids), [2])

    def test_fewer_rights_there(self) -> None:
        """Flags that Ben may not set there are left behind."""
        box = self.both()
        self.do(self.shop.store.create("Box"))
        self.grant("lrsi", "Box")
        self.do(self.ben.copy(box, [1, 3], "Other Users.ann.Box"))
        self.assertEqual(list(self.shop.open("Box").flags), [0, 0])
        self.grant("i", "Box")  # a drop box: nobody sees it, and mail can be put in
        self.do(self.ben.copy(box, [2], "Other Users.ann.Box"))
        self.assertEqual(len(self.shop.open("Box").uids), 3)
        self.refused(Problem.NO_SUCH_MAILBOX, self.ben.open("Other Users.ann.Nothing", Watching()))

    def test_quota_is_the_owners(self) -> None:
        """What lies with Ann counts to Ann."""
        self.both()
        self.assertEqual(self.do(self.ben.quota("Other Users.ann.Bills")).messages, 3)
        self.assertEqual(self.do(self.ben.quota()).messages, 0)


class FamilyFolderTests(DiskCase):
    """Folders of nobody."""

    def test_a_lists_archive(self) -> None:
        """Made once, delivered into, read by all with marks of their own; rights given later are not undone."""
        self.do(self.shares.make("Lists.family", {"anyone": "lrs"}))
        self.do(self.shares.make("Shared.Lists.family", {"anyone": "lrswite"}))
        self.assertEqual(self.do(self.shares.names()), ["Shared.Lists.family"])
        octets = content("Subject: to all\n\nhello\n")
        place = self.do(self.shop.depot.place(FAMILY, "Shared.Lists.family", octets))
        with open(place.first, "wb") as file:
            file.write(octets_of(octets))
        os.link(place.first, place.final)
        os.unlink(place.first)
        self.shop.depot.arrived(place, octets)
        self.shop.clock.advance(5)
        infos = {info.name: info for info in self.do(self.ben.mailboxes()) if info.name.startswith("Shared")}
        self.assertEqual([info.selectable for info in infos.values()], [False, False, True])
        box = self.open("Shared.Lists.family")
        self.assertEqual(len(box.uids), 1)
        self.do(box.mark([1], FlagAction.ADD, ["\\Seen"]))
        ann = self.do(self.do(self.shares.of(ANN)).status("Shared.Lists.family"))
        self.assertEqual((ann.messages, ann.unseen), (1, 1))
        self.refused(Problem.NO_RIGHT, self.ben.append("Shared.Lists.family", [message()]))
        self.do(self.shares.remove("Lists.family"))
        self.refused(Problem.NO_SUCH_MAILBOX, self.ben.status("Shared.Lists.family"))

    def test_names_of_the_namespaces(self) -> None:
        """Nobody makes a mailbox of his own that looks like the place of everybody else's."""
        self.do(self.ben.create("Bills"))
        for name in ("Other Users", "Shared"):
            self.refused(Problem.NOT_ALLOWED, self.ben.create(name))
            self.refused(Problem.NOT_ALLOWED, self.ben.rename("Bills", name))
        self.do(self.ben.create("Shared things"))

    def test_an_own_mailbox_of_that_name(self) -> None:
        """It was there before, and comes first."""
        self.do(self.shares.make("Recipes", {"anyone": "lrs"}))
        own = self.do(self.shop.stores.of(BEN))
        self.do(own.create("Shared.Recipes"))
        self.do(own.append("Shared.Recipes", [message()]))
        self.assertEqual(self.do(self.ben.status("Shared.Recipes")).messages, 1)
        names = [info.name for info in self.do(self.ben.mailboxes())]
        self.assertEqual(names.count("Shared.Recipes"), 1)
