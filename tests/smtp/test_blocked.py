"""Senders whom people have blocked or allowed, while the sender still listens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events.smtp import RecipientRefused
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.verdict import Action, Verdict
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.delivery import Parcel
from tests.smtp.stage import House, code, talk

SPAM = Reply(550, "5.7.1", "spam")


class SaidOf:
    """ports.checks.SenderLists: (recipient, domain of the sender) → what was said."""

    def __init__(self, said: dict[tuple[str, str], Standing]) -> None:
        self._said = said

    async def standing(self, recipient: Address, sender: Address) -> Standing:
        return self._said.get((str(recipient), sender.domain), Standing.NONE)


class FixedChecks:
    """ports.checks.Checks: one verdict for everything."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    async def examine(self, parcel: Parcel) -> Verdict:
        return self.verdict


class BlockedTests(SynchronousTestCase):
    """Ann has blocked spam.example and always takes friend.example."""

    def house(self, **given: Any) -> House:
        house = House(**given)
        self.addCleanup(house.close)
        said = {
            ("ann@example.org", "spam.example"): Standing.BLOCKED,
            ("bob@example.org", "example.org"): Standing.BLOCKED,
            ("ann@example.org", "friend.example"): Standing.ALLOWED,
        }
        house.station.parts = house.parts = replace(house.parts, lists=SaidOf(said))
        return house

    def test_at_rcpt(self) -> None:
        """The reverse path is enough: that recipient is refused, the others are not, and the owner can read why."""
        house = self.house()
        peer = house.peer()
        answers = talk(peer, "EHLO x.test", "MAIL FROM:<eve@spam.example>", "RCPT TO:<ann@example.org>")
        self.assertEqual(answers.splitlines()[-1][:9], "550 5.7.1")
        self.assertIn("250 2.1.5", talk(peer, "RCPT TO:<bob@example.org>"))
        (refused,) = house.journal.of(RecipientRefused)
        self.assertEqual(refused.reason, "ann@example.org has blocked eve@spam.example")

    def test_nobody_else(self) -> None:
        """The null path is nobody's, and what is written to others by our own people is no stranger's."""
        house = self.house()
        self.assertIn("250 2.1.5", talk(house.peer(), "EHLO x.test", "MAIL FROM:<>", "RCPT TO:<ann@example.org>"))
        said = talk(house.user(), "MAIL FROM:<ann@example.org>", "RCPT TO:<bob@example.org>")
        self.assertIn("250 2.1.5", said)

    def played(self, sender: str, *to: str, proven: bool = True) -> tuple[str, House]:
        author = Address.parse(sender)
        verdict = Verdict(Action.REJECT, "31 points", SPAM, author=author, is_proven=proven)
        house = self.house(checks=FixedChecks(verdict))
        peer = house.peer()
        talk(peer, "EHLO x.test", f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in to), "DATA")
        return talk(peer, f"From: {sender}\r\nSubject: x\r\n\r\nHello\r\n.\r\n".encode()), house

    def test_allowed(self) -> None:
        """What all would refuse comes in for who has allowed its author, when somebody proves that it is he."""
        answer, house = self.played("joe@friend.example", "bob@example.org", "ann@example.org")
        self.assertEqual(code(answer), "250 2.0.0")
        self.assertFalse(house.acceptance.parcels[0].verdict.is_final, "each person's own word is heard now")
        for sender, to, proven in (
            ("joe@friend.example", "ann@example.org", False),
            ("joe@friend.example", "bob@example.org", True),
            ("joe@far.example", "ann@example.org", True),
        ):
            answer, house = self.played(sender, to, proven=proven)
            self.assertEqual((code(answer), house.acceptance.parcels), ("550 5.7.1", []))
