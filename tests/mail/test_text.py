"""Searchable text: what people see is what SEARCH finds."""

from __future__ import annotations

import sys
import unicodedata
from base64 import b64encode
from quopri import encodestring

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail import text as t
from mailbox_appliance.mail.html import html_to_text
from mailbox_appliance.mail.mime_scan import find_parts, scan
from tests.kit.malformed import LARGE, MALFORMED


def texts(octets: bytes, overlap: int = t.OVERLAP) -> list[str]:
    return list(t.body_texts(scan(octets), octets, overlap=overlap))


def simple_title(character: str) -> str:
    """The simple title case of Unicode's tables, as RFC 5051 wants it."""
    title = character.title()
    return title if len(title) == 1 else character


class TextTests(SynchronousTestCase):
    def test_casemap_is_rfc_5051(self) -> None:
        """For every character: title case, then full decomposition; our shortcut differs from it nowhere."""
        wrong = []
        for code in range(sys.maxunicode + 1):
            if 0xD800 <= code < 0xE000:
                continue
            character = chr(code)
            if t.casemap(character) != unicodedata.normalize("NFKD", simple_title(character)):
                wrong.append(character)
        self.assertEqual(wrong, [])

    def test_casemap(self) -> None:
        """Case, accents composed or not, full width, sharp s as itself."""
        for one, other in (
            ("Bücher", "BÜCHER"),
            ("u\u0308", "ü"),
            ("ａＢ", "Ab"),
            ("straße", "STRAßE"),
            ("я", "Я"),
            ("ǆ", "ǅ"),
        ):
            self.assertEqual(t.casemap(one), t.casemap(other))
        self.assertNotEqual(t.casemap("straße"), t.casemap("strasse"))
        self.assertIn(t.casemap("büCHER"), t.casemap("Die Bücher"))

    @given(st.text(max_size=20), st.text(max_size=20))
    @settings(max_examples=200, deadline=None)
    def test_casemap_is_stable(self, one: str, other: str) -> None:
        """A text contains its beginning, whatever follows (as long as no combining mark is torn off)."""
        if not other or not unicodedata.combining(unicodedata.normalize("NFKD", other)[0]):
            self.assertIn(t.casemap(one), t.casemap(one + other))

    @given(st.text(st.sampled_from("aéßﬁªᵝβ\u0301\u0323가ＡǅzÅ½\ud800İ") | st.characters(), max_size=12))
    @settings(max_examples=300, deadline=None)
    def test_casemap_by_kinds(self, text: str) -> None:
        """A long text with a few characters beyond ASCII is mapped as character by character."""
        long = " ".join([f"{letter}beside{letter}{letter} {'x' * 40}" for letter in text]) + text
        expected = unicodedata.normalize("NFKD", "".join([t.casemap(letter) for letter in long]))
        self.assertEqual(unicodedata.normalize("NFKD", t.casemap(long)), expected)
        if not any(unicodedata.combining(letter) for letter in unicodedata.normalize("NFKD", text)):
            self.assertEqual(t.casemap(long), expected)

    def test_encodings(self) -> None:
        """Transfer encodings and charsets are undone."""
        text = "Grüße an alle\r\n"
        for encoding, octets in (
            (b"8bit", text.encode()),
            (b"base64", b64encode(text.encode())),
            (b"quoted-printable", encodestring(text.encode())),
            (b"x-unknown", text.encode()),
        ):
            head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
            self.assertIn("Grüße an alle", texts(head + octets)[0])
        self.assertIn("Grüße", texts(b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe")[0])

    def test_what_counts(self) -> None:
        """text/* and message/* count, with the headers of enclosed messages; pictures do not."""
        octets = (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: image/gif\r\n\r\npicture\r\n"
            b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?inn=C3=A9r?=\r\n\r\ndeep\r\n"
            b"--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n--b\r\n\r\nshallow\r\n--b--\r\n"
        )
        found = "\n".join(texts(octets))
        for word in ("innér", "deep", "failed", "shallow"):
            self.assertIn(word, found)
        for word in ("picture", "preamble"):
            self.assertNotIn(word, found)

    def test_html(self) -> None:
        """Tags, scripts and comments go, entities become characters, words do not run together."""
        self.assertEqual(
            html_to_text("<html><head><title>t</title></head><!-- c --><p>a&lt;b</p><p>c&eacute;<b>d</b></p>").split(),
            ["a<b", "céd"],
        )
        self.assertEqual(html_to_text("<script>x</script><style>y"), "  ")
        self.assertEqual(html_to_text("a &unknown; &#x41; &#0; 1 < 2").replace("\ufffd", ""), "a &unknown; A  1 < 2")

    def test_pieces(self) -> None:
        """A large body comes in pieces; a needle on a seam is found as long as pieces overlap by its length."""
        line = "Grüße und noch ein Wort, das weit über die Naht reicht. ".encode() * 20_000
        for encoding, octets in (
            (b"8bit", line),
            (b"base64", b64encode(line)),
            (b"quoted-printable", encodestring(line)),
        ):
            head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
            pieces = texts(head + octets, overlap=60)
            self.assertGreater(len(pieces), 1)
            needle = "reicht. Grüße und noch"
            whole = line.decode()
            self.assertGreaterEqual(sum(piece.count(needle) for piece in pieces), whole.count(needle), encoding)
            self.assertTrue(all(needle in whole for piece in pieces if needle in piece))
            self.assertLess(max(len(piece) for piece in pieces), t.PIECE + 100)

    def test_fields(self) -> None:
        """Fields are decoded; asked for by name, or all with their names."""
        header = b"Subject: =?utf-8?q?B=C3=BCcher?=\r\nX: y\r\n\r\n"
        self.assertEqual(list(t.field_texts(header, "subject")), ["Bücher"])
        self.assertEqual(list(t.field_texts(header)), ["Subject: Bücher", "X: y"])

    def test_malformed(self) -> None:
        """Nothing raises, for nodes nor for parts."""
        for name, octets in (*MALFORMED, *((name, make()) for name, make in LARGE)):
            for piece in t.body_texts(find_parts(octets), octets):
                self.assertIsInstance(piece, str, name)
                t.casemap(piece)

    @given(st.binary(max_size=100), st.sampled_from(["base64", "quoted-printable", "7bit", "?"]))
    @settings(max_examples=200, deadline=None)
    def test_transfer(self, octets: bytes, encoding: str) -> None:
        """Broken encodings give what can be read; whole ones give what was put in."""
        t.decode_transfer(octets, encoding)
        self.assertEqual(t.decode_base64(b64encode(octets)), octets)
        self.assertEqual(t.decode_base64(b64encode(octets).rstrip(b"=")), octets)
