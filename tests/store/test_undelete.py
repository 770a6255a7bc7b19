"""Expunged messages rest, come back as they were, and go in the end."""

from __future__ import annotations

import os
from typing import Any

from mailbox_appliance.ports.rounds import DiskTrouble
from mailbox_appliance.ports.store import FlagAction, StoreError
from mailbox_appliance.store import resting, undelete
from mailbox_appliance.store.folders import names_in
from tests.store.kit import ANN, StoreCase

DAY = 86_400


class RestCase(StoreCase):
    """Ann, who deletes."""

    def expunge(self, *uids: int, name: str = "INBOX") -> None:
        box = self.shop.open(name)
        self.shop.do(box.mark(list(uids), FlagAction.ADD, ["\\Deleted"]))
        self.assertEqual(self.shop.do(box.expunge(list(uids))), tuple(uids))

    def back(self, since: float = 0, mailbox: str = "") -> dict[str, int]:
        return self.shop.do(undelete.bring_back(self.shop.store, since, mailbox))

    @property
    def rest(self) -> str:
        return self.shop.store.ground.resting

    def resting(self) -> list[resting.Rested]:
        return [one for day in resting.days(self.rest) for one in resting.of_day(self.rest, day)]

    def state(self, name: str = "INBOX") -> list[tuple[frozenset[str], int, bytes]]:
        """Flags, date and octets of each message."""
        from mailbox_appliance.store.flags import flag_names

        box = self.shop.open(name)
        found = []
        for file in self.shop.collect(box.files(list(box.uids))):
            at = box.position(file.uid)
            octets = self.shop.do(file.read(0, 1000))
            found.append((frozenset(flag_names(box.flags[at], box.keywords)), box.dates[at], octets))
            file.close()
        return found


class UndeleteTests(RestCase):
    """There and back."""

    def test_as_it_was(self) -> None:
        """Folder, flags, keywords (also the 30th) and date come back; \\Deleted does not; UIDs are new."""
        many = [f"word{number}" for number in range(30)]
        self.shop.append("Subject: x\n\nfill\n", *many, name="Archive")
        uid = self.shop.append(
            "Subject: a\n\none\n", "\\Flagged", "\\Seen", "word29", "word2", name="Archive", date=1e9
        )
        before = self.state("Archive")[1]
        self.expunge(uid, name="Archive")
        self.assertEqual(len(self.state("Archive")), 1)
        self.assertEqual(self.back(), {"Archive": 1})
        self.assertEqual(self.state("Archive")[1], before)
        self.assertGreater(self.shop.open("Archive").uids[-1], uid)
        self.assertEqual(self.resting(), [])

    def test_keywords_mean_the_same(self) -> None:
        """The mailbox was deleted and made anew, where the letters have other meanings: the names count."""
        self.shop.do(self.shop.store.create("Old"))
        self.shop.append("Subject: a\n\none\n", "blue", "\\Answered", name="Old")
        self.shop.do(self.shop.store.delete("Old"))
        self.assertNotIn("Old", names_in(self.shop.root))
        self.shop.do(self.shop.store.create("Old"))
        self.shop.append("Subject: b\n\ntwo\n", "red", name="Old")
        self.assertEqual(self.back(), {"Old": 1})
        self.assertEqual(self.state("Old")[1][0], {"blue", "\\Answered"})

    def test_mailbox_is_made_again(self) -> None:
        """What lay in a mailbox that is no more comes back into one of that name."""
        self.shop.do(self.shop.store.create("Entwürfe.Zwei"))
        self.shop.append(name="Entwürfe.Zwei")
        self.shop.do(self.shop.store.delete("Entwürfe.Zwei"))
        self.assertEqual(self.back(), {"Entwürfe.Zwei": 1})
        self.assertEqual(len(self.state("Entwürfe.Zwei")), 1)

    def test_move_leaves_no_rests(self) -> None:
        """MOVE and the renaming of INBOX are no deletions."""
        uid = self.shop.append()
        self.shop.append()
        box = self.shop.open()
        self.shop.do(box.copy([uid], "Trash", move=True))
        self.shop.do(self.shop.store.rename("INBOX", "Elsewhere"))
        self.assertEqual(self.resting(), [])

    def test_only_some(self) -> None:
        """Since a moment, or from one mailbox."""
        self.expunge(self.shop.append("Subject: old\n\nx\n"))
        self.shop.clock.advance(3 * DAY)
        moment = self.shop.clock.seconds()
        self.expunge(self.shop.append("Subject: new\n\nx\n"))
        self.expunge(self.shop.append("Subject: sent\n\nx\n", name="Sent"), name="Sent")
        number, found = self.shop.do(undelete.listing(self.shop.store, 0, "", 2))
        self.assertEqual((number, len(found)), (3, 2))
        self.assertTrue(all(b"old" not in one.head for one in found))
        self.assertEqual(self.back(moment, "INBOX"), {"INBOX": 1})
        self.assertEqual(self.back(moment), {"Sent": 1})
        self.assertEqual(self.back(), {"INBOX": 1})
        self.assertEqual(self.back(), {})

    def test_quota(self) -> None:
        """What rests takes no room of the account's; what does not fit stays where it is."""
        self.shop.limit = 3000
        self.shop = self.shop.reopened()
        uid = self.shop.append("Subject: a\n\n" + "x" * 2000 + "\n")
        self.expunge(uid)
        self.shop.append("Subject: b\n\n" + "y" * 2000 + "\n")
        with self.assertRaises(StoreError):
            self.back()
        self.assertEqual(len(self.resting()), 1)

    def test_killed_between(self) -> None:
        """A message that was moved back without a UID is found by the next look, and is not moved again."""
        uid = self.shop.append("Subject: a\n\none\n", "\\Seen")
        self.expunge(uid)
        (one,) = self.resting()
        os.rename(one.path, os.path.join(self.shop.root, "new", one.file))
        self.reopen()
        self.assertEqual(self.back(), {})
        self.assertEqual(len(self.state()), 1)


