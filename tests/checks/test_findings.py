"""What is found without waiting: answers at hand, findings that still hold, stages side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.findings import MOST_OCTETS, Findings
from mailbox_appliance.checks.lookups import Inquiry, together
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.verdict import DECISIVE, DONE, WEIGHTS, decide, turning_points
from mailbox_appliance.mail.verdict import Action, Evidence
from mailbox_appliance.mailauth.lookups import Answers
from mailbox_appliance.ports.dns import Answer, Status
from tests.checks.scene import Scene, letter, signed
from tests.kit.fake_dns import FakeDns

ZONE = """
a.test. TXT "one"
b.test. TXT "two"
;! servfail broken.test.
"""


def texts(*names: str) -> Callable[[Answers], tuple[object, ...]]:
    return lambda answers: tuple(answers.get(name, "TXT").records for name in names)


class FindingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dns = FakeDns(ZONE, remembers=True)
        self.findings = Findings(most=3)
        self.runs: list[str] = []

    def settle(self, key: str, job: Callable[[Answers], Any]) -> Any:
        def counted(answers: Answers) -> Any:
            result = job(answers)
            self.runs.append(key)
            return result

        inquiry = Inquiry(self.dns, Clock(), 20.0)
        found = self.successResultOf(
            Deferred.fromCoroutine(self.findings.settle(key, counted, inquiry.answers(), inquiry.ask))
        )
        self.failed = inquiry.failed
        return found

    def test_kept(self) -> None:
        """The work is done once for as long as every answer is the one the resolver remembers."""
        for _ in range(3):
            self.assertEqual(self.settle("k", texts("a.test", "b.test")), ((b"one",), (b"two",)))
        self.assertEqual(self.runs, ["k"])
        self.assertEqual(len(self.dns.questions), 2)
        assert self.dns.remembered is not None
        self.dns.remembered["b.test", "TXT"] = Answer(Status.OK, (b"new",))
        self.assertEqual(self.settle("k", texts("a.test", "b.test")), ((b"one",), (b"new",)))
        del self.dns.remembered["a.test", "TXT"]
        self.assertEqual(self.settle("k", texts("a.test", "b.test")), ((b"one",), (b"new",)))
        self.assertEqual(self.runs, ["k"] * 3)
        self.assertEqual(len(self.dns.questions), 3)

    def test_bounded(self) -> None:
        """The oldest finding makes room, and none is kept over huge answers."""
        for name in "abcde":
            self.settle(name, texts("a.test"))
        self.assertEqual(len(self.findings), 3)
        assert self.dns.remembered is not None
        self.dns.remembered["huge.test", "TXT"] = Answer(Status.OK, (b"x" * (MOST_OCTETS + 1),))
        for _ in range(2):
            self.settle("huge", texts("huge.test"))
        self.assertEqual(self.runs.count("huge"), 2)

    def test_failed(self) -> None:
        """A failure that is remembered is told for each message it harms."""
        for _ in range(2):
            self.settle("k", texts("a.test", "broken.test"))
            self.assertEqual(list(self.failed), ["TXT broken.test"])


class TogetherTests(SynchronousTestCase):
    def test_mixed(self) -> None:
        """Some wait, some need not; the results stand in order."""
        first: Deferred[str] = Deferred()
        second: Deferred[str] = Deferred()

        async def waits(*these: Deferred[str]) -> str:
            return "".join([await one for one in these])

        async def at_once() -> str:
            return "now"

        async def recovers(broken: Deferred[str]) -> str:
            try:
                return await broken
            except ValueError as error:
                return str(error)

        broken: Deferred[str] = Deferred()
        found = Deferred.fromCoroutine(together(waits(first, second), at_once(), recovers(broken)))
        self.assertNoResult(found)
        second.callback("b")
        broken.errback(ValueError("mended"))
        self.assertNoResult(found)
        first.callback("a")
        self.assertEqual(self.successResultOf(found), ["ab", "now", "mended"])

    def test_fails(self) -> None:
        """What the first of them to fail has raised is raised, at once or later; all have begun before."""
        begun = []

        async def fails(name: str, after: Deferred[None] | None = None) -> None:
            begun.append(name)
            if after is not None:
                await after
            raise ValueError(name)

        found = Deferred.fromCoroutine(together(fails("a"), fails("b")))
        self.assertEqual(str(self.failureResultOf(found, ValueError).value), "a")
        self.assertEqual(begun, ["a", "b"])
        late: Deferred[None] = Deferred()
        found = Deferred.fromCoroutine(together(fails("late", late), fails("later", Deferred())))
        self.assertNoResult(found)
        late.callback(None)
        self.assertEqual(str(self.failureResultOf(found, ValueError).value), "late")


class WarmTests(SynchronousTestCase):
    def test_same(self) -> None:
        """A second message is judged as the first was, without a question, and the net is not waited for."""
        scene = Scene()
        scene.dns.remembered = {}
        for message in (letter("eve@attacker.test"), signed(letter("eve@victim.test"), "victim.test")):
            first = scene.examine(message)
            asked = len(scene.dns.questions)
            second = scene.examine(message)
            self.assertEqual((first, asked), (second, len(scene.dns.questions)))
        changed = scene.examine(letter("eve@attacker.test"), ip="192.0.2.10")
        self.assertIn("spf fail", [f"{one.check} {one.result}" for one in changed.evidence])


class TurningTests(SynchronousTestCase):
    @given(
        st.lists(
            st.sampled_from(sorted({*DECISIVE, *WEIGHTS, "content ham", "x y"})).map(lambda key: key.partition(" ")),
            max_size=8,
        ),
        st.dictionaries(st.sampled_from(["spf fail", "own forged", "x y"]), st.sampled_from(Action), max_size=2),
    )
    def test_without(self, keys: list[tuple[str, str, str]], actions: dict[str, Action]) -> None:
        """What would have changed the verdict is what changes it when it is left out, and nothing else."""
        settings = ChecksSettings("mx.home.test", actions=actions)
        verdict = decide([Evidence(check, result) for check, _, result in keys], settings)
        expected = []
        for at, one in enumerate(verdict.evidence):
            rest = verdict.evidence[:at] + verdict.evidence[at + 1 :]
            without = decide(rest, settings).action
            if without is not verdict.action:
                expected.append(f"without {one.check} {one.result} it would be {DONE[without]}")
        found = [one for one in turning_points(verdict, settings) if not one.startswith("with ")]
        if expected or verdict.action is Action.ACCEPT:
            self.assertEqual(found, expected)
        else:
            self.assertLessEqual(len(found), 1)  # what would do so together
