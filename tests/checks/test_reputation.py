"""Senders remembered."""

from __future__ import annotations

import ipaddress
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.reputation import MOST_SHOWN, ReputationDesk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.checks import reputation
from mailbox_appliance.checks.reputation import MIGRATIONS, Reputation, Standing, evidence_of, key_of
from mailbox_appliance.database import Database
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.verdict import Action
from tests.checks.scene import VICTIM_IP, Scene, found, letter, signed
from tests.kit.workers import InlineWorkers


class MemoryCase(SynchronousTestCase):
    """One file, one clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1_763_800_000.0
        self.path = os.path.join(self.mktemp(), "reputation.db")
        os.makedirs(os.path.dirname(self.path))
        self.memory = self.opened()

    def opened(self) -> Reputation:
        memory = Reputation(Database(self.path, MIGRATIONS, InlineWorkers()), self.clock)
        self.addCleanup(memory.close)
        return memory

    def result(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.successResultOf(Deferred.fromCoroutine(wait()))


class ReputationTests(MemoryCase):
    """What is remembered."""

    def test_kept(self) -> None:
        """What was told is known at once, after writing, and after opening anew; half of it after thirty days."""
        self.memory.taught("far.test", junk=True)
        self.assertEqual(self.result(self.memory.standing("far.test")), Standing(0.0, 1.0))
        self.result(self.memory.write())
        self.memory.judged("far.test", Action.JUNK)
        self.memory.judged("far.test", Action.ACCEPT)
        self.memory.judged("far.test", Action.DEFER)
        self.assertEqual(self.result(self.memory.standing("far.test")), Standing(0.25, 1.25))
        self.result(self.memory.write())
        again = self.opened()
        self.assertEqual(self.result(again.standing("far.test")), Standing(0.25, 1.25))
        self.clock.advance(30 * 86_400)
        self.assertEqual(self.result(again.standing("far.test")), Standing(0.125, 0.625))

    def test_bounds(self) -> None:
        """The oldest make room, and what waits is written before it is much."""
        self.patch(reputation, "MOST", 10)
        for number in range(30):
            self.clock.advance(86_400)
            self.memory.judged(f"n{number}.test", Action.ACCEPT)
            self.result(self.memory.write())
        self.assertEqual(self.result(self.memory.standing("n0.test")), Standing())
        self.assertGreater(self.result(self.memory.standing("n29.test")).good, 0)
        full = [self.memory.judged(f"m{number}.test", Action.ACCEPT) for number in range(1000)]
        self.assertEqual(full.index(True), 99)
        self.assertLessEqual(len(self.memory._waiting), 400)

    def test_keys(self) -> None:
        """A proven domain by the name it is registered under, everybody else by his network."""
        for author, address, wanted in (
            ("eve@mail.far.co.uk", "192.0.2.9", "far.co.uk"),
            ("Eve.Adams@gmail.com", "192.0.2.9", "eve.adams@gmail.com"),  # there everybody is somebody else
            ("", "192.0.2.9", "192.0.2.0/24"),
            ("", "2001:db8::9", "2001:db8::/64"),
        ):
            self.assertEqual(key_of(Address.parse(author) if author else None, ipaddress.ip_address(address)), wanted)
        self.assertEqual(key_of(None, None), "")

    def test_doubtful(self) -> None:
        """What was taken with many points makes no good name."""
        for score, good in ((2.0, 0.0), (1.9, 0.25)):
            self.memory.judged("far.test", Action.ACCEPT, score)
            self.assertEqual(self.result(self.memory.standing("far.test")).good, good)

    def test_figures(self) -> None:
        """Little is said of little; bad weighs twice what good does."""
        for good, bad, wanted in ((0.5, 1.0, []), (3, 3, []), (0, 3, [1.29]), (3, 0, [-0.64]), (0, 500, [2.98])):
            self.assertEqual([one.weight for one in evidence_of("x", Standing(good, bad))], wanted, (good, bad))

    def test_whole_message(self) -> None:
        """A proven domain with a bad name pays for it; a forger of it does not add to that."""
        scene = Scene(reputation=self.memory)
        message = signed(letter("eve@victim.test"), "victim.test")
        peer = {"ip": VICTIM_IP, "helo": "mx.victim.test", "sender": "eve@victim.test"}
        self.assertEqual(found(scene.examine(message, **peer), "reputation"), [])
        for _ in range(3):
            self.memory.taught("victim.test", junk=True)
        self.assertEqual(found(scene.examine(message, **peer), "reputation"), ["bad"])
        before = self.result(self.memory.standing("victim.test"))
        scene.examine(letter("eve@victim.test"))
        self.assertEqual(self.result(self.memory.standing("victim.test")), before)
        self.assertEqual(self.result(self.memory.standing("198.51.100.0/24")), Standing(0.0, 0.25))
        off = Scene(reputation=self.memory, switched_off=frozenset({"reputation"}))
        self.assertEqual(found(off.examine(message, **peer), "reputation"), [])


class DeskTests(MemoryCase):
    """spam reputation."""

    def shown(self, sender: str = "") -> Result:
        result: Result = self.result(ReputationDesk(self.memory).reputation({"sender": sender}))
        return result

    def test_shown(self) -> None:
        """Who he is by domain, address or IP address; what waits to be written counts; the worst come first."""
        self.assertIn("nothing is known of anybody", self.shown().lines[0])
        for _ in range(6):
            self.memory.taught("spam.test", junk=True)
            self.memory.taught("friend.test", junk=False)
        self.memory.taught("192.0.2.0/24", junk=True)
        for _ in range(2):  # before it is written, and after
            rows = self.shown().data
            self.assertEqual([row["sender"] for row in rows], ["spam.test", "192.0.2.0/24", "friend.test"])
            self.assertEqual([row["points"] > 0 for row in rows], [True, False, False])
            for text in ("spam.test", "eve@SPAM.test", "mail.spam.test"):
                self.assertEqual(self.shown(text).data, rows[:1], text)
            self.assertEqual(self.shown("192.0.2.77").data, rows[1:2])
            self.result(self.memory.write())
        self.assertEqual(rows[0]["last"], "2025-11-22")
        self.clock.advance(60 * 86_400)
        (row,) = self.shown("spam.test").data
        self.assertEqual((row["bad"], row["last"]), (1.5, "2025-11-22"))
        self.assertEqual(self.shown("nobody.test").data, [])
        self.assertIn("nothing is known of nobody.test", self.shown("nobody.test").lines[0])
        for nonsense in ("a b", "x@", "..."):
            self.failureResultOf(
                Deferred.fromCoroutine(ReputationDesk(self.memory).reputation({"sender": nonsense})), Refused
            )

    def test_bounded(self) -> None:
        """Of many those with the most mail."""
        for number in range(300):
            for _ in range(3 if number < 5 else 1):
                self.memory.taught(f"s{number}.test", junk=True)
        self.assertEqual(len(self.shown().data), MOST_SHOWN)
        self.assertEqual({row["sender"] for row in self.shown().data[:5]}, {f"s{number}.test" for number in range(5)})
