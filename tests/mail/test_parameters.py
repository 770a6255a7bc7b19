"""Content-Type and its kin: tokens, quoted strings, comments, continuations."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.parameters import (
    MOST_PARAMETERS,
    content_type_of,
    disposition_of,
    languages_of,
    lone_token_of,
)

TYPES: tuple[tuple[bytes, tuple[str, str, tuple[tuple[str, str], ...]]], ...] = (
    (b"text/plain", ("text", "plain", ())),
    (b" TEXT/Plain ; Charset = US-ASCII", ("text", "plain", (("charset", "US-ASCII"),))),
    (b'text/plain; charset="utf-8"; format=flowed', ("text", "plain", (("charset", "utf-8"), ("format", "flowed")))),
    (b"text/plain; charset=us-ascii (Plain text)", ("text", "plain", (("charset", "us-ascii"),))),
    (b"text (c) / (d) plain (e)", ("text", "plain", ())),
    (b'multipart/mixed;\r\n\tboundary="a\\"b; c"', ("multipart", "mixed", (("boundary", 'a"b; c'),))),
    (b"image/gif; name==?utf-8?q?x?=", ("image", "gif", (("name", "=?utf-8?q?x?="),))),
    (b"text/plain charset=x", ("", "", ())),
    (b"text", ("text", "", ())),
    (b"", ("", "", ())),
    (b";", ("", "", ())),
    (b"text/plain; a=; b=c", ("text", "plain", (("a", ""), ("b", "c")))),
    # RFC 2231 §3, §4.1
    (
        b'message/external-body; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub"',
        ("message", "external-body", (("access-type", "URL"), ("url", "ftp://cs.utk.edu/pub"))),
    ),
    (
        b"application/x-stuff; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*0*=us-ascii'en'This%20is%20even%20more%20; "
        b'title*2="isn\'t 100% it!"',
        (
            "application",
            "x-stuff",
            (("title*", "us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn't 100%25 it!"),),
        ),
    ),
    (b"text/plain; a*0=x; a*2=y", ("text", "plain", (("a*0", "x"), ("a*2", "y")))),
)


class ParametersTests(SynchronousTestCase):
    def test_types(self) -> None:
        """Each row reads as written."""
        for value, expected in TYPES:
            self.assertEqual(content_type_of(value), expected, value)

    def test_disposition(self) -> None:
        """The disposition and its parameters (RFC 2183)."""
        self.assertEqual(disposition_of(b'Attachment; filename="a b.txt"'), ("attachment", (("filename", "a b.txt"),)))
        self.assertEqual(disposition_of(b""), ("", ()))
        self.assertEqual(disposition_of(b'"inline"'), ("", ()))

    def test_small_ones(self) -> None:
        """Encodings and languages."""
        self.assertEqual(lone_token_of(b" (c) Base64 (d)"), "base64")
        self.assertEqual(lone_token_of(b"base64 x"), "")
        self.assertEqual(lone_token_of(b""), "")
        self.assertEqual(languages_of(b"en, de-DE (x), fr"), ("en", "de-DE", "fr"))
        self.assertEqual(languages_of(b""), ())

    def test_bounded(self) -> None:
        """Parameters without end are cut."""
        self.assertLessEqual(len(content_type_of(b"a/b" + b";x=y" * 10_000)[2]), MOST_PARAMETERS)
        self.assertLessEqual(len(content_type_of(b"a/b" + b";x*1=y" * 10_000)[2]), MOST_PARAMETERS)

    @given(
        st.lists(
            st.sampled_from(
                [b"text", b"/", b";", b"=", b'"', b"\\", b"(", b")", b" ", b"\r\n ", b"a", b"*0", b"*", b"\0", b"\xff"]
            ),
            max_size=16,
        )
    )
    @settings(max_examples=300, deadline=None)
    def test_never_raises(self, pieces: list[bytes]) -> None:
        """Any soup gives something, and what it gives can be encoded again."""
        value = b"".join(pieces)
        for type_, subtype, parameters in (
            content_type_of(value),
            (*disposition_of(value)[:1], "", disposition_of(value)[1]),
        ):
            for text in (type_, subtype, *(word for pair in parameters for word in pair)):
                text.encode("utf-8", "surrogateescape")
        lone_token_of(value)
        languages_of(value)
