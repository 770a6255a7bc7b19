"""TLSA records as a language, and TLS report records (RFC 6698 §2.1, RFC 7672 §3.1, RFC 8460 §3)."""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mailauth.tlsa import Tlsa, TlsaError, read_tlsa
from mailbox_appliance.mailauth.tlsrpt_record import report_addresses
from tests.kit.authority import authority

ROOT = x509.load_pem_x509_certificate(authority().pem)
DER = ROOT.public_bytes(Encoding.DER)
KEY = ROOT.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class TlsaTests(SynchronousTestCase):
    def test_fits(self) -> None:
        """Selector × matching, each with its own octets and with one bit changed."""
        for selector, selected in ((0, DER), (1, KEY)):
            for matching, data in (
                (0, selected),
                (1, hashlib.sha256(selected).digest()),
                (2, hashlib.sha512(selected).digest()),
            ):
                where = f"{selector} {matching}"
                self.assertTrue(Tlsa(3, selector, matching, data).fits(DER), where)
                self.assertFalse(Tlsa(3, selector, matching, bytes([data[0] ^ 1]) + data[1:]).fits(DER), where)
        self.assertFalse(Tlsa(3, 0, 9, hashlib.sha256(DER).digest()).fits(DER))
        self.assertFalse(Tlsa(3, 1, 1, hashlib.sha256(KEY).digest()).fits(b"no certificate"))

    def test_usable(self) -> None:
        for record, usable in (
            ("3 1 1 " + "ab" * 32, True),
            ("2 0 2 " + "ab" * 64, True),
            ("3 0 0 00", True),
            ("0 1 1 " + "ab" * 32, False),
            ("1 1 1 " + "ab" * 32, False),
            ("3 2 1 " + "ab" * 32, False),
            ("3 1 3 " + "ab" * 32, False),
            ("3 1 1 " + "ab" * 31, False),
            ("255 1 1 " + "ab" * 32, False),
        ):
            self.assertIs(read_tlsa(record).is_usable, usable, record)

    def test_read(self) -> None:
        self.assertEqual(read_tlsa(" 3 1 1 AB\tcd ef "), Tlsa(3, 1, 1, b"\xab\xcd\xef"))
        self.assertEqual(str(read_tlsa("3 1 1 ABcd")), "3 1 1 abcd")
        for text in ("", "3 1 1", "3 1 1 abc", "3 1 1 xy", "-1 1 1 ab", "300 1 1 ab", "3 1 1 " + "a" * 60_000):
            self.assertRaises(TlsaError, read_tlsa, text)

    @given(st.text(max_size=60) | st.text(alphabet="0123 abf\t", max_size=60), st.binary(max_size=60))
    @settings(max_examples=300, deadline=None)
    def test_fuzz(self, text: str, certificate: bytes) -> None:
        """Any text is a record or a TlsaError, and any octets fit or do not."""
        try:
            record = read_tlsa(text)
        except TlsaError:
            return
        self.assertIn(record.fits(certificate), (True, False))
        self.assertEqual(read_tlsa(str(record)), record)


class ReportRecordTests(SynchronousTestCase):
    def test_table(self) -> None:
        for records, addresses in (
            ([b"v=TLSRPTv1; rua=mailto:tls@a.example"], ["tls@a.example"]),
            ([b"v=TLSRPTv1;rua=https://x.example/, mailto:a%2Bb@a.example!10m ,mailto:c@a.example?x=y;"],
             ["a+b@a.example", "c@a.example"]),
            ([b"v=spf1 -all", b"v=TLSRPTv1; rua=mailto:tls@a.example"], ["tls@a.example"]),
            ([b"v=TLSRPTv1; rua=mailto:tls@a.example", b"v=TLSRPTv1; rua=mailto:b@a.example"], []),
            ([b"v=TLSRPTv1; rua=mailto:tls@[127.0.0.1],mailto:x%0d%0ay@a.example,mailto:"], []),
            ([b"v=TLSRPTv1"], []),
        ):  # fmt: skip
            self.assertEqual(list(map(str, report_addresses(records))), addresses, records)

    @given(st.binary(max_size=120))
    @settings(max_examples=200, deadline=None)
    def test_fuzz(self, octets: bytes) -> None:
        found = report_addresses([b"v=TLSRPTv1;rua=mailto:" + octets])
        self.assertTrue(all(isinstance(address, Address) for address in found))
