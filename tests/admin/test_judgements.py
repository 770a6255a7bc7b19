"""spam why and spam refused: the journal's words, said to the owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.judgements import finding, told
from mailbox_appliance.admin.junk import WhyDesk
from mailbox_appliance.admin.refusals import RefusalDesk
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.tracing import story
from mailbox_appliance.journal.lines import LONGEST_LIST, show_facts
from mailbox_appliance.journal.trail import TrailStep
from mailbox_appliance.mail.address import Address
from tests.kit.fake_junk import FakeJunkFilter

NOW = 1_800_000_000.0
EVIDENCE = ("spf pass: ip4 of far.test", "impostor brand +4.0: the name is paypal; it is not", "dmarc pass -0.5: x")


def step(name: str, trace: str = "t1", at: float = 60.0, **facts: object) -> TrailStep:
    return TrailStep(NOW - at, trace, name, 6, show_facts(facts.items()))


JUDGED = step(
    "checks.judged",
    peer="192.0.2.9",
    sender="b@far.test",
    author="eve@far.test",
    action="accept",
    score=3.5,
    evidence=EVIDENCE,
    otherwise=("with 1.5 points more it would be put into Junk",),
)
FOR_ANN = step(
    "checks.judged_for",
    account="ann@example.org",
    action="junk",
    score=6.5,
    reason="6.5 points of 5: impostor brand +4.0 (the name is paypal, it is not)",
    evidence=("known unwanted +3.0: often",),
    otherwise=("without known unwanted it would be accepted (this; or that)",),
)


class Trails:
    """Steps that are there."""

    def __init__(self, *steps: TrailStep) -> None:
        self.steps = steps

    async def search(self, text: str) -> tuple[TrailStep, ...]:
        return tuple(one for one in self.steps if text in (one.trace, "eve@far.test"))

    async def recent(self, names: Sequence[str], since: float, most: int) -> tuple[TrailStep, ...]:
        return tuple(one for one in self.steps if one.name in names and one.time >= since)[-most:]


class NoStores:
    """Not asked where nothing was kept."""

    def of(self, account: Address) -> Any:
        raise AssertionError(account)


def do(awaitable: Any) -> Result:
    result: Result = SynchronousTestCase().successResultOf(Deferred.fromCoroutine(awaitable))
    return result


class WhyTests(SynchronousTestCase):
    """spam why"""

    def why(self, text: str, *steps: TrailStep) -> Result:
        stores: Any = NoStores()
        desk = WhyDesk(Trails(*steps), stores, FakeJunkFilter(), lambda: "mx.example.org")
        return do(desk.why({"id": text}))

    def test_lines(self) -> None:
        """Whose, what was done, each check with its figure, what would have changed it, and what to say."""
        self.assertEqual(
            self.why("t1", JUDGED, FOR_ANN).lines,
            (
                "for everybody: accepted, with 3.5 points",
                "          spf pass: ip4 of far.test",
                "    +4.0  impostor brand: the name is paypal; it is not",
                "    -0.5  dmarc pass: x",
                "          with 1.5 points more it would be put into Junk",
                "",
                "for ann@example.org: put into Junk, with 6.5 points",
                "    +3.0  known unwanted: often",
                "          without known unwanted it would be accepted (this; or that)",
                "",
                "to have it otherwise the next time:",
                "  mailappliance sender allow ann@example.org eve@far.test",
            ),
        )

    def test_data(self) -> None:
        """The same for machines."""
        everybody, ann = self.why("t1", JUDGED, FOR_ANN).data
        self.assertEqual((everybody["id"], everybody["author"], everybody["verdict"]), ("t1", "eve@far.test", "accept"))
        self.assertEqual(everybody["checks"][1]["figure"], 4.0)
        self.assertEqual(ann["otherwise"], ["without known unwanted it would be accepted (this; or that)"])

    def test_the_newest(self) -> None:
        """By the sender's address it is the newest of his, and the others are named."""
        old = step(
            "checks.judged", "t0", 3600.0, author="eve@far.test", action="reject", score=2.0, reason="own forged: x"
        )
        result = self.why("eve@far.test", old, JUDGED)
        self.assertRegex(result.lines[0], r"^the newest of 2 that eve@far\.test names is t1, of 20\S+ \S+; others: t0$")
        self.assertEqual([one["id"] for one in result.data], ["t1"])
        self.assertEqual(
            self.why("t0", old).lines[0], "for everybody: refused, with 2 points, because of own forged: x"
        )

    def test_nothing(self) -> None:
        """What nothing has judged is said to be so."""
        failure = self.failureResultOf(
            Deferred.fromCoroutine(
                WhyDesk(Trails(), NoStores(), FakeJunkFilter(), str).why({"id": "t9"})  # type: ignore[arg-type]
            ),
            Refused,
        )
        self.assertIn("nothing has judged t9", str(failure.value))

    def test_nothing_is_cut(self) -> None:
        """Evidence of every check there is stands in one step of the trail."""
        many = tuple(f"check{number} result +1.0: " + "x" * 90 for number in range(35))
        facts = show_facts({"evidence": many}.items())
        self.assertLess(len(facts), LONGEST_LIST + 20)
        self.assertEqual(len(finding(facts)["checks"]), 35)

    def test_trace(self) -> None:
        """trace tells each check on a line of its own, too."""
        lines = list(story([JUDGED]))
        self.assertIn("          +4.0  impostor brand: the name is paypal; it is not", lines)
        self.assertEqual(sum("impostor" in line for line in lines), 1)

    def test_strange_words(self) -> None:
        """A stranger's words steer no terminal, and unknown actions are said as they are."""
        lines = told(finding(show_facts({"action": "new", "score": 1.0, "evidence": ("a b: \x1b[2J",)}.items())))
        self.assertEqual(lines, ["for everybody: new, with 1 points", "          a b: ?[2J"])


