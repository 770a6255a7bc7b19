"""One event is one line of printable text that can be read back."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.lines import (
    LONGEST_LIST,
    LONGEST_VALUE,
    LineWriter,
    parse_facts,
    show_facts,
    show_value,
    stamp,
)
from mailbox_appliance.mail.trace import Level

ROWS: tuple[tuple[object, str], ...] = (
    ("ann@example.org", "ann@example.org"),
    ("Grüße", "Grüße"),
    ("two words", '"two words"'),
    ('say "hi"', '"say \\"hi\\""'),
    ("a=b", '"a=b"'),
    ("back\\slash", '"back\\\\slash"'),
    ("line\r\nend", '"line\\x0d\\x0aend"'),
    ("\x1b[31mred", '"\\x1b[31mred"'),
    ("\u202eright to left", '"\\u202eright to left"'),
    ("\U0001f600", '"\\U0001f600"'),
    ("\udce9", '"\\udce9"'),
    (5, "5"),
    (0.25, "0.25"),
    (1700000000.5, "1700000000.500"),
    (True, "yes"),
    (("a@b.example", "c@d.example"), "a@b.example,c@d.example"),
    ((), '""'),
)


class Broken(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError(32, "Broken pipe")


class LinesTests(SynchronousTestCase):
    """The shape of a line."""

    def test_values(self) -> None:
        """Plain words stand plain; whatever is odd is quoted and escaped."""
        for value, shown in ROWS:
            self.assertEqual(show_value(value), shown)

    def test_long_values_are_cut(self) -> None:
        """A peer does not decide how long a line is."""
        self.assertLess(len(show_value("x" * 100_000)), LONGEST_VALUE + 20)
        self.assertLess(len(show_value(tuple("y" * 100 for _ in range(10_000)))), LONGEST_LIST + 20)

    @settings(max_examples=300, deadline=None)
    @given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), st.text(max_size=50), max_size=5))
    def test_read_back(self, facts: dict[str, str]) -> None:
        """Whatever the values are, the line is one printable line, and reading it gives them back."""
        line = show_facts(facts.items())
        self.assertTrue(line.isprintable() or not line, line)
        self.assertEqual(len(line.splitlines()), 1 if line else 0)
        self.assertEqual(parse_facts(line), facts)

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=80))
    def test_reading_nonsense(self, text: str) -> None:
        """Reading never fails."""
        parse_facts(text)

    def test_time(self) -> None:
        """UTC with milliseconds; before 1970 too (a clock far off)."""
        self.assertEqual(stamp(1_790_000_000.1239), "2026-09-21T14:13:20.123Z")
        self.assertEqual(stamp(0), "1970-01-01T00:00:00.000Z")
        self.assertEqual(stamp(-0.5), "1969-12-31T23:59:59.500Z")

    def test_written_once_a_turn(self) -> None:
        """The lines of one reactor turn are one write."""
        clock, out = Clock(), io.StringIO()
        writer = LineWriter(out, clock)
        writer.write(1.0, Level.INFO, "a.b", "x=1")
        writer.write(2.0, Level.WARNING, "c.d", "")
        self.assertEqual(out.getvalue(), "")
        clock.advance(0)
        self.assertEqual(
            out.getvalue(), "1970-01-01T00:00:01.000Z info a.b x=1\n1970-01-01T00:00:02.000Z warning c.d \n"
        )

    def test_for_systemd(self) -> None:
        """systemd's journal has the time already and reads the level."""
        clock, out = Clock(), io.StringIO()
        writer = LineWriter(out, clock, for_systemd=True)
        writer.write(1.0, Level.ERROR, "a.b", "x=1")
        writer.flush()
        self.assertEqual(out.getvalue(), "<3>a.b x=1\n")

    def test_bounded(self) -> None:
        """A long turn does not gather lines without end."""
        clock, out = Clock(), io.StringIO()
        writer = LineWriter(out, clock)
        for _ in range(5000):
            writer.write(1.0, Level.INFO, "a.b", "")
        self.assertGreaterEqual(out.getvalue().count("\n"), 4000)

    def test_broken_pipe(self) -> None:
        """A reader that has gone is given up, and mail goes on."""
        clock = Clock()
        writer = LineWriter(Broken(), clock)
        for _ in range(3):
            writer.write(1.0, Level.INFO, "a.b", "")
            clock.advance(0)
