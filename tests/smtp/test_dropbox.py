"""Mail of local programs: from the command line's file to the house, with everything that may lie in the folder."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.cli import sendmail
from mailbox_appliance.journal.events.dropbox import DropIgnored, DropRefused, DropTaken
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.smtp import dropfolder
from mailbox_appliance.smtp.dropbox import MOST_AT_ONCE, DropBox
from mailbox_appliance.smtp.dropfolder import FOR_EVERYBODY
from mailbox_appliance.smtp.intake import Budget
from mailbox_appliance.smtp.limits import Limits
from mailbox_appliance.smtp.localmail import DropSettings, LocalMail
from mailbox_appliance.wire.dropped import DropError, Dropped, read_head
from tests.kit.fake_acceptance import FakeAcceptance
from tests.kit.fake_directory import FakeDirectory
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

ANN, OWNER = Address("ann", "example.org"), Address("owner", "example.org")
AUNT = Address("aunt", "example.com")


class DropCase(SynchronousTestCase):
    """A drop box over a real folder; ``user`` is who the files are said to be from."""

    user, trusted = "cron", frozenset[str]()

    def setUp(self) -> None:
        self.top = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.top)
        self.folder = os.path.join(self.top, "drop")
        self.clock = Clock()
        self.clock.advance(1_790_000_000)
        self.journal = RememberedJournal()
        self.house = FakeAcceptance()
        self.letters: list[tuple[Address, str, str]] = []
        directory = FakeDirectory({"example.org": "owner@example.org"}, ["ann@example.org", "owner@example.org"])
        self.settings = DropSettings(
            self.folder,
            os.path.join(self.top, "spool"),
            "mx.example.org",
            Limits(message_size=1_000_000),
            FOR_EVERYBODY,
            self.trusted,
        )
        # Files of a test belong to whoever runs it, who is trusted: the rules for others are asked for by uid.
        self.mail = LocalMail(self.settings, directory, None, lambda name: name in ("root", "cron", "backup"))
        self.patch(os, "geteuid", lambda: -1)
        self.real_fstat = os.fstat
        self.uid = 4711
        self.box = DropBox(
            self.clock, InlineWorkers(), self.journal, self.mail, self.house, Budget(1 << 20), lambda uid: self.user, self.notify,
        )  # fmt: skip
        self.successResultOf(self.looked())

    async def notify(self, to: Address, subject: str, text: str) -> bool:
        self.letters.append((to, subject, text))
        return True

    def looked(self) -> Any:
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(self.box.start())

    def send(self, *words: str, message: str | bytes = "Subject: hello\n\nworld\n") -> None:
        """As the command line does it, then the next look."""
        octets = message.encode() if isinstance(message, str) else message
        wishes = sendmail.Wishes(words)
        text = sendmail.read_message(io.BytesIO(octets), dots=wishes.dots)
        sendmail.drop(self.folder, Dropped(tuple(wishes.recipients), wishes.sender, wishes.name).head(), text)
        self.look()

    def look(self) -> None:
        def owned(descriptor: int) -> Any:
            found = self.real_fstat(descriptor)
            values = list(found)
            values[stat.ST_UID] = self.uid
            return os.stat_result(values, {"st_mtime_ns": found.st_mtime_ns})

        self.patch(os, "fstat", owned)
        self.clock.advance(self.settings.every)

    def left(self) -> list[str]:
        return sorted(os.listdir(self.folder))

    def header(self) -> str:
        return self.house.parcels[-1].content.header.decode()


class TakingTests(DropCase):
    """What goes through."""

    def test_cron(self) -> None:
        """A job's output: fields are made, the owner answers for a user without an address, the file goes."""
        self.assertEqual(stat.S_IMODE(os.stat(self.folder).st_mode), FOR_EVERYBODY)
        self.send(
            "-FCronDaemon", "-i", "root", message="From: root (Cron Daemon)\nTo: root\nSubject: job\n\nout\n.\nmore\r\n"
        )
        (refused,) = self.journal.of(DropRefused)  # "root" alone is no address for a From field
        self.assertEqual(self.house.parcels, [])
        self.assertEqual(self.letters[0][0], OWNER)
        self.assertIn("cron", refused.user)
        self.send("-FCronDaemon", "-i", "root", message="To: root\nSubject: job\n\nout\n.\nmore\r\n")
        (parcel,) = self.house.parcels
        self.assertEqual((parcel.origin, parcel.envelope.reverse_path), (Origin.LOCAL, OWNER))
        self.assertEqual([one.forward_path for one in parcel.envelope.recipients], [OWNER])
        self.assertRegex(
            self.header(),
            r'\AReceived: by mx\.example\.org \(from userid 4711\)\n\tid \w+; .*\nFrom: "CronDaemon" <owner@example\.org>\n'
            r"Date: .*\nMessage-ID: <.*@mx\.example\.org>\nTo: root\nSubject: job\n\n\Z",
        )
        self.assertEqual(self.house.bodies, [b"out\n.\nmore\n"])
        self.assertEqual(self.left(), [])
        (taken,) = self.journal.of(DropTaken)
        self.assertEqual((taken.user, taken.recipient), ("cron", ("owner@example.org",)))

    def test_recipients(self) -> None:
        """Bare names, those of the machine, and others; nobody twice; what is no address is told."""
        self.send(
            "ann", "backup", "root@mx.example.org", "owner", "aunt@example.com", "ann@example.org", "x@", "nobody"
        )
        (parcel,) = self.house.parcels
        paths = [str(one.forward_path) for one in parcel.envelope.recipients]
        self.assertEqual(paths, ["ann@example.org", "owner@example.org", "aunt@example.com", "nobody@example.org"])
        self.assertEqual([one.recipient for one in self.journal.of(DropRefused)], [("x@",)])

    def test_no_header(self) -> None:
        """Text alone is a body."""
        self.send("ann", message="backup done, 12 files\n")
        self.assertTrue(self.header().endswith("\n\n"))
        self.assertEqual(self.house.bodies, [b"backup done, 12 files\n"])

    def test_what_must_not_travel(self) -> None:
        """Bcc and fields that only we may write are taken out; NUL and bare CR never come in."""
        self.send(
            "ann", message=b"Bcc: x@example.com\r\nReturn-Path: <y>\r\nX-Spam-Flag: NO\r\nSubject: s\r\n\r\na\0b\rc\r\n"
        )
        for name in ("Bcc", "Return-Path", "X-Spam"):
            self.assertNotIn(name, self.header())
        self.assertEqual(self.house.bodies, [b"ab\nc\n"])

    def test_a_large_one(self) -> None:
        """Spooled, piece by piece, with line ends across the pieces right."""
        body = b"line\r\n" * 100_000
        self.send("ann", message=b"Subject: large\r\n\r\n" + body)
        self.assertEqual(self.house.bodies, [body.replace(b"\r\n", b"\n")])
        self.assertEqual(os.listdir(self.settings.spool), [])

    def test_put_off(self) -> None:
        """A full disk: it stays, and goes a minute later."""
        self.house.replies[ANN] = Reply(452, "4.3.1", "Not enough room")
        self.send("ann")
        self.assertEqual(len(self.left()), 1)
        self.house.parcels.clear()
        self.clock.advance(30)
        self.assertEqual(self.house.parcels, [])
        self.house.replies.clear()
        for _ in range(20):
            self.clock.advance(2)
        self.assertEqual((len(self.house.parcels), self.left(), self.letters), (1, [], []))

    def test_refused(self) -> None:
        """Its sender hears of it, once."""
        self.user = "ann"
        self.house.replies[AUNT] = Reply(550, "5.1.1", "no such user")
        self.send("aunt@example.com")
        ((to, _, text),) = self.letters
        self.assertEqual((to, self.left()), (ANN, []))
        self.assertIn("because no such user", text)


