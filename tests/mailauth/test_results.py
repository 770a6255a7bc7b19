"""Authentication-Results and our ARC set: what stands in them, and what can never stand in them."""

from __future__ import annotations

import authres
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mailauth import arc, results
from mailbox_appliance.mailauth.arc import ArcResult
from mailbox_appliance.mailauth.canonical import RELAXED, HeaderBlock
from mailbox_appliance.mailauth.dkim import DkimResult
from mailbox_appliance.mailauth.dmarc import DmarcResult
from mailbox_appliance.mailauth.sign import load_key, new_key, public_record, seal_fields
from mailbox_appliance.mailauth.signature import RSA
from mailbox_appliance.mailauth.spf import SpfResult
from tests.mailauth.proof import Book, body_digest, split

NOW = 1_763_800_000.0


class ResultsTests(SynchronousTestCase):
    """The field."""

    def test_parsed_again(self) -> None:
        """authres reads back what we say."""
        value = results.field_value(
            "mx.home.test",
            spf=[SpfResult("pass", "example.org", "mailfrom"), SpfResult("none", "mail.example.org", "helo")],
            dkim=[
                DkimResult("pass", "example.org", "k1", algorithm="rsa-sha256"),
                DkimResult("fail", "a.test", "s", reason="the body; was changed"),
            ],
            dmarc=DmarcResult("pass", "example.org", reason="dkim example.org belongs to it"),
            arc=ArcResult("fail", "a set is (not) complete"),
            iprev=("pass", "2001:db8::1"),
        )
        read = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + value)
        self.assertEqual(read.authserv_id, "mx.home.test")
        self.assertEqual(
            [(one.method, one.result) for one in read.results],
            [
                ("iprev", "pass"),
                ("spf", "pass"),
                ("spf", "none"),
                ("dkim", "pass"),
                ("dkim", "fail"),
                ("arc", "fail"),
                ("dmarc", "pass"),
            ],
        )
        self.assertIn("dkim=none", results.field_value("x.test"))

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=40), st.text(max_size=40))
    def test_nothing_gets_out(self, domain: str, reason: str) -> None:
        """Whatever a sender writes, there is one field, and no result that we did not give."""
        value = results.field_value(
            "mx.home.test",
            spf=[SpfResult("fail", domain, "helo", reason)],
            dkim=[DkimResult("fail", domain, domain, reason=reason)],
            dmarc=DmarcResult("fail", domain, reason=reason),
        )
        field = results.field(value)
        self.assertEqual(field.count(b"\n"), field.count(b"\n\t") + 1)
        self.assertTrue(value.isascii() and value.isprintable())
        self.assertEqual(value.count(";"), 3)
        self.assertNotIn(
            "=pass", value.replace(" reason", "").replace("_", "") if "pass" not in domain + reason else ""
        )


class SealTests(SynchronousTestCase):
    """Our ARC sets."""

    def test_a_row_of_sealers(self) -> None:
        """Three sets on top of one another hold; a change breaks the newest; a broken chain is sealed once and ends."""
        keys = [load_key(f"s{n}.test", "k", new_key(RSA)) for n in range(3)]
        book = Book({f"k._domainkey.{key.domain}": public_record(key) for key in keys})
        message = b"From: ann@example.org\nTo: b@c.test\nSubject: x\n\nHello\n"
        for number, key in enumerate(keys):
            header, body = split(message)
            block = HeaderBlock(header)
            chain = arc.read_chain(block, NOW)
            digest = body_digest(body, RELAXED)
            found = book.settle(lambda answers: arc.judge(block, chain, {RELAXED: digest}, answers))  # noqa: B023
            self.assertEqual(found.result, "pass" if number else "none", found.reason)
            added = seal_fields(
                block, digest, chain, found.result, key, results=f"{key.domain}; spf=pass; dkim=none", now=NOW
            )
            self.assertIn(f"i={number + 1};".encode(), added)
            message = added + message
        found = self.judge(message, book)
        self.assertEqual((found.result, found.sealers), ("pass", ("s2.test", "s1.test", "s0.test")))
        self.assertTrue(found.signs_from)
        self.assertEqual(self.judge(message.replace(b"Hello", b"Hullo"), book).result, "fail")
        self.assertEqual(self.judge(message.replace(b"spf=pass", b"spf=fail", 1), book).result, "fail")
        header, body = split(message.replace(b"Hello", b"Hullo"))
        block = HeaderBlock(header)
        chain = arc.read_chain(block, NOW)
        ended = seal_fields(
            block, body_digest(body, RELAXED), chain, "fail", keys[0], results="s0.test; arc=fail", now=NOW
        )
        self.assertIn(b"cv=fail", ended)
        last = self.judge(ended + header + body, book)
        self.assertEqual((last.result, last.ended), ("fail", True))
        block = HeaderBlock(ended + header)
        self.assertEqual(
            seal_fields(
                block, body_digest(body, RELAXED), arc.read_chain(block, NOW), "fail", keys[0], results="x", now=NOW
            ),
            b"",
        )

    def judge(self, message: bytes, book: Book) -> ArcResult:
        header, body = split(message)
        block = HeaderBlock(header)
        chain = arc.read_chain(block, NOW)
        return book.settle(lambda answers: arc.judge(block, chain, {RELAXED: body_digest(body, RELAXED)}, answers))
