"""Header blocks: fields are found, unfolded, added and removed without touching the rest."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail import header as h
from tests.kit.malformed import LARGE, MALFORMED

PLAIN = b"From: Ann <ann@example.org>\nSubject: one\n two\nX: 1\nx: 2\n\nbody: no field\n"


class HeaderTests(SynchronousTestCase):
    def test_header_end(self) -> None:
        """The header ends behind its empty line, whatever the line ends; without one it is all header."""
        for octets, end in (
            (b"", 0),
            (b"\n", 1),
            (b"\r\nx", 2),
            (b"a: b\n\nc", 6),
            (b"a: b\r\n\r\nc", 8),
            (b"a: b\n\r\nc", 7),
            (b"a: b", 4),
            (b"a: b\n", 5),
            (b"a: b\n \n\nc", 8),
        ):
            self.assertEqual(h.header_end(octets), end, octets)

    def test_first_and_every(self) -> None:
        """Names match in any case and only as a whole; values come unfolded; the body is not looked at."""
        self.assertEqual(h.first(PLAIN, "subject"), b"one two")
        self.assertEqual(h.first(PLAIN, "SUBJECT"), b"one two")
        self.assertEqual(h.every(PLAIN, "x"), [b"1", b"2"])
        self.assertIsNone(h.first(PLAIN, "sub"))
        self.assertIsNone(h.first(PLAIN, "body"))
        self.assertIsNone(h.first(PLAIN, "fro."))
        self.assertEqual(h.first(b"A : b\n\n", "a"), b"b")
        self.assertEqual(h.first(PLAIN.replace(b"\n", b"\r\n"), "subject"), b"one two")
        self.assertEqual(h.count(PLAIN, "X"), 2)

    def test_a_fold_is_no_field(self) -> None:
        """A continuation line with a colon is never taken for a field, not even behind a line without one."""
        odd = b"nonsense\n Evil: 1\nA: 1\n B: 2\n\n"
        self.assertEqual([name for name, _ in h.split_fields(odd)], [b"A"])
        self.assertEqual(h.group_fields(odd), {b"a": [b"1\n B: 2"]})

    def test_remove(self) -> None:
        """Removed fields go with their folds; every other octet stays."""
        self.assertEqual(h.remove_named(PLAIN, ["subject", "x"]), b"From: Ann <ann@example.org>\n\nbody: no field\n")
        seen: list[tuple[str, bytes]] = []

        def note(name: str, value: bytes) -> bool:
            seen.append((name, value))
            return False

        self.assertEqual(h.remove_fields(PLAIN, note), PLAIN)
        self.assertEqual(seen[1], ("subject", b"one two"))
        self.assertEqual(h.remove_named(b"A: 1\r\n b\r\nB: 2\r\n\r\n", ["a"]), b"B: 2\r\n\r\n")

    def test_add(self) -> None:
        """New fields stand on top; a value cannot smuggle in a field of its own."""
        self.assertEqual(h.add_fields(b"A: 1\n\n", [("B", b"x\n y")]), b"B: x\n y\nA: 1\n\n")
        self.assertEqual(
            h.add_fields(b"A: 1\r\n\r\n", [("B", b"x\n y")], line_end=b"\r\n"), b"B: x\r\n y\r\nA: 1\r\n\r\n"
        )
        for value in (b"x\nBcc: y", b"x\r\nBcc: y", b"x\n"):
            self.assertRaises(ValueError, h.add_fields, b"\n", [("B", value)])

    def test_from_addresses(self) -> None:
        """All From fields count, groups are opened."""
        header = b"From: a@x, B <b@y>\nfrom: G: c@z;\n\nFrom: d@w\n"
        self.assertEqual([m.domain for m in h.from_addresses(header)], [b"x", b"y", b"z"])
        self.assertEqual(h.from_addresses(b"Subject: x\n\n"), [])

    @given(st.binary(max_size=300))
    @settings(max_examples=200, deadline=None)
    def test_nothing_is_lost(self, octets: bytes) -> None:
        """Removing nothing changes nothing; what is removed is never found again; nothing raises."""
        self.assertEqual(h.remove_fields(octets, lambda name, value: False), octets)
        names = [name.rstrip().lower().decode("latin-1") for name, _ in h.split_fields(octets)]
        left = h.remove_fields(octets, lambda name, value: True)
        if names:
            self.assertLess(len(left), len(octets))
        for name in names:
            self.assertEqual(h.count(left[: h.header_end(left)], name), 0)

    def test_malformed(self) -> None:
        """Odd headers are read without complaint, large ones too."""
        for name, octets in (*MALFORMED, *((name, make()) for name, make in LARGE)):
            end = h.header_end(octets)
            self.assertLessEqual(end, len(octets), name)
            self.assertEqual(h.remove_fields(octets, lambda name, value: False), octets)
            h.group_fields(octets[:end])
            h.from_addresses(octets)