class RefusedTests(SynchronousTestCase):
    """spam refused"""

    REFUSED = (
        step("checks.judged", "t1", author="eve@far.test", action="reject", reason="11 points of 5: dnsbl listed +6.0 (x)"),
        step("delivery.rested", "t1", account="ann@example.org", mailbox="Rejects"),
        step("delivery.refused", "t1", recipient="ann@example.org", reply="550 5.7.1 Spam"),
        step("smtp.message_refused", "t1", service="smtp", sender="b@far.test", recipient=("ann@example.org",), told="550 5.7.1 Spam"),
        step("smtp.recipient_refused", "", service="smtp", sender="x@y.test", recipient="no@example.org", told="550 5.1.1 No"),
        step("smtp.recipient_refused", "t2", service="smtp", sender="x@y.test", recipient="bob@example.org", told="550 5.7.1 Not wanted"),
        step("smtp.message_refused", "t3", service="submission", account="ann@example.org", sender="a@b", told="550 5.7.1 x"),
        step("smtp.message_refused", "t4", service="smtp", sender="x@y.test", recipient=("bob@example.org",), told="451 4.4.3 Later"),
        step("smtp.message_refused", "t0", 200_000.0, service="smtp", sender="old@y.test", recipient=("bob@example.org",), told="550 x"),
    )  # fmt: skip

    def refused(self, **arguments: str) -> Result:
        clock = Clock()
        clock.rightNow = NOW
        return do(RefusalDesk(Trails(*self.REFUSED), clock).refused(arguments))

    def test_rows(self) -> None:
        """One row a message, with its author, what decided, and where a copy rests."""
        result = self.refused()
        assert result.table is not None
        self.assertEqual(
            [row[1:] for row in result.table.rows],
            [
                ("t1", "eve@far.test", "ann@example.org", "refused", "11 points: dnsbl listed +6.0", "Rejects of ann@example.org"),
                ("t2", "x@y.test", "bob@example.org", "refused", "Not wanted", ""),
                ("t4", "x@y.test", "bob@example.org", "put off", "Later", ""),
            ],
        )  # fmt: skip
        self.assertIn("spam why ID", result.lines[0])
        self.assertIn("14 days", result.lines[1])
        self.assertEqual(result.data[0]["kept_in"], ["Rejects of ann@example.org"])

    def test_choice(self) -> None:
        """One address, another time."""
        self.assertEqual([one["id"] for one in self.refused(address="Bob@example.org").data], ["t2", "t4"])
        self.assertEqual([one["id"] for one in self.refused(since="4 days").data], ["t1", "t2", "t4", "t0"])
        self.assertEqual(self.refused(address="eve@example.org").lines[0][:26], "nothing was refused since ")
        self.assertTrue(self.refused(since="yesterday").data)
