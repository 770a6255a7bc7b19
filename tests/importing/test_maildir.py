"""Maildirs, and Dovecot's with their UIDs."""

from __future__ import annotations

import os

from mailbox_appliance.admin.result import Refused
from mailbox_appliance.importing.filing import FilingRefused
from mailbox_appliance.importing.found import SourceTrouble
from mailbox_appliance.importing.maildir import MaildirSource
from mailbox_appliance.store import subscriptions
from tests.importing.kit import ImportCase, Killed


class MaildirCase(ImportCase):
    """Old Maildirs are written here."""

    def put(self, name: str, text: str, box: str = "", place: str = "cur", date: int = 1_580_551_200) -> None:
        for one in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(self.old, box, one), exist_ok=True)
        path = os.path.join(self.old, box, place, name)
        with open(path, "w", newline="") as file:
            file.write(text)
        os.utime(path, (date, date))

    def note(self, name: str, text: str, box: str = "") -> None:
        with open(os.path.join(self.old, box, name), "w") as file:
            file.write(text)

    def dovecot(self) -> None:
        """A tree as Dovecot leaves it."""
        self.put("1.a:2,Sa", "Subject: a\n\nx\n")
        self.put("2.b:2,", "Subject: b\r\n\r\nx\r\n")
        self.put("3.c", "Subject: c\n\nx\n", place="new")
        self.note("dovecot-uidlist", "3 V1234 N90 G0123456789abcdef0123456789abcdef\n17 :1.a\n42 W20 :2.b\n80 :3.c\n")
        self.note("dovecot-keywords", "0 blue\n")
        self.put("4.d:2,F", "Subject: d\n\nx\n", ".Gesendet")
        self.note("dovecot-uidlist", "3 V1235 N8 G1123456789abcdef0123456789abcdef\n7 :4.d\n", ".Gesendet")
        self.note("subscriptions", "V\t2\n\nGesendet\nProjects\told\n")
        self.put("5.e:2,", "Subject: e\n\nx\n", ".Projects.old")


