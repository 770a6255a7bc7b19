"""The checks behind a real SMTP station: what the peer hears after DATA."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events.smtp import MessageRefused
from tests.checks.scene import ATTACKER_IP, VICTIM_IP, Scene, letter, signed
from tests.smtp.stage import House, code, talk


class DoorTests(SynchronousTestCase):
    """One house, one scene."""

    def said(self, message: bytes, ip: str, helo: str, sender: str) -> tuple[str, House]:
        scene = Scene()
        scene.directory.owners = {"example.org": None, "example.net": None}
        house = House(checks=scene.checks)
        peer = house.peer(address=ip)
        talk(peer, f"EHLO {helo}", f"MAIL FROM:<{sender}>", "RCPT TO:<ann@example.org>", "DATA")
        answer = talk(peer, message.replace(b"\n", b"\r\n") + b".\r\n")
        self.addCleanup(house.close)
        return answer, house

    def test_refused(self) -> None:
        """p=reject: 550 5.7.26 after the content, nothing is kept, and the owner reads why."""
        answer, house = self.said(letter("eve@victim.test"), ATTACKER_IP, "attacker.test", "x@attacker.test")
        self.assertEqual(code(answer), "550 5.7.26")
        self.assertEqual(house.acceptance.parcels, [])
        (event,) = house.journal.of(MessageRefused)
        self.assertIn("victim.test", event.reason)

    def test_our_name(self) -> None:
        """Our own domain from outside: 550 5.7.1."""
        answer, _ = self.said(letter("ann@example.org"), ATTACKER_IP, "attacker.test", "x@attacker.test")
        self.assertEqual(code(answer), "550 5.7.1")

    def test_deferred(self) -> None:
        """A policy that cannot be asked for: 451."""
        answer, _ = self.said(letter("eve@broken.test"), ATTACKER_IP, "attacker.test", "x@attacker.test")
        self.assertEqual(code(answer), "451 4.4.3")

    def test_accepted(self) -> None:
        """Honest mail is kept, with its verdict."""
        message = signed(letter("eve@victim.test"), "victim.test")
        answer, house = self.said(message, VICTIM_IP, "mx.victim.test", "eve@victim.test")
        self.assertEqual(code(answer), "250 2.0.0")
        (parcel,) = house.acceptance.parcels
        self.assertIn(b"dmarc=pass", parcel.verdict.fields)
        self.assertGreater(len(parcel.verdict.evidence), 4)