class RightsTests(DropCase):
    """Who may write as whom."""

    def sender_of(self, user: str, *words: str, message: str = "Subject: s\n\n") -> str:
        self.user = user
        self.house.parcels.clear()
        self.send(*words, "aunt@example.com", message=message)
        return str(self.house.parcels[0].envelope.reverse_path) if self.house.parcels else "refused"

    def test_reverse_path(self) -> None:
        """One's own, or the null path; somebody else's is not heeded."""
        self.assertEqual(self.sender_of("ann"), "ann@example.org")
        self.assertEqual(self.sender_of("ann", "-f", "ann@example.org"), "ann@example.org")
        self.assertEqual(self.sender_of("ann", "-f", "owner@example.org"), "ann@example.org")
        self.assertEqual(self.sender_of("cron", "-f", "ann@example.org"), "owner@example.org")
        self.assertEqual(self.sender_of("cron", "-f", "<>"), "None")
        self.assertEqual(self.sender_of("ann", "-f", "x@example.com"), "ann@example.org")

    def test_from(self) -> None:
        """Nobody of the machine writes as another of us; what is not ours is not our business, and not signed."""
        self.assertEqual(self.sender_of("cron", message="From: ann@example.org\n\n"), "refused")
        self.assertEqual(self.sender_of("ann", message="From: Ann <ann@example.org>\n\n"), "ann@example.org")
        self.assertEqual(self.sender_of("cron", message="From: cron@laptop.lan\n\n"), "owner@example.org")
        self.assertEqual(self.sender_of("cron", message="From: a@x.example, b@y.example\n\n"), "refused")

    def test_trusted(self) -> None:
        """Root, and who is named in the config."""
        self.uid = 0
        self.assertEqual(self.sender_of("root", "-f", "ann@example.org"), "ann@example.org")
        self.assertEqual(self.sender_of("root", message="From: ann@example.org\n\n"), "owner@example.org")

    def test_daily_limit(self) -> None:
        """A user's program that was taken over does not flood the world."""
        for _ in range(self.settings.outside_a_day):
            self.assertNotEqual(self.sender_of("ann"), "refused")
        self.assertEqual(self.sender_of("ann"), "refused")
        self.house.parcels.clear()
        self.send("owner@example.org")
        self.assertEqual(len(self.house.parcels), 1)
        self.clock.advance(86_400)
        self.assertNotEqual(self.sender_of("ann"), "refused")


