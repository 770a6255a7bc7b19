"""The door: routing, copies, queue entries, and one reply for each recipient."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.delivery.acceptance import AcceptanceSettings
from mailbox_appliance.journal.events.delivery import DiskFull, Kept, Leaked, MailboxFull, Queued, Refused
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Action, Verdict
from mailbox_appliance.ports.rounds import Commit
from mailbox_appliance.ports.users import Known, LocalMailbox, Resolution
from tests.kit.disk import RecordingDisk
from tests.kit.fake_relay import FakeRelay
from tests.kit.post_office import HOST, PostOffice, message, now

ANN, BOB = Address.parse("ann@example.org"), Address.parse("bob@example.org")
JUNK = Verdict(Action.JUNK, "looks like it")


class DoorCase(SynchronousTestCase):
    def office(self, **more):  # type: ignore[no-untyped-def]
        office = PostOffice(self.mktemp(), **more)
        self.addCleanup(office.close)
        return office


class LocalTests(DoorCase):
    """Mail for our own mailboxes."""

    def test_one_recipient(self) -> None:
        """The message is in the mailbox with Return-Path on top when the reply is made."""
        office = self.office()
        self.assertEqual(office.codes(["bob@example.org"]), [250])
        (octets,) = office.depot.files("bob@example.org")
        self.assertTrue(octets.startswith(b"Return-Path: <ann@example.org>\nFrom: Ann"))
        self.assertEqual(len(office.depot.there), 1)
        (kept,) = office.journal.of(Kept)
        self.assertEqual((kept.account, kept.mailbox, kept.recipient), ("bob@example.org", "INBOX", "bob@example.org"))

    def test_null_reverse_path(self) -> None:
        """The null path is written as such."""
        office = self.office()
        office.accept(["bob@example.org"], sender=None, origin=Origin.WAN)
        self.assertTrue(office.depot.files("bob@example.org")[0].startswith(b"Return-Path: <>\n"))

    def test_many_share_one_file(self) -> None:
        """Recipients get hard links of one file; an account that several addresses lead to gets one copy."""
        office = self.office()
        to = ["ann@example.org", "family@example.org", "bob+x@example.org", "cleo@example.org"]
        self.assertEqual(office.codes(to), [250] * 4)
        finals = [place.final for place in office.depot.there]
        self.assertEqual(len(finals), 3)
        self.assertEqual({os.stat(path).st_ino for path in finals}, {os.stat(finals[0]).st_ino})
        self.assertEqual(os.stat(finals[0]).st_nlink, 3)

    def test_held(self) -> None:
        """A message that is to wait waits in the queue, also when it is for us, and comes when its time has come."""
        office = self.office()
        parcel = office.parcel(["bob@example.org", "nobody@example.org"])
        hold_until = office.clock.seconds() + 3600
        parcel = replace(parcel, envelope=replace(parcel.envelope, hold_until=hold_until))
        self.assertEqual([receipt.reply.code for receipt in now(office.door.accept(parcel))], [250, 250])
        self.assertEqual(office.depot.there, [])
        office.later(3000, step=100)
        self.assertEqual(office.depot.there, [])
        office.later(1200, step=100)
        self.assertEqual([place.account for place in office.depot.there if place.account == BOB], [BOB])

    def test_unknown(self) -> None:
        """An address that vanished after RCPT is refused when it is alone."""
        office = self.office()
        (receipt,) = office.accept(["nobody@example.org"])
        self.assertEqual((receipt.reply.code, receipt.reply.enhanced), (550, "5.1.1"))
        self.assertEqual(len(office.journal.of(Refused)), 1)

    def test_junk(self) -> None:
        """A junk verdict means the folder Junk and the keyword, not a header field."""
        office = self.office()
        office.accept(["bob+lists@example.org"], sender="x@far.example", origin=Origin.WAN, verdict=JUNK)
        (place,) = office.depot.there
        self.assertEqual((place.mailbox, office.depot.flags[place.final]), ("Junk", frozenset({"$Junk"})))
        self.assertTrue(office.depot.files("bob@example.org", "Junk")[0].startswith(b"Return-Path: <x@far.example>\n"))

    def test_tag_chooses_a_folder(self) -> None:
        """A subaddress chooses the folder of its name when there is one; never one with a special use."""
        office = self.office()
        now(office.stores.get(BOB).create("Shop"))
        for tag, mailbox in [("shop", "Shop"), ("SHOP", "Shop"), ("other", "INBOX"), ("trash", "INBOX"), ("", "INBOX")]:
            with self.subTest(tag=tag):
                office.accept([f"bob+{tag}@example.org" if tag else "bob@example.org"])
                self.assertEqual(office.depot.there[-1].mailbox, mailbox)


class GivenTo:
    """Throw-away addresses that were all given to shop.example."""

    async def met(self, address: Address, sender: str, *, trusted: bool) -> str:
        return "" if sender == "shop.example" else "shop.example"


class ThrowawayTests(DoorCase):
    """Mail for an address that was given to one sender."""

    def leaked_to(self, sender: str, to: list[str], full: int = 0) -> tuple[PostOffice, list[frozenset[str]]]:
        office = self.office()
        office.depot.limits[ANN] = full
        known = Known((LocalMailbox(ANN),), "throwaway")
        directory = office.directory
        others = directory.resolve

        async def resolve(address: Address) -> Resolution:
            return known if address.local.startswith("shop-") else await others(address)

        self.patch(directory, "resolve", resolve)
        office.routing._throwaways = GivenTo()
        content = Content(f"From: Shop <orders@{sender}>\n\n".encode(), b"Buy.\n", 3)
        office.accept(to, sender="bounce@mailer.example", content=content, origin=Origin.WAN)
        return office, list(office.depot.flags.values())

    def test_the_right_sender(self) -> None:
        """Whom it was given to is told by From, not by the reverse path; its mail is like any other."""
        office, flags = self.leaked_to("shop.example", ["shop-x7k2p9@example.org"])
        self.assertEqual(flags, [frozenset()])
        self.assertEqual(office.journal.of(Leaked), [])

    def test_a_leak(self) -> None:
        """Another sender's mail arrives with the keyword, and the trail tells both domains."""
        office, flags = self.leaked_to("casino.example", ["ann@example.org", "shop-x7k2p9@example.org"])
        self.assertEqual(flags, [frozenset({"$Leak"})])
        (leaked,) = office.journal.of(Leaked)
        self.assertEqual(
            (leaked.recipient, leaked.domain, leaked.given_to),
            ("shop-x7k2p9@example.org", "casino.example", "shop.example"),
        )

    def test_a_leak_that_waits(self) -> None:
        """Ann's mailbox is full when it comes beside mail for others: the mark is there when there is room at last."""
        office, flags = self.leaked_to("casino.example", ["shop-x7k2p9@example.org", "bob@example.org"], full=10)
        self.assertEqual((flags, office.rows()), ([frozenset()], 1))
        office.depot.limits[ANN] = 0
        office.later(400)
        self.assertEqual(list(office.depot.flags.values()), [frozenset(), frozenset({"$Leak"})])
        self.assertEqual((len(office.journal.of(Leaked)), office.rows()), (1, 0))


