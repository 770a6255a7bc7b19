"""The edge's log-in on the store's port 587: good for mail of the pair, and for nothing else."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.link.account import EDGE, EdgeMayToo
from mailbox_appliance.link.keys import LinkFolder
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.ports.users import LogInRefused, PasswordCredentials
from mailbox_appliance.wire.link import Door
from tests.kit.fake_login import FakeLogIn
from tests.kit.post_office import now
from tests.link.pair import TwoHalves
from tests.smtp.stage import House, talk

SECRET = "a-secret-of-the-pair-which-is-long"
PINS = ("ab" * 32,)


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.secret = SECRET
        self.people = FakeLogIn({"ann@example.org": "secret"})
        self.door = EdgeMayToo(self.people, lambda: self.secret)

    def log_in(self, name: str, password: str, service: str = "submission") -> Any:
        return now(self.door.log_in(PasswordCredentials(name, password, service, "198.51.100.1")))

    def test_edge(self) -> None:
        """Only the secret, only for sending, only while there is one; a new one ends what began with the old."""
        principal = self.log_in(str(EDGE), SECRET)
        self.assertTrue(principal.paired)
        self.assertTrue(self.door.still_admits(principal))
        for name, password, service in (
            (str(EDGE), "wrong", "submission"),
            (str(EDGE), "", "submission"),
            (str(EDGE), SECRET, "imap"),
            ("ann@example.org", SECRET, "submission"),
        ):
            self.assertRaises(LogInRefused, self.log_in, name, password, service)
        self.secret = "another"
        self.assertFalse(self.door.still_admits(principal))
        self.secret = ""
        self.assertRaises(LogInRefused, self.log_in, str(EDGE), "")
        self.assertFalse(self.door.still_admits(principal))

    def test_people(self) -> None:
        """Everybody else as ever."""
        principal = self.log_in("ann@example.org", "secret")
        self.assertFalse(principal.paired)
        self.assertTrue(self.door.still_admits(principal))

    def test_policy(self) -> None:
        """After the log-in it is the policy's row "paired"; before it, and on port 25, nothing at all."""
        house = House()
        self.addCleanup(house.close)
        house.station.parts = house.parts = replace(house.parts, log_in=EdgeMayToo(house.log_in, lambda: self.secret))
        peer = house.user(str(EDGE), SECRET)
        said = talk(
            peer, "MAIL FROM:<x@far.example>", "RCPT TO:<ann@example.org>", "DATA", "From: x@far.example\r\n\r\n."
        )
        self.assertIn("250 2.0.0", said)
        (parcel,) = house.acceptance.parcels
        self.assertIs(parcel.origin, Origin.PAIRED)
        self.assertEqual((parcel.client.service, parcel.client.account), ("link", ""))
        self.secret = "another"
        self.assertIn("421", talk(peer, "MAIL FROM:<x@far.example>"))
        stranger = house.peer()
        token = base64.b64encode(f"\0{EDGE}\0{SECRET}".encode()).decode()
        self.assertNotIn("235", talk(stranger, "EHLO edge.test", f"AUTH PLAIN {token}"))


class DoorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.two = TwoHalves()
        self.addCleanup(self.two.stop)
        self.door = Door()
        self.two.store.own_door = lambda: self.door

    def test_told(self) -> None:
        """The edge hears where port 587 is, keeps it over a restart, hears of a new key, and of the end of it."""
        self.two.pair()
        self.assertIsNone(self.two.edge.door)
        for pins in (PINS, (*PINS, "cd" * 32)):
            self.door = Door("home.example.org", 587, self.two.store.secret, pins)
            self.two.pass_time(20)
            self.assertEqual(self.two.edge.door, self.door)
        self.assertEqual(LinkFolder(self.two.folders[1]).secret(), self.two.store.secret)
        again = self.two.new_edge()
        self.two.run(again.start())
        self.assertEqual(again.door, self.door)
        self.two.run(again.stop())
        self.door = Door()
        self.two.pass_time(20)
        self.assertIsNone(self.two.edge.door)
        self.assertEqual(self.two.changes.count("door"), 3)
        self.assertNotIn(self.two.store.secret, repr(self.two.edge_journal.events) + repr(self.door))

    def test_new_pairing_new_secret(self) -> None:
        """Who pairs again gets another secret."""
        self.two.pair()
        before = self.two.store.secret
        self.two.pair()
        self.assertNotEqual(self.two.store.secret, before)
