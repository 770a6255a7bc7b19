"""Devices of the house: what a scanner may do on port 25, and that it may do nothing else."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.assembly.devices import DevicesPart
from mailbox_appliance.guard.file import GuardFile
from mailbox_appliance.journal.events import smtp as told
from mailbox_appliance.journal.events.guard import MemoryLost
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.smtp.devices import DaysWork, Device
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers
from tests.smtp.stage import NAS, SCANNER, House, code, talk

LETTER = b"From: scanner@example.org\r\nSubject: page\r\n\r\nx\r\n.\r\n"


class LedgerTests(SynchronousTestCase):
    """A restart gives no new allowance."""

    def work(self, ledger: GuardFile) -> DaysWork:
        made = DevicesPart(ledger, self.clock, self.journal)  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(made.start()))
        return made.days_work

    def test_restart(self) -> None:
        """What was counted today is known to the next process, what was counted yesterday is not."""
        self.clock, self.journal = Clock(), RememberedJournal()
        self.clock.advance(1_800_000_000)
        nas = Device("nas", (), per_day=10)
        folder = self.mktemp()
        os.mkdir(folder)
        files = [GuardFile(os.path.join(folder, "guard.db"), InlineWorkers()) for _ in range(3)]
        for file in files:
            self.addCleanup(file.close)
        first = self.work(files[0])
        first.add("nas", 3, self.clock.seconds())
        first.add("nas", 1, self.clock.seconds())
        first.add("printer", 5, self.clock.seconds())
        second = self.work(files[1])
        self.assertEqual(second.left(nas, self.clock.seconds()), 6)
        second.add("nas", 2, self.clock.seconds())
        self.assertEqual(self.work(files[2]).left(nas, self.clock.seconds()), 4)
        self.clock.advance(86_400)
        self.assertEqual(self.work(files[2]).left(nas, self.clock.seconds()), 10)
        self.assertEqual(self.journal.events, [])

    def test_trouble(self) -> None:
        """A file that cannot be used is told of, and the day's work is counted all the same."""
        self.clock, self.journal = Clock(), RememberedJournal()
        made = self.work(GuardFile(os.path.join(self.mktemp(), "nowhere", "guard.db"), InlineWorkers()))
        made.add("nas", 3, 1.0)
        self.assertEqual(made.left(Device("nas", (), per_day=10), 1.0), 7)
        self.assertEqual(len(self.journal.of(MemoryLost)), 2)


class DeviceTests(SynchronousTestCase):
    """A whole session each."""

    def setUp(self) -> None:
        self.house = House()
        self.addCleanup(self.house.close)

    def test_scan(self) -> None:
        """To a listed address, in our house and outside; the journal names the device."""
        peer = self.house.peer(address=SCANNER)
        said = talk(
            peer,
            "EHLO scanner",
            "MAIL FROM:<scanner@example.org>",
            "RCPT TO:<ann@example.org>",
            "RCPT TO:<treasurer@club.test>",
            "DATA",
            LETTER,
        )
        self.assertTrue(said.splitlines()[-1].startswith("250 2.0.0"), said)
        (parcel,) = self.house.acceptance.parcels
        self.assertIs(parcel.origin, Origin.DEVICE)
        self.assertIn(b"\nMessage-ID:", parcel.content.header)  # mended as a submission
        self.assertNotIn(b"192.168.1.30", parcel.content.header)
        (accepted,) = [event for event in self.house.journal.events if isinstance(event, told.Accepted)]
        self.assertEqual(accepted.device, "scanner")

    def test_not_listed(self) -> None:
        """Others are refused, although the device stands in the LAN."""
        for recipient in ("bob@example.org", "x@elsewhere.test", "ann@example.net", "x@sub.club.test"):
            said = talk(
                self.house.peer(address=SCANNER), "EHLO s", "MAIL FROM:<a@example.org>", f"RCPT TO:<{recipient}>"
            )
            self.assertEqual(code(said), "550 5.7.1", recipient)
        refused = [event for event in self.house.journal.events if isinstance(event, told.RecipientRefused)]
        self.assertEqual({event.device for event in refused}, {"scanner"})

    def test_as_somebody_else(self) -> None:
        """Without send_as the reverse path and From must be ours."""
        said = talk(self.house.peer(address=SCANNER), "EHLO s", "MAIL FROM:<scanner@printer.local>")
        self.assertEqual(code(said), "550 5.7.1")
        peer = self.house.peer(address=SCANNER)
        talk(peer, "EHLO s", "MAIL FROM:<ann@example.org>", "RCPT TO:<ann@example.org>", "DATA")
        self.assertEqual(code(talk(peer, LETTER.replace(b"@example.org", b"@bank.test"))), "550 5.7.1")
        self.assertEqual(self.house.acceptance.parcels, [])

    def test_send_as(self) -> None:
        """A device that calls itself anything, or nothing, comes out as the owner said."""
        for sender, header in (
            ("nas@localhost.localdomain", b"From: NAS <nas@localhost>\r\nFrom: twice\r\nSender: x@y\r\n"),
            ("", b""),
        ):
            peer = self.house.peer(address=NAS)
            talk(peer, "EHLO nas", f"MAIL FROM:<{sender}>", "RCPT TO:<bob@example.org>", "DATA")
            said = talk(peer, header + b"Subject: disk\r\n\r\nfull\r\n.\r\n")
            self.assertEqual(said[:3], "250", said)
            parcel = self.house.acceptance.parcels[-1]
            self.assertEqual(str(parcel.envelope.reverse_path), "nas@example.org")
            lines = parcel.content.header.split(b"\n")
            self.assertEqual(
                [line for line in lines if line[:5] in (b"From:", b"Sende")], [b"From: nas <nas@example.org>"]
            )
            whole = parcel.content.header + (parcel.content.body if isinstance(parcel.content.body, bytes) else b"")
            self.assertEqual(parcel.content.lines, whole.count(b"\n"))

    def test_per_day(self) -> None:
        """Three recipients a day; refused ones do not count; tomorrow again."""

        def write(*recipients: str) -> str:
            peer = self.house.peer(address=NAS)
            talk(peer, "EHLO nas", "MAIL FROM:<a@b.test>")
            said = talk(peer, *(f"RCPT TO:<{recipient}>" for recipient in recipients))
            talk(peer, "DATA", b"Subject: x\r\n\r\n.\r\n", "QUIT")
            return code(said)

        self.assertEqual(write("bob@example.org", "ann@example.org", "nobody@example.org"), "550 5.1.1")
        self.assertEqual(write("bob@example.org"), "250 2.1.5")
        self.assertEqual(write("bob@example.org"), "452 4.5.3")
        self.house.clock.advance(86_400)
        self.assertEqual(write("bob@example.org", "ann@example.org"), "250 2.1.5")

    def test_submission_asks_for_a_login(self) -> None:
        """On 587 the device is a stranger like everybody."""
        said = talk(self.house.peer("submission", SCANNER, wait=False), "EHLO s", "MAIL FROM:<a@example.org>")
        self.assertEqual(said.splitlines()[-1][:3], "530")
