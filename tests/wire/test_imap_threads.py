"""THREAD's algorithms and SORT's keys (RFC 5256)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.imap.columns import render_one
from mailbox_appliance.wire.imap.keys import read_sort_keys, read_thread_keys
from mailbox_appliance.wire.imap.threads import Steps, Threadable, ordered_subject, references


def run(steps: Steps) -> bytes:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bytes(end.value)


def message(
    number: int, own: str, *refs: str, subject: str = "", date: int | None = None, reply: bool = False
) -> Threadable:
    when = number if date is None else date
    return number, when, reply, subject.encode(), own.encode(), [ref.encode() for ref in refs]


ROWS: tuple[tuple[str, list[Threadable], bytes], ...] = (
    ("nothing", [], b""),
    ("alone", [message(1, "a")], b"(1)"),
    ("a chain", [message(1, "a"), message(2, "b", "a"), message(3, "c", "a", "b")], b"(1 2 3)"),
    ("a fork", [message(1, "a"), message(2, "b", "a"), message(3, "c", "a")], b"(1 (2)(3))"),
    ("siblings by date", [message(1, "a"), message(2, "b", "a", date=9), message(3, "c", "a", date=5)], b"(1 (3)(2))"),
    ("the answer came first", [message(1, "b", "a"), message(2, "a")], b"(2 1)"),
    ("nobody saw the first", [message(1, "b", "a"), message(2, "c", "a")], b"((1)(2))"),
    ("nobody saw the first, one answer", [message(1, "b", "a")], b"(1)"),
    ("nobody saw the middle", [message(1, "a"), message(2, "c", "a", "b")], b"(1 2)"),
    ("a message twice", [message(1, "a"), message(2, "a"), message(3, "b", "a")], b"(1 3)(2)"),
    ("it answers itself", [message(1, "a", "a")], b"(1)"),
    ("a loop", [message(1, "a", "b"), message(2, "b", "a")], b"(2 1)"),
    ("same subject", [message(1, "a", subject="X"), message(2, "b", subject="X", reply=True)], b"(1 2)"),
    ("same subject, no answer", [message(1, "a", subject="X"), message(2, "b", subject="X")], b"((1)(2))"),
    ("three alike", [message(n, f"m{n}", subject="X") for n in (1, 2, 3)], b"((1)(2)(3))"),
    ("the answer is older", [message(1, "a", subject="X", reply=True), message(2, "b", subject="X")], b"(2 1)"),
    (
        "the RFC's numbers",
        [
            message(2, "a"),
            message(3, "b"),
            message(6, "c", "b"),
            message(4, "d", "c"),
            message(23, "e", "d"),
            message(44, "f", "c", date=24),
            message(7, "g", "f", date=25),
            message(96, "h", "g"),
        ],
        b"(2)(3 6 (4 23)(44 7 96))",
    ),
)


class ThreadTests(SynchronousTestCase):
    def test_references(self) -> None:
        """Rows of the algorithm."""
        for name, messages, wanted in ROWS:
            self.assertEqual(run(references(messages)), wanted, name)

    def test_ordered_subject(self) -> None:
        """Same subject, in order of dates; more than one answer is a fork of the first."""
        messages = [message(n, "", subject=subject) for n, subject in enumerate("ABABA", 1)]
        self.assertEqual(run(ordered_subject(messages)), b"(1 (3)(5))(2 4)")

    def test_deep(self) -> None:
        """Ten thousand answers to answers: no recursion, whichever way they come."""
        chain = [message(n, f"m{n}", *([f"m{n - 1}"] if n > 1 else [])) for n in range(1, 10_001)]
        said = run(references(chain))
        self.assertEqual(said, b"(%b)" % b" ".join(b"%d" % n for n in range(1, 10_001)))
        self.assertEqual(run(references(chain[::-1])), said)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from("abcdef"),
                st.lists(st.sampled_from("abcdefgh"), max_size=4),
                st.integers(0, 5),
                st.sampled_from(["", "X", "Y"]),
                st.booleans(),
            ),
            max_size=12,
        )
    )
    def test_everybody_once(self, drawn: list[tuple[str, list[str], int, str, bool]]) -> None:
        """Whatever they refer to, every message is named once and the parentheses match."""
        messages = [
            message(n, own, *refs, date=date, subject=subject, reply=reply)
            for n, (own, refs, date, subject, reply) in enumerate(drawn, 1)
        ]
        for algorithm in (references, ordered_subject):
            said = run(algorithm(messages)).decode()
            numbers = said.replace("(", " ").replace(")", " ").split()
            self.assertEqual(sorted(map(int, numbers)), list(range(1, len(messages) + 1)))
            self.assertEqual(said.count("("), said.count(")"))


class KeyTests(SynchronousTestCase):
    def test_alike(self) -> None:
        """Made alone or beside the structure, the keys are the same; they come back as they went."""
        octets = (
            b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\nTo: a@b, c@d\nCc: x@y\nSubject: Re: [list] Fwd: news\n"
            b"Date: Thu, 8 Feb 2024 09:00:00 +0000\nMessage-ID: <1@x>\nReferences: <a@x> <b@x>\n\nbody\n"
        )
        alone = render_one(octets, ["sortkeys", "threadkeys"])
        sort, thread = alone["sortkeys"], alone["threadkeys"]
        self.assertEqual(alone.items() - render_one(octets, ["body", "threadkeys", "sortkeys"]).items(), set())
        self.assertEqual(
            read_sort_keys(sort), (b"1707382800", b"NEWS", b"J", b"A", b"X", "JU\u0308RGEN".encode(), b"A@B")
        )
        self.assertEqual(read_thread_keys(thread), (b"1707382800", b"1", b"NEWS", b"1@x", [b"a@x", b"b@x"]))

    def test_nothing(self) -> None:
        """A message without fields, and a row which is none."""
        self.assertEqual(read_sort_keys(render_one(b"\n\n", ["sortkeys"])["sortkeys"]), (b"",) * 7)
        self.assertEqual(read_sort_keys(b"x"), (b"",) * 7)
        self.assertEqual(read_thread_keys(b"x"), (b"", b"0", b"", b"", []))
