"""The parts of a pair as the service joins them: who may use 587 at the edge, and what the list says at once."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.firewall import open_ports
from mailbox_appliance.assembly.edge import EdgePart
from mailbox_appliance.assembly.store import StorePart
from mailbox_appliance.config.model import Checks, Config, HostPort, Listen
from mailbox_appliance.link.directory import EdgeDirectory
from mailbox_appliance.link.roster import Roster
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.wire.link import Entry
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import now
from tests.kit.workers import InlineWorkers

ANN, BOB = Address("ann", "example.org"), Address("bob", "example.org")
FEW = Listen(submission_from=(ip_network("192.0.2.0/24"),))


class Line:
    """As much of the link as the part asks here."""

    is_up = True
    peer_address = "::ffff:203.0.113.9"


class SubmissionFromTests(SynchronousTestCase):
    def setUp(self) -> None:
        parts: Any = (Clock(), InlineWorkers(), RememberedJournal(), FakeDns(""))
        self.part = EdgePart(Config("mx.example.org", role="edge", listen=FEW), *parts)
        self.line: Any = Line()
        self.part.link = self.line

    def enters(self, address: str, service: str = "submission") -> bool:
        return not self.part._may_enter(ip_address(address), service)

    def test_who(self) -> None:
        """The networks that are named, and the address where our store is just now; 993 is everybody's."""
        for address, may in (
            ("192.0.2.7", True),
            ("203.0.113.9", True),
            ("203.0.113.10", False),
            ("2001:db8::1", False),
        ):
            self.assertEqual(self.enters(address), may, address)
            self.assertEqual(self.enters(address, "submissions"), may, address)
            self.assertTrue(self.enters(address, "imaps"))
        self.line.peer_address = "2001:db8::1"
        self.assertTrue(self.enters("2001:db8::1"))
        self.assertFalse(self.enters("203.0.113.9"))
        self.line.is_up = False
        self.assertFalse(self.enters("2001:db8::1"))

    def test_what_people_say(self) -> None:
        """Their lists count as far as the owner lets them."""
        who, eve = Address("ann", "example.org"), Address("eve", "spam.example")
        roster = Roster([Entry("address", "ann@example.org"), Entry("sender", "ann@example.org @spam.example", "b")])
        for checks, expected in (
            (Checks(), Standing.BLOCKED),
            (Checks(switched_off=("sender",)), Standing.NONE),
        ):
            self.part.take_over(Config("mx.example.org", role="edge", checks=checks))
            self.part.directory = EdgeDirectory(lambda: roster, self.line, Clock())
            self.assertEqual(now(self.part.standing(who, eve)), expected, checks)

    def test_nobody_named(self) -> None:
        """Without the key everybody with a password."""
        self.part.take_over(Config("mx.example.org", role="edge"))
        self.assertTrue(self.enters("203.0.113.10"))

    def test_firewall(self) -> None:
        """A rule set cannot name an address that changes: the edge keeps its ports by itself, a store by the rules."""
        for role, networks in (("edge", ()), ("store", ("192.0.2.0/24",))):
            ports = {port: only for port, _, only in open_ports(Config("x.example.org", role=role, listen=FEW))}
            self.assertEqual((ports[587], ports[465]), (networks, networks), role)


class Depot:
    """Who has room; ``asked`` in order."""

    def __init__(self) -> None:
        self.full: set[Address] = set()
        self.asked: list[Address] = []

    async def room(self, account: Address, octets: int) -> bool:
        self.asked.append(account)
        return account not in self.full


class FullTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.depot = Depot()
        self.clock = Clock()
        self.clock.advance(1000)
        people: Any = type("Users", (), {})()
        people.directory = type("Directory", (), {})()
        people.directory.snapshot = type("Snapshot", (), {"accounts": (ANN, BOB)})()
        people.directory.watch = lambda watcher: None
        self.people = people
        parts: Any = (self.clock, InlineWorkers(), RememberedJournal(), people, None, self.depot, None)
        listen = Listen(submission_at=HostPort("home.example.org", 587))
        self.part = StorePart(Config("home.example.org", role="store", listen=listen), *parts)

    def look(self) -> set[Address]:
        now(self.part._look_who_is_full(self.clock.seconds()))
        return self.part._full

    def test_at_once(self) -> None:
        """A mailbox that has grown or shrunk is looked at with the next list, and only that one."""
        self.assertEqual(self.look(), set())
        self.assertEqual(sorted(map(str, self.depot.asked)), [str(ANN), str(BOB)])
        self.depot.full, self.depot.asked = {ANN}, []
        self.assertEqual((self.look(), self.depot.asked), (set(), []))
        self.part.counted(ANN)
        self.assertEqual((self.look(), self.depot.asked), ({ANN}, [ANN]))
        self.depot.full = set()
        self.part.counted(ANN)
        self.assertEqual(self.look(), set())

    def test_people_change(self) -> None:
        """Another quota may fill anybody's; who has gone is not full."""
        self.depot.full = {ANN, BOB}
        self.look()
        self.people.directory.snapshot.accounts = (BOB,)
        self.depot.asked = []
        self.part._people_changed()
        self.assertEqual((self.look(), self.depot.asked), ({BOB}, [BOB]))

    def test_door(self) -> None:
        """Port 587 is told of with our keys; without a key that could be pinned nobody is told."""
        self.part.link.secret = "a" * 32
        self.assertEqual(self.part._own_door().host, "")
        self.part.pins = lambda: ("3 1 1 " + "AB" * 32, "3 1 1 " + "cd" * 32)
        door = self.part._own_door()
        self.assertEqual((door.host, door.port, door.pins), ("home.example.org", 587, ("ab" * 32, "cd" * 32)))
