"""The scanners behind their door, over sockets in memory."""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.verdict import decide
from mailbox_appliance.journal.events.scanners import ScannerAnswers, ScannerDown
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Client, Origin, peer_address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.scanners import Scanned
from mailbox_appliance.scanners.settings import ScannerSettings
from mailbox_appliance.scanners.station import OutsideScanners
from mailbox_appliance.wire import milter
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

SPAM = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 10.0 / 5.0\r\n\r\nGTUBE\r\n"
RSPAMD = b'HTTP/1.1 200 OK\r\n\r\n{"score": 1, "required_score": 10, "action": "no action"}'
HEADER = b"From: e@far.test\nSubject: x\n\n"


def parcel(body: bytes = b"hello\n") -> Parcel:
    envelope = Envelope(Address("e", "far.test"), (Recipient(Address("ann", "home.test")),))
    client = Client(peer_address("192.0.2.1"), 4000, "smtp", "far\r\n.test")
    return Parcel("t1", Origin.WAN, envelope, Content(HEADER, body, 4), client=client)


class Scene:
    """Scanners of our own kinds; ``conversations`` are the connections in their order."""

    def __init__(self, *kinds: str, **settings: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.journal = RememberedJournal()
        named = [ScannerSettings(kind, kind, path=f"/{kind}", hostname="mx.home.test", **settings) for kind in kinds]
        self.station = OutsideScanners(named, self.reactor, InlineWorkers(), self.journal)

    def scan(self, **what: Any) -> Deferred[Scanned]:
        async def ask() -> Scanned:
            return await self.station.scan(parcel(**what))

        return Deferred.fromCoroutine(ask())

    def connect(self, number: int) -> tuple[Any, StringTransport]:
        """Let the connection come about."""
        factory = self.reactor.unixClients[number][1]
        protocol = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def answer(self, number: int, octets: bytes) -> bytes:
        """Answer and close; what had been asked."""
        protocol, transport = self.connect(number)
        asked: bytes = transport.value()
        protocol.dataReceived(octets)
        protocol.connectionLost(Failure(ConnectionDone()))
        return asked

    def refuse(self, number: int) -> None:
        self.reactor.unixClients[number][1].clientConnectionFailed(None, Failure(ConnectionRefusedError()))


class StationTests(SynchronousTestCase):
    """Asked together; each has its rule."""

    def test_together(self) -> None:
        """Both are asked at once, in their words, and both are heard."""
        scene = Scene("spamd", "rspamd")
        asked = scene.scan()
        spamd, rspamd = scene.answer(0, SPAM), scene.answer(1, RSPAMD)
        self.assertRegex(
            spamd, rb"\ASYMBOLS SPAMC/1.5\r\nContent-length: \d+\r\n\r\nReturn-Path: <e@far.test>\r\nReceived: "
        )
        self.assertTrue(spamd.endswith(b"From: e@far.test\r\nSubject: x\r\n\r\nhello\r\n"))
        self.assertIn(
            b"\r\nIP: 192.0.2.1\r\nHelo: far??.test\r\nFrom: <e@far.test>\r\nRcpt: <ann@home.test>\r\n", rspamd
        )
        found = self.successResultOf(asked).evidence
        self.assertEqual([(one.result, one.weight) for one in found], [("spam", 10.0), ("ham", 0.5)])
        self.assertEqual(decide(found, ChecksSettings("x")).action, Action.REJECT)

    def test_down(self) -> None:
        """Accept goes on without it, defer puts off; told once, left alone after three, and told when it is back."""
        for defer, action in ((False, Action.ACCEPT), (True, Action.DEFER)):
            scene = Scene("spamd", defer=defer)
            for number in range(3):
                asked = scene.scan()
                scene.refuse(number)
                verdict = decide(self.successResultOf(asked).evidence, ChecksSettings("x"))
                self.assertEqual(verdict.action, action)
            self.assertEqual(decide(self.successResultOf(scene.scan()).evidence, ChecksSettings("x")).action, action)
            self.assertEqual(len(scene.reactor.unixClients), 3)
            (down,) = scene.journal.of(ScannerDown)
            self.assertEqual(down.reason, "refused, nothing listens there")
            scene.reactor.advance(31)
            asked = scene.scan()
            scene.answer(3, SPAM)
            self.assertEqual(self.successResultOf(asked).evidence[0].result, "spam")
            self.assertEqual(len(scene.journal.of(ScannerAnswers)), 1)
            self.assertEqual(scene.station.states["spamd"].trouble, "")

    def test_silence(self) -> None:
        """One that says nothing costs its time and no more; one that talks nonsense is down."""
        scene = Scene("spamd", "rspamd", timeout=10.0)
        asked = scene.scan()
        _, transport = scene.connect(0)
        scene.answer(1, b"nonsense")
        scene.reactor.advance(10)
        self.assertEqual([one.result for one in self.successResultOf(asked).evidence], ["absent", "absent"])
        self.assertTrue(transport.disconnecting)

    def test_flood(self) -> None:
        """An endless answer is cut off."""
        scene = Scene("spamd")
        asked = scene.scan()
        protocol, transport = scene.connect(0)
        for _ in range(40):
            protocol.dataReceived(b"x" * 65536)
        self.assertEqual(self.successResultOf(asked).evidence[0].result, "absent")
        self.assertTrue(transport.disconnecting)

    def test_turns(self) -> None:
        """Eight messages at a time; the ninth waits for its turn."""
        scene = Scene("spamd")
        asked = [scene.scan() for _ in range(9)]
        self.assertEqual(len(scene.reactor.unixClients), 8)
        scene.answer(0, SPAM)
        self.assertEqual(len(scene.reactor.unixClients), 9)
        self.successResultOf(asked[0])
        for number in range(1, 9):
            scene.answer(number, SPAM)
        for one in asked[1:]:
            self.successResultOf(one)

    def test_large(self) -> None:
        """What is too large for them is not asked."""
        scene = Scene("spamd", "rspamd")
        found = self.successResultOf(scene.scan(body=b"x" * (1 << 20)))
        self.assertEqual([one.result for one in found.evidence], ["skipped", "skipped"])


def agreed(steps: int = 0) -> bytes:
    return milter.packet(b"O", struct.pack("!III", 6, milter.ADD_FIELDS | milter.QUARANTINE, steps))


class MilterTests(SynchronousTestCase):
    """A filter as it may be written."""

    def play(self, *answers: bytes, body: bytes = b"hello\n") -> tuple[str, Scanned]:
        """The letters we said, and what came of the answers, given one for each step."""
        scene = Scene("milter")
        asked = scene.scan(body=body)
        protocol, transport = scene.connect(0)
        waiting = list(answers)
        while waiting and not asked.called:
            protocol.dataReceived(waiting.pop(0))
        said = b"".join(one.letter for one in milter.Packets().take(transport.value())).decode()
        return said, self.successResultOf(asked)

    def test_whole_session(self) -> None:
        """Every step with its macros; fields and quarantine at the end."""
        c = milter.packet(b"c")
        end = milter.packet(b"p") + milter.packet(b"h", b"X-Scan\0yes\0") + milter.packet(b"q", b"odd\0") + c
        said, scanned = self.play(agreed(), c, c, c, c, c, c, c, c, c, end)
        self.assertEqual(said, "ODCHDMDRDTLLDNBDEQ")
        self.assertEqual([one.result for one in scanned.evidence], ["quarantine", "ham"])
        self.assertEqual(scanned.fields, b"X-Scan: yes\n")
        verdict = decide(scanned.evidence, ChecksSettings("x"))
        self.assertEqual(verdict.action, Action.JUNK)

    def test_waived_steps(self) -> None:
        """A filter that waives everything but the end hears nothing else."""
        waived = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x200
        self.assertEqual(self.play(agreed(waived), milter.packet(b"c"))[0], "ODEQ")
        unanswered = 0x80 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x40000 | 0x80000
        self.assertEqual(self.play(agreed(unanswered), milter.packet(b"c"))[0], "ODCHDMDRDTLLDNBDEQ")

    def test_decisions(self) -> None:
        """Each answer, at the first step or at the end."""
        for letter, data, result, action in (
            (b"r", b"", "reject", Action.REJECT),
            (b"t", b"", "defer", Action.DEFER),
            (b"d", b"", "discard", Action.JUNK),
            (b"a", b"", "ham", Action.ACCEPT),
            (b"y", b"550 5.7.1 no\r\nway\0", "reject", Action.REJECT),
            (b"y", b"451 4.7.1 later\0", "defer", Action.DEFER),
            (b"4", b"", "absent", Action.ACCEPT),
        ):
            said, scanned = self.play(agreed(), milter.packet(letter, data))
            self.assertEqual([one.result for one in scanned.evidence], [result])
            self.assertEqual(decide(scanned.evidence, ChecksSettings("x")).action, action)
            self.assertNotIn("L", said)

    def test_body(self) -> None:
        """Pieces that fit; a filter that has seen enough gets no more of them."""
        c = milter.packet(b"c")
        head = [agreed(), *[c] * 8]
        said, _ = self.play(*head, *[c] * 9, body=b"\n" * 200_000)
        self.assertEqual(said.count("B"), 7)
        said, _ = self.play(*head, milter.packet(b"s"), c, body=b"\n" * 200_000)
        self.assertEqual(said.count("B"), 1)
        self.assertTrue(said.endswith("BDEQ"))

    def test_wrong(self) -> None:
        """Nonsense and actions that nobody offered mean that it is down."""
        for answer in (b"\xff" * 8, milter.packet(b"O", struct.pack("!III", 6, 0x02, 0)), milter.packet(b"c")):
            self.assertEqual([one.result for one in self.play(answer)[1].evidence], ["absent"])