class StrangeFilesTests(DropCase):
    """What else may lie in the folder."""

    def ignored(self) -> list[str]:
        self.look()
        return [one.reason for one in self.journal.of(DropIgnored)]

    def test_links_and_devices(self) -> None:
        """Not followed, not opened for long, not read: put aside."""
        secret = os.path.join(self.top, "secret")
        with open(secret, "wb") as file:
            file.write(Dropped(("aunt@example.com",)).head() + b"Subject: secret\n\n")
        os.symlink(secret, os.path.join(self.folder, "a.mail"))
        os.link(secret, os.path.join(self.folder, "b.mail"))
        os.mkfifo(os.path.join(self.folder, "c.mail"))
        os.mkdir(os.path.join(self.folder, "d.mail"))
        self.assertEqual(len(self.ignored()), 4)
        self.assertEqual(self.house.parcels, [])
        self.assertEqual(self.left(), ["a.ignored", "b.ignored", "c.ignored", "d.ignored"])
        self.assertTrue(os.path.exists(secret))

    def test_files_that_stay(self) -> None:
        """What cannot be put aside, since its place is taken, keeps nobody's mail waiting."""
        for number in range(MOST_AT_ONCE + 5):
            os.mkdir(os.path.join(self.folder, f"0{number:03}.mail"))
            os.makedirs(os.path.join(self.folder, f"0{number:03}.ignored", "full"))
        self.send("ann@example.org")
        self.clock.advance(self.settings.every)
        self.assertEqual(len(self.house.parcels), 1)
        told = len(self.journal.of(DropIgnored))
        self.clock.advance(self.settings.every)
        self.assertEqual(len(self.journal.of(DropIgnored)), told)

    def test_a_folder_of_others(self) -> None:
        """An owner who names the wrong folder is told so; its mode is not changed."""
        self.patch(os, "geteuid", os.getuid)
        for mode, name, stays in ((0o755, "hosts", True), (0o755, "0123.ignored", False), (0o755, "", False)):
            folder = os.path.join(self.top, name or "empty")
            os.mkdir(folder, mode)
            os.chmod(folder, mode)
            if name:
                with open(os.path.join(folder, name), "w"):
                    pass
            if stays:
                self.assertRaises(FileExistsError, dropfolder.prepared, folder, FOR_EVERYBODY)
            else:
                dropfolder.prepared(folder, FOR_EVERYBODY)
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), mode if stays else FOR_EVERYBODY)

    def test_rubbish(self) -> None:
        """No magic, no envelope, too large."""
        head = Dropped(("ann",)).head()
        for name, octets in (
            ("a.mail", b"hello"),
            ("b.mail", head[:21] + b"[]\nx"),
            ("c.mail", head[:21] + b'{"to": []}\nx'),
            ("d.mail", head[:21] + b'{"to": ["a\\u0000b"]}\nx'),
            ("e.mail", head + bytes(2_000_000)),
            ("f.mail", b""),
        ):
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(octets)
        self.assertEqual(len(self.ignored()), 6)
        self.assertEqual(self.house.parcels, [])

    def test_half_written(self) -> None:
        """What has not got its last name yet is left alone."""
        with open(os.path.join(self.folder, "123.abc"), "wb") as file:
            file.write(b"half")
        self.assertEqual((self.ignored(), self.left()), ([], ["123.abc"]))

    def test_one_bad_file_stops_nobody(self) -> None:
        """A fault over one file is journaled; the others go."""
        self.house.broken = RuntimeError("a fault")
        self.send("ann")
        self.assertEqual(len(self.journal.failures), 1)
        self.journal.failures.clear()
        self.house.broken = None
        self.send("owner")
        self.assertEqual([one.envelope.recipients[0].forward_path for one in self.house.parcels], [OWNER])
        self.assertEqual(len(self.left()), 1)