class FullTests(DoorCase):
    """Quota and disk."""

    def test_full_mailbox(self) -> None:
        """Alone it is refused with 552, or 452 where the owner prefers that."""
        for temporary, code, enhanced in ((False, 552, "5.2.2"), (True, 452, "4.2.2")):
            office = self.office(acceptance=AcceptanceSettings(full_is_temporary=temporary))
            office.depot.limits[BOB] = 10
            (receipt,) = office.accept(["bob@example.org"])
            self.assertEqual((receipt.reply.code, receipt.reply.enhanced), (code, enhanced))
            self.assertEqual(len(office.journal.of(MailboxFull)), 1)
            self.assertEqual(office.queue_files(), [])

    def test_full_beside_others(self) -> None:
        """When somebody takes it, a full mailbox waits in the queue and gets the message when there is room."""
        office = self.office()
        office.depot.limits[BOB] = 10
        self.assertEqual(office.codes(["ann@example.org", "bob@example.org"]), [250, 250])
        self.assertEqual((len(office.depot.files("ann@example.org")), office.rows()), (1, 1))
        office.depot.limits[BOB] = 0
        office.later(400)
        self.assertEqual(len(office.depot.files("bob@example.org")), 1)
        self.assertEqual((len(office.depot.files("ann@example.org")), office.rows(), office.queue_files()), (1, 0, []))

    def test_full_behind_an_alias(self) -> None:
        """Of two mailboxes behind one address the one with room has it now, the other one later, nobody twice."""
        office = self.office()
        office.depot.limits[BOB] = 10
        self.assertEqual(office.codes(["family@example.org"]), [250])
        office.depot.limits[BOB] = 0
        office.later(400)
        self.assertEqual([len(office.depot.files(f"{n}@example.org")) for n in ("ann", "bob")], [1, 1])

    def test_each_answered(self) -> None:
        """Where each recipient hears its own reply nothing is queued in its stead."""
        office = self.office()
        office.depot.limits[BOB] = 10
        to = ["ann@example.org", "bob@example.org", "nobody@example.org"]
        self.assertEqual(office.codes(to, each_answered=True), [250, 552, 550])
        self.assertEqual(office.queue_files(), [])

    def test_vanished_beside_others(self) -> None:
        """Behind a common 250 an address that vanished becomes a report to our own sender."""
        office = self.office()
        self.assertEqual(office.codes(["bob@example.org", "nobody@example.org"]), [250, 250])
        (report,) = office.depot.files("ann@example.org")
        self.assertIn(b"nobody@example.org", report)
        self.assertEqual((office.rows(), office.queue_files()), (0, []))

    def test_disk_full(self) -> None:
        """A full disk is 452 for everybody; nothing stays, the quota is given back, the owner is told once a minute."""
        disk = RecordingDisk(lambda what, path: errno.ENOSPC if what == "write" else 0)
        office = self.office(disk=disk)
        for _ in range(3):
            codes = office.codes(["ann@example.org", "bob@example.org", "x@far.example"])
            self.assertEqual(codes, [452] * 3)
        self.assertEqual((office.depot.there, office.queue_files(), office.rows()), ([], [], 0))
        self.assertEqual(office.depot.used, {ANN: 0, BOB: 0})
        self.assertEqual(len(office.journal.of(DiskFull)), 1)
        disk.breaks = lambda what, path: errno.EIO if what == "sync" else 0
        (receipt,) = office.accept(["ann@example.org"])
        self.assertEqual((receipt.reply.code, receipt.reply.enhanced), (451, "4.3.0"))

    def test_room(self) -> None:
        """RCPT hears of a full mailbox and of a full disk before anything is sent."""
        office = self.office()
        bob = Recipient(BOB)
        self.assertIsNone(now(office.door.room_for(bob, 1000)))
        office.depot.limits[BOB] = 500
        reply = now(office.door.room_for(bob, 1000))
        assert reply is not None
        self.assertEqual((reply.code, reply.enhanced), (552, "5.2.2"))
        family = Recipient(Address.parse("family@example.org"))
        self.assertIsNone(now(office.door.room_for(family, 1000)), "ann has room")
        self.assertIsNone(now(office.door.room_for(Recipient(Address.parse("x@far.example")), 1000)))
        reply = now(office.door.room_for(Recipient(ANN), 1 << 60))
        assert reply is not None
        self.assertEqual((reply.code, reply.enhanced), (452, "4.3.1"))

    def test_slow_disk(self) -> None:
        """While something has waited too long for the disk, RCPT says 452; what is under way is finished and kept."""
        office = self.office()
        waiting: Deferred[None] = Deferred()
        commit = office.rounds.commit

        def later(job: Commit) -> Deferred[None]:
            return waiting.addCallback(lambda _: commit(job))

        bob = Recipient(BOB)
        with mock.patch.object(office.rounds, "commit", later):
            going = Deferred.fromCoroutine(office.door.accept(office.parcel(["ann@example.org"])))
            office.clock.advance(19)
            self.assertIsNone(now(office.door.room_for(bob, 1000)))
            office.clock.advance(2)
            reply = now(office.door.room_for(bob, 1000))
            assert reply is not None
            self.assertEqual((reply.code, reply.enhanced), (452, "4.3.1"))
            waiting.callback(None)
        (receipt,) = self.successResultOf(going)
        self.assertEqual(receipt.reply.code, 250)
        self.assertEqual(len(office.depot.files("ann@example.org")), 1)
        self.assertIsNone(now(office.door.room_for(bob, 1000)))

    def test_store_trouble(self) -> None:
        """A store that is broken is a temporary fault, not a full mailbox."""
        office = self.office()
        office.depot.broken.add(BOB)
        self.assertEqual(office.codes(["bob@example.org"]), [451])


