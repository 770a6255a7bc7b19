"""Sequence sets: read, resolved, said."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.imap import sets
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor

ENDS = st.one_of(st.none(), st.integers(1, 40))


def read(text: bytes, *, uids: bool = False) -> tuple[tuple[int | None, int | None], ...]:
    cursor = Cursor(text)
    found = sets.read_set(cursor, uids=uids)
    cursor.end()
    return found.ranges


class SetsTests(SynchronousTestCase):
    """RFC 3501 §9: sequence-set."""

    def test_reading(self) -> None:
        """Numbers, ranges either way round, the star, and the highest of 32 bits."""
        for text, ranges in (
            (b"1", ((1, 1),)),
            (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, None))),
            (b"*:4,5", ((None, 4), (5, 5))),
            (b"4294967295", ((4294967295, 4294967295),)),
        ):
            self.assertEqual(read(text), ranges)

    def test_what_is_no_set(self) -> None:
        """Zero, 33 bits, empty pieces and letters are refused."""
        for text in (
            b"",
            b"0",
            b"1:0",
            b"4294967296",
            b"1,,2",
            b",1",
            b"1:",
            b":1",
            b"1:2:3",
            b"a",
            b"99999999999999",
            b"**",
        ):
            self.assertRaises(BadSyntax, read, text)

    def test_numbers_that_there_are_not(self) -> None:
        """A message number beyond the mailbox is an error; "*" of an empty one selects nothing."""
        self.assertRaises(BadSyntax, sets.select_numbers, read(b"4"), 3)
        self.assertRaises(BadSyntax, sets.select_numbers, read(b"2:4"), 3)
        self.assertEqual(sets.select_numbers(read(b"1:*"), 0), [])
        self.assertEqual(sets.select_numbers(read(b"*"), 3), [(2, 3)])

    def test_beyond_the_end(self) -> None:
        """n:* with n beyond the last UID is the last message."""
        uids = array("I", [3, 7, 9])
        self.assertEqual(sets.select_uids(read(b"100:*"), uids, 3), [(2, 3)])
        self.assertEqual(sets.select_uids(read(b"100:200"), uids, 3), [])
        self.assertEqual(sets.select_uids(read(b"100:*"), uids, 0), [])

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6), st.sets(st.integers(1, 40)))
    def test_uids_against_a_model(self, ranges: list[tuple[int | None, int | None]], present: set[int]) -> None:
        """Resolving UIDs is: those of the range that are there, the star being the highest."""
        uids = array("I", sorted(present))
        wanted: set[int] = set()
        if present:
            for first, last in ranges:
                low, high = sorted((first or max(present), last or max(present)))
                wanted |= {uid for uid in present if low <= uid <= high}
        selection = sets.select_uids(ranges, uids, len(uids))
        self.assertEqual([uids[place] for place in sets.places(selection)], sorted(wanted))
        self.assertEqual(sets.size_of(selection), len(wanted))
        if selection:
            self.assertEqual(list(sets.pick(selection, uids)), sorted(wanted))

    @settings(max_examples=200, deadline=None)
    @given(st.sets(st.integers(1, 60)))
    def test_said_and_read_again(self, numbers: set[int]) -> None:
        """What is said means the same numbers."""
        text = sets.say_set(sorted(numbers))
        if not numbers:
            self.assertEqual(text, b"")
            return
        uids = array("I", range(1, 61))
        selection = sets.select_uids(read(text), uids, 60)
        self.assertEqual([uids[place] for place in sets.places(selection)], sorted(numbers))
        self.assertEqual({n for low, high in sets.as_ranges(sorted(numbers)) for n in range(low, high + 1)}, numbers)