class LanguageTests(SynchronousTestCase):
    """The file's head, and the command line."""

    @given(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=30).filter(str.isprintable), min_size=1, max_size=20),
        st.none() | st.just("") | st.just("ann@example.org"),
        st.binary(max_size=50),
    )
    @settings(max_examples=100)
    def test_round_trip(self, recipients: list[str], sender: str | None, message: bytes) -> None:
        dropped = Dropped(tuple(recipients), sender, "Ann")
        found, offset = read_head(dropped.head() + message)
        self.assertEqual((found, (dropped.head() + message)[offset:]), (dropped, message))

    @given(st.binary(max_size=300))
    @settings(max_examples=200)
    def test_fuzz(self, octets: bytes) -> None:
        """Anything else is refused in words."""
        for one in (octets, Dropped(("a",)).head()[:21] + octets):
            try:
                read_head(one)
            except DropError as error:
                self.assertTrue(str(error))

    def test_flags(self) -> None:
        """As other sendmails take them."""
        for words, recipients, sender, from_header, dots in (
            (("-t", "-i"), [], None, True, True),
            (("-ti",), [], None, True, True),
            (("-oi", "-t"), [], None, True, True),
            (("-oem", "-odb", "a@b"), ["a@b"], None, False, False),
            (("-f", "x@y", "a"), ["a"], "x@y", False, False),
            (("-fx@y", "--", "-odd"), ["-odd"], "x@y", False, False),
            (("-r", "<>", "-bm", "-v", "-N", "never", "a"), ["a"], "", False, False),
            (("-B8BITMIME", "-FAnn B", "a"), ["a"], None, False, False),
        ):
            wishes = sendmail.Wishes(words)
            found = (wishes.recipients, wishes.sender, wishes.from_header, wishes.dots)
            self.assertEqual(found, (recipients, sender, from_header, dots), words)
        for words, code in ((("-bs",), 64), (("-bp",), 64), (("-Z",), 64)):
            self.assertEqual(self.assertRaises(sendmail.Stop, sendmail.Wishes, words).code, code)

    def test_from_the_header(self) -> None:
        """-t reads To, Cc and Bcc; of a message sent again the Resent ones alone."""
        header = (
            b"To: Ann <ann@example.org>,\n bob\nCc: group: c@d.example, e@f.example;\nBcc: g@h.example\nX-To: i@j\n\n"
        )
        found = sendmail.recipients_of(header)
        self.assertEqual(found, ["ann@example.org", "bob", "c@d.example", "e@f.example", "g@h.example"])
        self.assertEqual(sendmail.recipients_of(b"Resent-To: a@b.example\n" + header), ["a@b.example"])

    def test_nobody_to_write_to(self) -> None:
        """Said at once, with the code that programs know."""
        stop = self.assertRaises(
            sendmail.Stop, sendmail.run, ["-t"], None, io.BytesIO(b"Subject: x\n\nTo: a@b.example\n")
        )
        self.assertEqual(stop.code, 65)

    def test_a_dot_alone(self) -> None:
        """Ends the message, unless -i."""
        self.assertEqual(sendmail.read_message(io.BytesIO(b"a\n.\nb\n"), dots=False), b"a\n")
        self.assertEqual(sendmail.read_message(io.BytesIO(b"a\n.\nb\n"), dots=True), b"a\n.\nb\n")
