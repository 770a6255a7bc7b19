"""The header block at the border: what is taken out, what is put on top."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.client import Client
from mailbox_appliance.mail.header import every, split_fields
from mailbox_appliance.smtp import fields
from mailbox_appliance.wire.smtp.grammar import parse_hello
from mailbox_appliance.wire.smtp.mistakes import GrammarError

US = "mx.example.org"


class StripTests(SynchronousTestCase):
    """Only we may say these."""

    def test_table(self) -> None:
        """Field by field: does it stay?"""
        for field, stays in (
            (b"Return-Path: <a@b.test>", False),
            (b"return-path : <a@b.test>", False),
            (b"Delivered-To: ann@example.org", False),
            (b"X-Spam-Flag: NO", False),
            (b"X-SPAM-Score:\n folded", False),
            (b"X-Spammer: no", True),
            (b"Authentication-Results: mx.example.org; spf=pass", False),
            (b"Authentication-Results: MX.Example.Org 1; dkim=pass", False),
            (b"Authentication-Results:\n (c) mx.example.org; none", False),
            (b'Authentication-Results: "mx.example.org"; none', False),
            (b"Authentication-Results: (a;b) mx.example.org; dmarc=pass", False),
            (b"Authentication-Results: (a (b;) \\) ;)\n\tMX.example.ORG 1 (;); dmarc=pass", False),
            (b'Authentication-Results: "mx.ex\\ample.org"; dmarc=pass', False),
            (b'Authentication-Results: (";) mx.example.org; dmarc=pass', False),
            (b"Authentication-Results: (mx.example.org; dmarc=pass", False),
            (b"AUTHENTICATION-results \t: mx.example.org.; dmarc=pass", False),
            (b"Authentication-Results:\n\t\n mx.example.org/1; dmarc=pass", False),
            (b"Authentication-Results: (;) other.test; x=(mx.example.org)", True),
            (b"Authentication-Results: mx.example.org.evil.test; spf=pass", True),
            (b"Authentication-Results: amx.example.org; spf=pass", True),
            (b"Authentication-Results: other.test; x=mx.example.org", True),
            (b"Received-SPF: pass receiver=mx.example.org;", False),
            (b"Received-SPF: pass receiver=other.test;", True),
            (b"Subject: Return-Path: x", True),
            (b"Bcc: a@b.test", True),
            (b"Received: from x", True),
            (b"ARC-Authentication-Results: i=1; mx.example.org; spf=pass", True),
        ):
            header = b"From: a@b.test\n" + field + b"\nTo: c@d.test\n\n"
            kept = fields.strip_border_fields(header, US, submission=False)
            self.assertEqual(kept, header if stays else b"From: a@b.test\nTo: c@d.test\n\n", field)
            if not stays:
                self.assertTrue(fields.read_facts(header).suspicious, field)

    def test_submission(self) -> None:
        """What users submit loses Bcc and Resent-Bcc."""
        header = b"From: a@b.test\nBCC: x@y.test,\n z@y.test\nResent-Bcc: q@y.test\nTo: c@d.test\n\n"
        self.assertTrue(fields.read_facts(header).suspicious)
        self.assertEqual(fields.strip_border_fields(header, US, submission=True), b"From: a@b.test\nTo: c@d.test\n\n")

    @settings(max_examples=150)
    @given(
        st.lists(
            st.sampled_from([b"A: b\n", b" folded\n", b"\t x\n", b"Bcc: x\n", b"junk\n", b": y\n", b"From: a@b\n"])
        )
    )
    def test_only_what_is_named(self, lines: list[bytes]) -> None:
        """Whatever the block looks like, only the fields meant are gone."""
        header = b"".join(lines) + b"\n"
        kept = fields.strip_border_fields(header, US, submission=True)
        self.assertEqual(every(kept, "bcc"), [])
        self.assertEqual([field for field in split_fields(header) if field[0].lower() != b"bcc"], split_fields(kept))


class FactsTests(SynchronousTestCase):
    """One pass."""

    def test_facts(self) -> None:
        """What is read."""
        facts = fields.read_facts(
            b"Received: a\nreceived: b\nFROM: a@b.test\nDate: now\nMessage-Id:\n <x@y.test>\xff\x1b\n\n"
        )
        self.assertEqual(facts.authors, [b"a@b.test"])
        self.assertEqual((facts.received, facts.has_date, facts.suspicious), (2, True, False))
        self.assertEqual(facts.message_id, "<x@y.test>??")
        self.assertEqual(fields.read_facts(b"\n").authors, [])


class ReceivedTests(SynchronousTestCase):
    """RFC 5321 §4.4."""

    def test_protocol_word(self) -> None:
        """RFC 3848 and RFC 6531 §4.3."""
        for extended, tls, account, utf8, word in (
            (False, "", "", False, "SMTP"),
            (True, "", "", False, "ESMTP"),
            (True, "TLSv1.3", "", False, "ESMTPS"),
            (True, "TLSv1.3", "a@b.test", False, "ESMTPSA"),
            (True, "", "a@b.test", False, "ESMTPA"),
            (True, "", "", True, "UTF8SMTP"),
            (True, "TLSv1.3", "a@b.test", True, "UTF8SMTPSA"),
        ):
            client = Client(ip_address("192.0.2.1"), 1, "smtp", "x", extended, tls, "", account)
            self.assertEqual(fields.protocol_word(client, utf8), word)

    def test_field(self) -> None:
        """Whole, with everything in it; and what a user's field does not tell."""
        client = Client(ip_address("2001:db8::5"), 1, "smtp", "mx.test", True, "TLSv1.3", "TLS_X")
        field = fields.received_field(client, US, "id1", 0.0, recipient="a@b.test", smtputf8=False, hide_client=False)
        self.assertEqual(
            field,
            b"Received: from mx.test ([IPv6:2001:db8::5])\n\tby mx.example.org with ESMTPS (TLSv1.3 TLS_X)\n"
            b"\tid id1\n\tfor <a@b.test>; Thu, 01 Jan 1970 00:00:00 +0000\n",
        )
        user = Client(ip_address("2001:db8::5"), 1, "submission", "annslaptop", True, "TLSv1.3", "", "ann@example.org")
        hidden = fields.received_field(user, US, "id1", 0.0, recipient="", smtputf8=False, hide_client=True)
        for secret in (b"2001:db8", b"annslaptop", b"ann@example.org", b"for"):
            self.assertNotIn(secret, hidden)
        self.assertIn(b"from submission\n\tby mx.example.org with ESMTPSA (TLSv1.3)\n", hidden)

    @settings(max_examples=300, deadline=None)
    @given(
        st.text(max_size=60) | st.sampled_from(["a\r\nBcc: x", "a)(", "[IPv6:x] by evil", "a\x85b", "é" * 99, "a;b"]),
        st.text('ab\\"<>;,:()[]@ é\u2028', min_size=1, max_size=20),
    )
    def test_nobody_gets_out_of_it(self, helo: str, local: str) -> None:
        """Neither a HELO nor a recipient ends the field, begins another or names another host behind "by"."""
        try:
            name = parse_hello(helo)
            recipient = str(Address.of(local, "example.org"))
        except (GrammarError, AddressError):
            return
        client = Client(ip_address("192.0.2.1"), 1, "smtp", name, True)
        field = fields.received_field(client, US, "id1", 0.0, recipient=recipient, smtputf8=True, hide_client=False)
        lines = field.split(b"\n")
        self.assertEqual(lines.pop(), b"")
        self.assertTrue(all(line[:1] == b"\t" for line in lines[1:]), field)
        self.assertEqual(
            [line for line in lines if line.startswith(b"\tby ")], [b"\tby mx.example.org with UTF8SMTP"], field
        )
        self.assertRegex(lines[0], rb"\AReceived: from [A-Za-z0-9._:\[\]?-]+ \(\[192\.0\.2\.1\]\)\Z")
