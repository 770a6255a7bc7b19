"""What looks alike has one skeleton."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.lookalike import mixes_scripts, skeleton, turns_direction


class LookalikeTests(SynchronousTestCase):
    """Pairs that a reader takes for each other, and some that he does not."""

    def test_alike(self) -> None:
        """Other alphabets, digits, pairs of letters, accents, characters nobody sees."""
        for one, other in (
            ("paypal", "paypaI"), ("paypal", "pаypal"), ("paypal", "paypa1"), ("modern", "modem"), ("google", "g00gle"),
            ("miller", "mi\u200bller"), ("victim", "víctim"), ("wood", "vvood"), ("Ann Miller", "Αnn Мillеr"),
            ("apple", "ａｐｐｌｅ"), ("example", "exаmрlе"),
        ):  # fmt: skip
            self.assertEqual(skeleton(one), skeleton(other), (one, other))

    def test_unlike(self) -> None:
        """Different words stay different."""
        for one, other in (("ann", "anna"), ("example", "sample"), ("home", "hose"), ("müller", "möller")):
            self.assertNotEqual(skeleton(one), skeleton(other))

    def test_scripts(self) -> None:
        """One alphabet a word; several in one line are a person of two languages."""
        for text, mixed in (
            ("pаypal", True), ("Иван Petrov", False), ("Ann", False), ("Ωmega", True), ("日本 Tokyo", False), ("Zoë", False),
        ):  # fmt: skip
            self.assertIs(mixes_scripts(text), mixed, text)

    def test_direction(self) -> None:
        """Overrides turn; the marks that Hebrew and Arabic writers use do not."""
        self.assertTrue(turns_direction("invoice\u202efdp.exe"))
        self.assertFalse(turns_direction("שלום\u200f"))

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """Whatever it is, it ends, and folding twice changes nothing that comparison needs."""
        self.assertLessEqual(len(skeleton(text)), 20 * 400)
        mixes_scripts(text)
