"""Mailbox names in modified UTF-7 (RFC 3501 §5.1.3)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.imap import utf7

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


class Utf7Tests(SynchronousTestCase):
    """Names there and back."""

    def test_examples(self) -> None:
        """The RFC's example and its neighbours."""
        for octets, name in (
            (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            (b"Hi Mom -&Jjo--!", "Hi Mom -☺-!"),
            (b"&-", "&"),
            (b"a&-b", "a&b"),
            (b"&2D3cqQ-", "💩"),
        ):
            self.assertEqual(utf7.decode(octets), name)
            self.assertEqual(utf7.encode(name), octets)

    def test_refused(self) -> None:
        """Broken, needless and double encodings, 8-bit octets and controls."""
        for octets in (
            b"&Jjo!",
            b"&",
            b"a&U,B",
            b"&U,BTFw-&ZeVnLIqe-",
            b"&AGEA-",
            b"&AGE-",
            b"&2D0-",
            b"&Jjp-",
            b"caf\xc3\xa9",
            b"a\x00b",
            b"a\rb",
            b"&====-",
            b"&Jj-",
        ):
            self.assertRaises(utf7.BadName, utf7.decode, octets)

    @settings(max_examples=300, deadline=None)
    @given(NAMES)
    def test_there_and_back(self, name: str) -> None:
        """Every name without controls survives."""
        self.assertEqual(utf7.decode(utf7.encode(name)), name)

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=30))
    def test_anything(self, octets: bytes) -> None:
        """Any octets give a name that is spelled just so, or BadName."""
        try:
            name = utf7.decode(octets)
        except utf7.BadName:
            return
        self.assertEqual(utf7.encode(name), octets)
