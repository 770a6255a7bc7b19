"""Names of message files."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.mailbox import ANSWERED, DELETED, DRAFT, FIRST_KEYWORD_BIT, FLAGGED, SEEN
from mailbox_appliance.store import filenames
from mailbox_appliance.store.filenames import UniqueNames, base_of, flags_of, order_of, with_flags

KEYWORD_A = 1 << FIRST_KEYWORD_BIT
KEYWORD_Z = KEYWORD_A << 25


class FlagLetterTests(SynchronousTestCase):
    """The letters behind ":2,"."""

    def test_letters(self) -> None:
        """Name, flags it tells."""
        for name, bits in (
            ("1.M2P3.h", 0),
            ("1.M2P3.h:2,", 0),
            ("1.M2P3.h:2,S", SEEN),
            ("1.M2P3.h:2,DFRST", DRAFT | FLAGGED | ANSWERED | SEEN | DELETED),
            ("1.M2P3.h:2,TSRFD", DRAFT | FLAGGED | ANSWERED | SEEN | DELETED),
            ("1.M2P3.h,S=3,W=4:2,Saz", SEEN | KEYWORD_A | KEYWORD_Z),
            ("1.M2P3.h:2,PS", SEEN),
            ("1.M2P3.h:1,S", 0),
            ("1.M2P3.h:2,S,junk", SEEN),
        ):
            self.assertEqual(flags_of(name), bits, name)

    def test_new_flags(self) -> None:
        """Letters are sorted; those without a meaning for us stay."""
        self.assertEqual(with_flags("1.h", 0), "1.h:2,")
        self.assertEqual(with_flags("1.h:2,SP", FLAGGED | KEYWORD_A), "1.h:2,FPa")
        self.assertEqual(with_flags("1.h:2,S", SEEN | DELETED | 1 << 40), "1.h:2,ST")

    @given(st.integers(0, (1 << 64) - 1), st.sampled_from(["1.h", "1.h:2,P", "1.h,S=3:2,Sab"]))
    def test_what_is_written_is_read(self, bits: int, name: str) -> None:
        """All flags that have letters survive."""
        renamed = with_flags(name, bits)
        self.assertEqual(flags_of(renamed), bits & filenames.LETTER_BITS)
        self.assertEqual(base_of(renamed), base_of(name))

    @given(st.text(max_size=60))
    def test_any_name_can_be_read(self, name: str) -> None:
        """No file name makes trouble."""
        flags_of(name)
        filenames.size_of(name)
        filenames.wire_size_of(name)
        filenames.order_of(name)
        filenames.is_tidy(name)


class BaseTests(SynchronousTestCase):
    """Sizes and uniqueness."""

    def test_sizes(self) -> None:
        """S= and W=, wherever they stand."""
        for base, size, wire in (
            ("1.M2P3.h,S=30,W=40", 30, 40),
            ("1.M2P3.h,W=40,S=30", 30, 40),
            ("1.M2P3.h", None, None),
            ("1.M2P3.h,S=x", None, None),
            ("1.M2P3.h,S=3x", None, None),
        ):
            self.assertEqual((filenames.size_of(base), filenames.wire_size_of(base)), (size, wire), base)

    def test_order_of_one_moment(self) -> None:
        """Names made at one moment sort in the order in which they were made, whatever figure the count has reached."""
        names = UniqueNames("host", pid=7)
        names._count = itertools.count(9_998)
        made = [names.make(1.0) for _ in range(5)]
        self.assertEqual(sorted(made, key=order_of), made)

    @given(
        st.lists(
            st.one_of(
                st.from_regex(r"[0-9]{10}\.[a-z:\n ]{1,4}", fullmatch=True),
                st.from_regex(r"[0-9]{9,11}\.M[0-9]{1,3}P1\.h", fullmatch=True),
            ),
            max_size=6,
        )
    )
    def test_plain(self, bases: list[str]) -> None:
        """Plain names are tidy and in the order of their letters; one that is not is found among the others."""
        plain = filenames.are_plain(bases)
        each = [
            filenames.is_tidy(base) and len(base) > 11 and base[:10].isdecimal() and base[10] == "." for base in bases
        ]
        self.assertEqual(plain, bool(bases) and all(each))
        if plain:
            self.assertEqual(sorted(bases), sorted(bases, key=order_of))

    def test_unique(self) -> None:
        """No two names are alike, and none can break out of its directory."""
        names = UniqueNames("ho/st:x,y", pid=7)
        made = {names.make(1700000000.25, 5, 6) for _ in range(100)}
        self.assertEqual(len(made), 100)
        for name in made:
            self.assertTrue(name.startswith("1700000000.M250000P7_"), name)
            self.assertNotIn("/", name)
            self.assertNotIn(":", name)
            self.assertTrue(filenames.is_tidy(name))
            self.assertEqual((filenames.size_of(name), filenames.wire_size_of(name)), (5, 6))
            self.assertEqual(filenames.time_of(name), 1700000000)

    def test_tidy(self) -> None:
        """What cannot stand in a line of a uidlist."""
        for base, good in (
            ("1.h", True),
            ("a b", False),
            ("a\nb", False),
            (".a", True),
            ("", False),
            ("x" * 201, False),
        ):
            self.assertEqual(filenames.is_tidy(base), good, base)
        self.assertFalse(filenames.is_tidy("a\udcffb"))
