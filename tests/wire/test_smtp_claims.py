"""XCLIENT's attributes: what is understood, what is refused."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.smtp.claims import Claims, parse_xclient
from mailbox_appliance.wire.smtp.mistakes import GrammarError


class ClaimsTests(SynchronousTestCase):
    """One line."""

    def test_good(self) -> None:
        """Attributes in any order and case; what is unavailable was not said."""
        table = {
            "ADDR=192.0.2.1 PORT=25": Claims(ip_address("192.0.2.1"), 25),
            "addr=IPV6:2001:db8::1": Claims(ip_address("2001:db8::1")),
            "ADDR=IPV6:::ffff:192.0.2.1": Claims(ip_address("192.0.2.1")),
            "NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAIL]": Claims(),
            "HELO=a+2Eb PROTO=smtp": Claims(helo="a.b", extended=False),
            "PROTO=ESMTP": Claims(extended=True),
        }
        for text, wanted in table.items():
            self.assertEqual(parse_xclient(text), wanted, text)

    def test_bad(self) -> None:
        """Unknown attributes, no attributes, addresses that are none."""
        for text in (
            "",
            "ADDR",
            "ADDR=",
            "ADDR=example.org",
            "ADDR=IPV6:192.0.2.1",
            "LOGIN=x",
            "PORT=-1",
            "PROTO=HTTP",
        ):
            self.assertRaises(GrammarError, parse_xclient, text)

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=60), st.sampled_from(["ADDR=", "PORT=", "HELO=", "ADDR=IPV6:", ""]))
    def test_fuzz(self, text: str, start: str) -> None:
        """Nothing raises but GrammarError."""
        try:
            parse_xclient(start + text)
        except GrammarError:
            pass