class MaildirTests(MaildirCase):
    """Message by message."""

    def test_flags_dates_keywords(self) -> None:
        """Letters are flags, small ones keywords; the file's time is the date; CRLF becomes LF."""
        self.put("1.a:2,FRSPb", "Subject: a\r\n\r\nx\r\n")
        self.put("2.b", "Subject: b\n\nx\n", place="new")
        self.note("dovecot-keywords", "1 blue\n")
        self.bring(MaildirSource(self.old))
        first = ("a", {"\\Flagged", "\\Answered", "\\Seen", "$Forwarded", "blue"}, 1_580_551_200, b"Subject: a\n\nx\n")
        self.assertEqual(self.mail()[0], first)
        self.assertEqual(self.mail()[1][1], frozenset())

    def test_layouts(self) -> None:
        """Maildir++ with and without INBOX., nested folders, a folder of Maildirs."""
        self.put("1.a", "Subject: a\n\nx\n", ".INBOX.Work")
        self.put("1.b", "Subject: b\n\nx\n", ".Entw&APw-rfe")
        self.bring(MaildirSource(self.old))
        self.assertEqual(self.subjects("Work"), ["a"])
        self.assertEqual(self.subjects("Drafts"), ["b"])
        os.rename(self.old, self.old + "1")
        self.put("1.c", "Subject: c\n\nx\n", "Work/deep")
        self.put("1.d", "Subject: d\n\nx\n", "Sent Items")
        self.bring(MaildirSource(self.old))
        self.assertEqual(self.subjects("Work.deep"), ["c"])
        self.assertEqual(self.subjects("Sent"), ["d"])

    def test_below(self) -> None:
        """--folder puts all of it aside."""
        self.put("1.a", "Subject: a\n\nx\n")
        self.put("1.b", "Subject: b\n\nx\n", ".Sent")
        self.bring(MaildirSource(self.old), under="Old")
        self.assertEqual(self.subjects("Old.INBOX"), ["a"])
        self.assertEqual(self.subjects("Old.Sent"), ["b"])

    def test_special_by_use(self) -> None:
        """The account calls its sent mail otherwise: what was below follows."""
        self.shop.do(self.shop.store.rename("Sent", "Outgoing"))
        self.put("1.a", "Subject: a\n\nx\n", ".Gesendet")
        self.put("1.b", "Subject: b\n\nx\n", ".Gesendet.2019")
        self.bring(MaildirSource(self.old))
        self.assertEqual(self.subjects("Outgoing"), ["a"])
        self.assertEqual(self.subjects("Outgoing.2019"), ["b"])

    def test_resume(self) -> None:
        """Killed at every moment of the handing over: nothing twice, nothing lost."""
        for number in range(900):
            self.put(f"{number:03}.x:2,S", f"Subject: {number}\n\nx{number % 7}\n")
        kills = [("before", "take", 1), ("after", "take", 1), ("before", "take", 2), ("after", "take", 2)]
        for when, what, count in kills:
            left = [count]

            def strike(verb: str, what: str = what, left: list[int] = left) -> None:
                if verb == what:
                    left[0] -= 1
                    if not left[0]:
                        raise Killed

            setattr(self, when, strike)
            with self.assertRaises(Killed):
                self.bring(MaildirSource(self.old))
            setattr(self, when, lambda verb: None)
            self.shop = self.shop.reopened()
        self.bring(MaildirSource(self.old))
        self.assertEqual(sorted(map(int, self.subjects())), list(range(900)))
        self.assertEqual(self.bring(MaildirSource(self.old)).filed, 0)

    def test_half_a_batch(self) -> None:
        """The keeper was killed when a part of the batch lay in its place: equal messages are told apart by number."""
        for number in range(10):
            self.put(f"{number}.x", f"Subject: {number // 2}\n\nx\n")

        def strike(verb: str) -> None:
            if verb == "take":
                box = self.shop.open()
                from mailbox_appliance.ports.store import FlagAction

                uids = list(box.uids)[::3]
                self.shop.do(box.mark(uids, FlagAction.ADD, ["\\Deleted"]))
                self.shop.do(box.expunge(uids))
                raise Killed

        self.after = strike
        with self.assertRaises(Killed):
            self.bring(MaildirSource(self.old))
        self.after = lambda verb: None
        self.bring(MaildirSource(self.old))
        self.assertEqual(sorted(self.subjects()), sorted(str(number // 2) for number in range(10)))

    def test_full(self) -> None:
        """Over quota: said, and gone on with when there is room."""
        for number in range(5):
            self.put(f"{number}.x", f"Subject: {number}\n\n" + "x" * 1000 + "\n")
        self.shop.limit = 3000
        with self.assertRaisesRegex(Refused, "account quota"):
            try:
                self.bring(MaildirSource(self.old))
            except FilingRefused as refused:
                raise Refused(str(refused)) from None
        self.shop.limit = 0
        self.bring(MaildirSource(self.old))
        self.assertEqual(len(self.subjects()), 5)

    def test_too_many_keywords(self) -> None:
        """Beyond what a mailbox can name, messages come without."""
        self.note("x", "")
        self.put("0.x:2,a", "Subject: 0\n\nx\n")
        self.shop.append("Subject: full\n\nx\n", *[f"word{number}" for number in range(58)])
        self.note("dovecot-keywords", "0 another\n")
        summary = self.bring(MaildirSource(self.old))
        self.assertEqual((summary.filed, summary.refused), (1, 0))

    def test_no_maildir(self) -> None:
        """Said."""
        with self.assertRaises(SourceTrouble):
            self.bring(MaildirSource(self.old))

    def test_gone_meanwhile(self) -> None:
        """Flags that change while we read are followed; what vanishes is said; links and pipes are not read."""
        self.put("1.a:2,", "Subject: a\n\nx\n")
        self.put("2.b:2,", "Subject: b\n\nx\n")
        os.mkfifo(os.path.join(self.old, "cur", "3.c:2,"))
        source = MaildirSource(self.old)
        (folder,) = source.folders()

        def known(keys: object) -> set[str]:
            os.rename(os.path.join(self.old, "cur", "1.a:2,"), os.path.join(self.old, "cur", "1.a:2,S"))
            os.unlink(os.path.join(self.old, "cur", "2.b:2,"))
            return set()

        found = list(source.messages(folder, known))
        self.assertEqual(getattr(found[0], "flags", None), {"\\Seen"})
        self.assertEqual([getattr(one, "why", "") for one in found[1:]], ["it went away meanwhile", "it is no file"])


class TakingOverTests(MaildirCase):
    """Dovecot's trees, UIDs and all."""

    def state(self, name: str) -> tuple[int, int, dict[int, str]]:
        box = self.shop.open(name)
        subjects = self.subjects(name)
        return box.uidvalidity, box.uidnext, dict(zip(box.uids, subjects, strict=True))

    def test_uids_stay(self) -> None:
        """UIDVALIDITY, UIDs, UIDNEXT, flags, keywords, names, special use and subscriptions."""
        self.dovecot()
        summary = self.bring(MaildirSource(self.old), takes_over=True)
        self.assertEqual(summary.adopted, 4)
        self.assertEqual(self.state("INBOX"), (1234, 90, {17: "a", 42: "b", 80: "c"}))
        self.assertEqual(self.mail()[0][1], {"\\Seen", "blue"})
        self.assertEqual(self.state("Gesendet"), (1235, 8, {7: "d"}))
        infos = {info.name: info for info in self.shop.do(self.shop.store.mailboxes())}
        self.assertEqual(getattr(infos["Gesendet"].special_use, "value", ""), "\\Sent")
        self.assertNotIn("Sent", infos)
        self.assertTrue(infos["Projects.old"].subscribed)
        self.assertEqual(self.subjects("Projects.old"), ["e"])
        self.assertIn("Gesendet", subscriptions.read(self.shop.root))
        self.assertEqual([name for name in os.listdir(os.path.dirname(self.shop.root)) if "adopting" in name], [])

    def test_again(self) -> None:
        """What came to the old server since then comes after it, once."""
        self.dovecot()
        self.bring(MaildirSource(self.old), takes_over=True)
        self.put("6.f", "Subject: f\n\nx\n", place="new")
        summary = self.bring(MaildirSource(self.old), takes_over=True)
        self.assertEqual((summary.filed, summary.adopted), (1, 0))
        self.assertEqual(self.subjects(), ["a", "b", "c", "f"])
        self.assertEqual(self.bring(MaildirSource(self.old), takes_over=True).filed, 0)

    def test_killed(self) -> None:
        """Before and behind each step: the third run ends it."""
        self.dovecot()
        for when in ("before", "after"):

            def strike(verb: str) -> None:
                if verb == "adopt":
                    raise Killed

            setattr(self, when, strike)
            with self.assertRaises(Killed):
                self.bring(MaildirSource(self.old), takes_over=True)
            setattr(self, when, lambda verb: None)
            self.shop = self.shop.reopened()
        self.bring(MaildirSource(self.old), takes_over=True)
        self.assertEqual(self.state("INBOX"), (1234, 90, {17: "a", 42: "b", 80: "c"}))
        self.assertEqual(self.state("Gesendet"), (1235, 8, {7: "d"}))
        self.assertEqual(self.subjects("Projects.old"), ["e"])

    def test_killed_in_the_middle_of_inbox(self) -> None:
        """The uidlist had come, a file had not: it follows."""
        self.dovecot()
        self.bring(MaildirSource(self.old), takes_over=True)
        staged = os.path.join(os.path.dirname(self.shop.root), "adopting-" + "0" * 16)
        from mailbox_appliance.importing import adopt

        staged = adopt.staging(os.path.dirname(self.shop.root), os.path.realpath(self.old))
        for place in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(staged, place))
        (name,) = [name for name in self.shop.files() if "2.b" in name]
        os.rename(os.path.join(self.shop.root, name), os.path.join(staged, name))
        self.shop = self.shop.reopened()
        self.bring(MaildirSource(self.old), takes_over=True)
        self.assertEqual(self.subjects(), ["a", "b", "c"])

    def test_own_mail_there(self) -> None:
        """A mailbox with messages is not replaced: the old ones are filed beside them."""
        self.shop.append("Subject: mine\n\nx\n", "blue")
        self.shop.append("Subject: sent\n\nx\n", name="Sent")
        self.dovecot()
        self.bring(MaildirSource(self.old), takes_over=True)
        self.assertEqual(self.subjects(), ["mine", "a", "b", "c"])
        self.assertEqual(self.state("Gesendet")[2], {7: "d"})
        self.assertEqual(self.subjects("Sent"), ["sent"])

    def test_welcome(self) -> None:
        """INBOX has the welcome that every account gets: it is numbered behind what is taken over."""
        self.shop.deliver("Subject: welcome\n\nx\n")
        self.dovecot()
        self.assertEqual(self.bring(MaildirSource(self.old), takes_over=True).adopted, 4)
        self.assertEqual(self.state("INBOX"), (1234, 91, {17: "a", 42: "b", 80: "c", 90: "welcome"}))

    def test_quota_counts(self) -> None:
        """What does not fit is not taken over; what does is counted."""
        self.dovecot()
        self.shop.limit = 20
        with self.assertRaises(FilingRefused):
            self.bring(MaildirSource(self.old), takes_over=True)
        self.shop.limit = 100_000
        self.bring(MaildirSource(self.old), takes_over=True)
        self.assertGreater(self.shop.do(self.shop.store.quota()).used, 50)