class OutsideTests(DoorCase):
    """Mail that leaves, and mail that is forwarded."""

    def test_out(self) -> None:
        """A recipient outside is queued in the same round as the local copies, then sent."""
        office = self.office()
        self.assertEqual(office.codes(["bob@example.org", "x@far.example", "y@far.example"]), [250] * 3)
        (shipment,) = office.relay.shipments
        self.assertEqual(
            [str(r.forward_path) for r in shipment.envelope.recipients], ["x@far.example", "y@far.example"]
        )
        self.assertEqual(shipment.envelope.reverse_path, ANN)
        self.assertTrue(shipment.content.header.startswith(b"From: Ann"), "Return-Path is final delivery's")
        self.assertEqual(len(office.journal.of(Queued)), 1)
        self.assertEqual((office.queue_files(), office.rows()), ([], 0))

    def test_forward(self) -> None:
        """An alias to outside leaves under our own name and remembers the address that was written to."""
        office = self.office()
        office.accept(["both@example.org"], sender="x@far.example", origin=Origin.WAN)
        self.assertEqual(len(office.depot.files("ann@example.org")), 1)
        (shipment,) = office.relay.shipments
        (recipient,) = shipment.envelope.recipients
        self.assertEqual(str(recipient.forward_path), "someone@elsewhere.example")
        self.assertEqual(recipient.original, "rfc822;both@example.org")
        self.assertTrue(str(shipment.envelope.reverse_path).startswith("SRS0="))

    def test_two_ways_to_one_outside(self) -> None:
        """Two aliases that lead to one address outside send it once."""
        office = self.office()
        office.accept(["both@example.org", "away@example.org"])
        self.assertEqual([len(s.envelope.recipients) for s in office.relay.shipments], [1])

    def test_junk_is_not_forwarded(self) -> None:
        """Junk stays in Junk here, and is refused where there is no here."""
        office = self.office()
        more = {"sender": "x@far.example", "origin": Origin.WAN, "verdict": JUNK}
        self.assertEqual(office.codes(["both@example.org"], **more), [250])
        self.assertEqual(office.codes(["away@example.org"], **more), [550])
        self.assertEqual(office.codes(["bob@example.org", "away@example.org"], **more), [250, 250])
        self.assertEqual(office.relay.shipments, [])
        self.assertEqual(office.queue_files(), [])

    def test_loop(self) -> None:
        """A forward that has been here too often is refused; mail for a mailbox is not."""
        office = self.office()
        ours = f"Received: from x by {HOST} with ESMTP; Sun, 22 Nov 2026 15:31:11 +0000\n"
        others = "Received: from x by mail.example.orgy with ESMTP; Sun, 22 Nov 2026 15:31:11 +0000\n"
        for field, count, code in ((ours, 3, 250), (ours, 7, 554), (others, 7, 250), (others, 51, 554)):
            with self.subTest(field=field, count=count):
                content = message(more=field * count)
                self.assertEqual(office.codes(["away@example.org"], content=content), [code])
                self.assertEqual(office.codes(["bob@example.org"], content=content), [250])

    def test_captured(self) -> None:
        """In local mode nothing leaves: mail to outside is kept in the sender's folder Captured, naming whom it was for."""
        office = self.office(capture=True)
        to = ["bob@example.org", "x@far.example", "y@far.example"]
        self.assertEqual(office.codes(to, sender="cleo@example.org"), [250] * 3)
        (octets,) = office.depot.files("cleo@example.org", "Captured")
        self.assertTrue(octets.startswith(b"X-Captured-For: x@far.example\nX-Captured-For: y@far.example\nReturn-Path"))
        self.assertNotIn(b"far.example", office.depot.files("bob@example.org")[0])
        self.assertEqual(office.codes(["away@example.org"], sender="z@far.example", origin=Origin.WAN), [250])
        self.assertEqual(len(office.depot.files("ann@example.org", "Captured")), 1, "the domain's owner")
        self.assertEqual(office.relay.shipments, [])

    def test_success_report(self) -> None:
        """NOTIFY=SUCCESS is answered when the message is in the mailbox (RFC 3461 §5.2.4)."""
        office = self.office()
        office.accept([Recipient(BOB, frozenset({"SUCCESS"}))])
        (report,) = office.depot.files("ann@example.org")
        self.assertIn(b"Action: delivered\n", report)


