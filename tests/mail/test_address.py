"""Addresses as values: what is one, what is none, and which are the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import (
    Address,
    AddressError,
    domain_to_ascii,
    domain_to_unicode,
    show_reverse_path,
)


class AddressTests(SynchronousTestCase):
    def test_parse(self) -> None:
        """Domains are folded to lower-case A-labels, local parts are kept."""
        for text, shown in (
            ("Ann@Example.ORG", "Ann@example.org"),
            (" ann@example.org. ", "ann@example.org"),
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("a@b@example.org", '"a@b"@example.org'),
            ("a b@example.org", '"a b"@example.org'),
            ('a"b@example.org', '"a\\"b"@example.org'),
            ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
            ("jürgen@example.org", "jürgen@example.org"),
        ):
            self.assertEqual(str(Address.parse(text)), shown)
        self.assertEqual(Address.parse("a@BÜCHER.example"), Address.parse("a@xn--bcher-kva.example"))

    def test_refused(self) -> None:
        """What is no address says so in words."""
        for text in (
            "",
            "ann",
            "@example.org",
            "ann@",
            "ann@-x.example",
            "ann@a..b",
            "ann@" + "a" * 64 + ".example",
            "ann@" + "a." * 130 + "example",
            "a" * 65 + "@example.org",
            "a\r\nb@example.org",
            "a\0@example.org",
            "a\x85@example.org",
            "\ud800@example.org",
            "ann@[192.0.2.1",
            "ann@[x y]",
            "ann@exam ple.org",
        ):
            self.assertRaises(AddressError, Address.parse, text)

    def test_details(self) -> None:
        """Subaddresses, folding, the null path."""
        address = Address.parse("Ann+Shop@example.org")
        self.assertEqual(address.without_detail(), (Address("Ann", "example.org"), "Shop"))
        self.assertEqual(Address.parse("+x@example.org").without_detail()[1], "")
        self.assertEqual(address.folded().local, "ann+shop")
        self.assertEqual(show_reverse_path(None), "<>")
        self.assertTrue(address.is_ascii)
        self.assertFalse(Address.parse("ü@example.org").is_ascii)

    def test_domains(self) -> None:
        """A-labels and back."""
        self.assertEqual(domain_to_ascii("Bücher.Example."), "xn--bcher-kva.example")
        self.assertEqual(domain_to_unicode("xn--bcher-kva.example"), "bücher.example")
        self.assertEqual(domain_to_unicode("xn--\u0394.example"), "xn--\u0394.example")

    @given(st.text(max_size=80))
    @settings(max_examples=300, deadline=None)
    def test_never_raises_anything_else(self, text: str) -> None:
        """Any text is an address or an AddressError, and an address survives being written and read."""
        try:
            address = Address.parse(text)
        except AddressError:
            return
        self.assertEqual(Address.of(address.local, address.domain), address)
        self.assertNotIn("\n", str(address))