class BoundsTests(RestCase):
    """How much and how long."""

    def test_switched_off(self) -> None:
        """With no days nothing rests."""
        self.reopen(undelete_age=0.0)
        self.expunge(self.shop.append())
        self.shop.append(name="Sent")
        self.shop.do(self.shop.store.delete("Sent"))
        self.assertEqual(self.resting(), [])

    def test_too_old(self) -> None:
        """After two weeks it is gone, day by day."""
        for _ in range(4):
            self.expunge(self.shop.append())
            self.shop.clock.advance(5 * DAY)
        self.shop.do(self.shop.stores.sweep_resting())
        self.assertEqual(len(self.resting()), 2)
        self.assertEqual(len(os.listdir(self.rest)), 2)

    def test_too_much(self) -> None:
        """The oldest go first, by size and by number, without anybody asking."""
        self.reopen(undelete_octets=5000)
        for number in range(8):
            self.expunge(self.shop.append(f"Subject: {number}\n\n" + "x" * 1000 + "\n"))
            self.shop.clock.advance(10)
        kept = sorted(one.when for one in self.resting())
        self.assertEqual(len(kept), 4)
        self.assertGreater(kept[0], self.shop.clock.seconds() - 60)
        resting.sweep(self.rest, self.shop.clock.seconds(), 14 * DAY, 1 << 30, most=1)
        self.assertEqual([one.when for one in self.resting()], kept[-1:])

    def test_for_good(self) -> None:
        """Emptied, wholly or up to a moment."""
        self.expunge(self.shop.append())
        self.shop.clock.advance(100)
        moment = int(self.shop.clock.seconds())
        self.expunge(self.shop.append())
        self.assertEqual(resting.empty(self.rest, moment), 1)
        self.assertEqual(len(self.resting()), 1)
        self.assertEqual(resting.empty(self.rest, 1e12), 1)
        self.assertEqual(os.listdir(self.rest), [])

    def test_full_disk(self) -> None:
        """An APPEND that finds the disk full has the oldest rest removed and goes through."""
        self.expunge(self.shop.append("Subject: a\n\none\n"))
        self.shop.append()
        self.shop.rounds.trouble = DiskTrouble("no space", full=True)
        run = self.shop.workers.run

        def then_room(door: str, job: Any, *args: Any) -> Any:
            if job is resting.make_room:
                self.shop.rounds.trouble = None
            return run(door, job, *args)

        self.shop.workers.run = then_room  # type: ignore[method-assign]
        self.shop.append()
        self.assertEqual(self.resting(), [])
        self.shop.rounds.trouble = DiskTrouble("no space", full=True)
        self.shop.workers.run = run  # type: ignore[method-assign]
        with self.assertRaises(StoreError):
            self.shop.append()

    def test_nowhere_to_rest(self) -> None:
        """Where the folder cannot be made the message is removed all the same."""
        uid = self.shop.append()
        with open(self.rest, "w"):
            pass
        self.expunge(uid)
        self.assertEqual(self.shop.files(), [])

    def test_long_names(self) -> None:
        """A file name with no room for the moment is shortened, with its flags."""
        self.shop.store.ground.disk  # noqa: B018 - the account is made
        name = "1.x" + "y" * 180 + ":2,F" + "S"
        self.shop.drop_in(name, place="cur")
        box = self.shop.open()
        self.shop.do(box.mark(list(box.uids), FlagAction.ADD, ["blue"]))
        bed = resting.Bed(self.rest, "", self.shop.clock.seconds())
        long = "z" * 250 + ":2,S"
        path = os.path.join(self.shop.root, "cur", "z" * 250 + ":2,S")
        with open(path, "w") as file:
            file.write("x")
        bed.note_keywords([(long, ["red"])])
        bed.lay(path, long)
        (one,) = self.resting()
        self.assertTrue(one.file.endswith(":2,S"))
        self.assertEqual(resting.keywords_beside(one.path)[one.base], ["red"])
        self.assertEqual(str(ANN), "ann@example.org")