class WhateverTests(DoorCase):
    """Any mixture of recipients and troubles."""

    def test_every_recipient_is_accounted_for(self) -> None:
        """Each recipient is either refused in the reply, or has its copy or queue entry when the reply is made."""
        names = ["ann", "bob", "cleo", "nobody", "family", "away", "both"]

        @settings(max_examples=80, deadline=None)
        @given(
            st.lists(st.sampled_from(names), min_size=1, max_size=6, unique=True),
            st.sets(st.sampled_from(["ann", "bob", "cleo"])),
            st.booleans(),
        )
        def play(to: list[str], full: set[str], each: bool) -> None:
            relay = FakeRelay()
            relay.slow = True
            office = PostOffice(self.mktemp(), relay=relay, start=False)
            for name in full:
                office.depot.limits[Address.parse(f"{name}@example.org")] = 1
            receipts = office.accept([f"{name}@example.org" for name in to], each_answered=each)
            queued = office.spool.database.run_now(
                lambda c: {f"{a}@{b}" for a, b in c.execute("SELECT local, domain FROM recipient")}
            )
            taken = [n for n, receipt in zip(to, receipts, strict=True) if receipt.reply.is_positive]
            members = {"family": ["ann", "bob"], "both": ["ann"], "away": []}
            for name in taken:
                for member in members.get(name, [name]):
                    here = bool(office.depot.files(f"{member}@example.org"))
                    self.assertTrue(here or f"{member}@example.org" in queued, f"{name}: {member} gets nothing")
                if name in ("away", "both"):
                    self.assertIn("someone@elsewhere.example", queued)
            if not taken:
                self.assertEqual((office.depot.there, queued), ([], set()))
            office.close()

        play()
