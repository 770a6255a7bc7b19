"""LIST patterns."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.imap.listing import matcher


class ListingTests(SynchronousTestCase):
    """RFC 3501 §6.3.8."""

    def test_examples(self) -> None:
        """Stars cross levels, percents do not; INBOX has no case."""
        for pattern, name, fits in (
            ("*", "a.b", True),
            ("%", "a.b", False),
            ("%.%", "a.b", True),
            ("a*b", "a.x.b", True),
            ("a%b", "a.x.b", False),
            ("inbox", "INBOX", True),
            ("iNb%", "INBOX", True),
            ("inbox", "Inbox2", False),
            ("%%%", "abc", True),
            ("*%*", "", True),
            ("a", "A", False),
        ):
            self.assertEqual(matcher(pattern)(name), fits, (pattern, name))

    @settings(max_examples=300, deadline=None)
    @given(st.text("ab.%*", max_size=8), st.text("ab.", max_size=8))
    def test_against_regular_expressions(self, pattern: str, name: str) -> None:
        """The automaton says what a regular expression would."""
        rule = re.sub(r"[*%]+", lambda m: ".*" if "*" in m[0] else "[^.]*", re.sub(r"([.])", r"\\\1", pattern))
        self.assertEqual(matcher(pattern)(name), re.fullmatch(rule, name) is not None)

    def test_many_wildcards(self) -> None:
        """A pattern made to be slow is not: a thousand wildcards against a long name."""
        self.assertFalse(matcher("*a" * 500 + "b")("a" * 1000))
        self.assertTrue(matcher("%a" * 500)("a" * 1000))
