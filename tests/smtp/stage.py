"""A whole SMTP station over memory: the stage on which dialogues and tests are played."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from twisted.internet.task import Clock

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.checks import Checks
from mailbox_appliance.smtp.devices import Device
from mailbox_appliance.smtp.intake import Budget
from mailbox_appliance.smtp.limits import Limits, SmtpSettings
from mailbox_appliance.smtp.listener import SmtpStation
from mailbox_appliance.smtp.parts import Parts
from tests.kit.fake_acceptance import FakeAcceptance
from tests.kit.fake_directory import FakeDirectory
from tests.kit.fake_guard import FakeGuard
from tests.kit.fake_login import FakeLogIn
from tests.kit.journal import RememberedJournal
from tests.kit.tls import FakeCertificates, Peer
from tests.kit.workers import InlineWorkers

NOW = 1_763_800_000.0
STRANGER = "203.0.113.7"
DEVICE = "192.168.1.20"
SCANNER = "192.168.1.30"
NAS = "192.168.1.31"
FORWARDER = "198.51.100.77"


class House:
    """Two domains, three people, one station. ``peer`` connects somebody."""

    def __init__(self, *, checks: Checks | None = None, **limits: Any) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.spool = tempfile.mkdtemp(prefix="smtp-spool-")
        self.directory = FakeDirectory(
            {"example.org": "ann@example.org", "example.net": "ann@example.org"},
            ["ann@example.org", "bob@example.org", "cleo@example.net"],
            {
                "info@example.org": ["ann@example.org", "bob@example.org"],
                "away@example.org": ["someone@elsewhere.test"],
            },
        )
        self.log_in = FakeLogIn({"ann@example.org": "secret", "bob@example.org": "hidden"})
        self.guard = FakeGuard()
        self.acceptance = FakeAcceptance()
        self.journal = RememberedJournal()
        self.workers = InlineWorkers()
        self.certificates = FakeCertificates()
        self.settings = SmtpSettings(
            "mx.example.org",
            self.spool,
            lan=(ip_network("192.168.1.0/24"),),
            devices=(
                Device("scanner", (ip_network("192.168.1.30/32"),), frozenset({"ann@example.org", "@club.test"})),
                Device(
                    "nas",
                    (ip_network("192.168.1.31/32"),),
                    frozenset({"@example.org"}),
                    Address.parse("nas@example.org"),
                    3,
                ),
            ),
            own_addresses=frozenset({ip_address("198.51.100.1")}),
            forwarders=(ip_network("198.51.100.77/32"),),
            limits=replace(Limits(message_size=10_000_000), **limits),
        )
        self.parts = Parts(
            self.settings,
            self.clock,
            self.workers,
            self.journal,
            self.directory,
            self.log_in,
            self.guard,
            self.acceptance,
            Budget(self.settings.limits.memory_budget),
            checks,
        )
        self.station = SmtpStation(self.parts, self.certificates)
        self.peers: list[Peer] = []

    def settle(self, **settings: Any) -> None:
        """Change settings for the sessions to come."""
        self.settings = replace(self.settings, **settings)
        self.station.parts = self.parts = replace(self.parts, settings=self.settings)

    def peer(self, service: str = "smtp", address: str = STRANGER, *, wait: bool = True) -> Peer:
        """Connect; with ``wait`` the greeting is waited for."""
        peer = Peer(self.station.factory(service).buildProtocol(None), peer=address)
        self.peers.append(peer)
        if wait:
            self.clock.advance(self.settings.limits.banner_wait)
        return peer

    def user(self, name: str = "ann@example.org", password: str = "secret", address: str = STRANGER) -> Peer:
        """Somebody logged in on 465; everything said so far is taken."""
        peer = self.peer("submissions", address, wait=False)
        peer.start_tls()
        peer.taken()
        token = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        said = talk(peer, "EHLO laptop.test", f"AUTH PLAIN {token}")
        assert said.endswith("235 2.7.0 Welcome\r\n"), said
        return peer

    def close(self) -> None:
        """Everybody hangs up; nothing may be left behind."""
        for peer in self.peers:
            peer.hang_up()
        left = os.listdir(self.spool)
        shutil.rmtree(self.spool, ignore_errors=True)
        assert not left, f"left in the spool: {left}"
        assert not len(self.station), f"{len(self.station)} connections were not forgotten"
        assert self.parts.budget.left == self.settings.limits.memory_budget, "memory was not given back"


def talk(peer: Peer, *lines: str | bytes) -> str:
    """Say lines, one at a time; returns everything that was answered."""
    said = b""
    for line in lines:
        octets = line if isinstance(line, bytes) else line.encode() + b"\r\n"
        peer.send(octets)
        said += peer.taken()
    return said.decode()


def code(answer: str) -> str:
    """The code and enhanced code of the last reply."""
    last = answer.splitlines()[-1].split(" ")
    return f"{last[0]} {last[1]}"


class _Allowance:
    """So many recipients a message."""

    def __init__(self, most: int) -> None:
        self._most = most

    async def refusal(self, account: Address, recipients: Sequence[Address]) -> Reply | None:
        return Reply(452, "4.5.3", "Enough for today") if len(recipients) > self._most else None


class PlayedHouse:
    """tests.kit.dialogue.Stage: ``@ words`` set the scene (see ``direct``)."""

    def __init__(self, house: House | None = None) -> None:
        self.house = house or House()
        self._peer: Peer | None = None
        self._service, self._address = "smtp", STRANGER

    def _connected(self, *, wait: bool) -> Peer:
        if self._peer is None:
            self._peer = self.house.peer(self._service, self._address, wait=wait)
        return self._peer

    def send(self, octets: bytes) -> None:
        self._connected(wait=False).send(octets)

    def taken(self) -> bytes:
        return self._peer.taken() if self._peer is not None else b""

    def closed(self) -> bool:
        return self._connected(wait=False).closed()

    def direct(self, word: str, rest: str) -> None:
        """``service NAME``, ``from ADDRESS``, ``limit NAME N`` come first, then ``connect``; a C line before it talks too
        early. ``tls``, ``advance S``, ``full ADDRESS CODE``, ``fails ADDRESS CODE``, ``broken``, ``kept N``,
        ``header TEXT``, ``body TEXT``, ``no-header NAME``, ``envelope FIELD VALUE`` at any time; ``xclient CIDR``,
        ``allowance N`` before ``connect``."""
        house = self.house
        last = house.acceptance
        if word == "connect":
            self._connected(wait=True)
        elif word == "service":
            self._service = rest
        elif word == "from":
            self._address = rest
        elif word == "limit":
            name, _, number = rest.partition(" ")
            house.settle(limits=replace(house.settings.limits, **{name: int(number)}))
        elif word == "tls":
            self._connected(wait=True).start_tls()
        elif word == "advance":
            house.clock.advance(float(rest))
        elif word in ("full", "fails"):
            address, _, number = rest.partition(" ")
            reply = Reply(int(number), f"{number[0]}.2.2", "Mailbox full")
            (last.full if word == "full" else last.replies)[Address.parse(address)] = reply
        elif word == "allowance":
            house.station.parts = house.parts = replace(house.parts, allowance=_Allowance(int(rest)))
        elif word == "xclient":
            house.settle(xclient=(ip_network(rest),))
        elif word == "envelope":
            name, _, value = rest.partition(" ")
            found = repr(getattr(last.parcels[-1].envelope, name))
            assert found == value, f"{name} is {found}, not {value}"
        elif word == "broken":
            last.broken = RuntimeError("the disk is made of cheese")
        elif word == "kept":
            assert len(last.parcels) == int(rest), f"{len(last.parcels)} messages were kept, not {rest}"
        elif word == "header":
            header = last.parcels[-1].content.header.decode()
            assert rest.replace("\\t", "\t").replace("\\n", "\n") in header, f"{rest!r} not in {header!r}"
        elif word == "no-header":
            header = last.parcels[-1].content.header.decode().lower()
            assert f"\n{rest.lower()}:" not in "\n" + header, f"{rest} is in {header!r}"
        elif word == "body":
            body = last.bodies[-1].decode()
            wanted = rest.replace("\\n", "\n")
            assert body == wanted, f"the body is {body!r}, not {wanted!r}"
        else:
            raise ValueError(f"@ {word} means nothing here")
