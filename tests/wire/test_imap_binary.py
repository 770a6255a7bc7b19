"""BINARY's decoders (RFC 3516), messages with NUL, and CATENATE's URLs (RFC 4469)."""

from __future__ import annotations

import base64
import quopri

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.mime_scan import scan
from mailbox_appliance.wire.imap.binary import Decoder, literal8, without_nul
from mailbox_appliance.wire.imap.url import read_url

HEAD = b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"


def decoded(encoding: str, octets: bytes, step: int) -> bytes:
    decoder = Decoder(encoding)
    pieces = [octets[at : at + step] for at in range(0, len(octets), step)] or [b""]
    return b"".join([decoder.take(piece, last=n == len(pieces)) for n, piece in enumerate(pieces, 1)])


class DecoderTests(SynchronousTestCase):
    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=300), st.integers(1, 80))
    def test_in_pieces(self, octets: bytes, step: int) -> None:
        """However it is cut, what was encoded comes back."""
        self.assertEqual(decoded("base64", base64.encodebytes(octets), step), octets)
        self.assertEqual(decoded("8bit", octets, step), octets)
        text = octets.replace(b"\r", b"").replace(b"\n", b"\r\n")
        self.assertEqual(decoded("quoted-printable", quopri.encodestring(text.replace(b"\r\n", b"\n")), step),
                         text.replace(b"\r\n", b"\n"))  # fmt: skip

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200), st.sampled_from(["base64", "quoted-printable"]), st.integers(1, 50))
    def test_broken(self, octets: bytes, encoding: str, step: int) -> None:
        """Rubbish is read as far as it goes."""
        decoded(encoding, octets, step)

    def test_a_long_line(self) -> None:
        """A line without end is not kept for ever."""
        decoder = Decoder("quoted-printable")
        given = b"a=3D" * 50_000
        first = decoder.take(given, last=False)
        self.assertGreater(len(first), 90_000)
        self.assertEqual(first + decoder.take(b"=3D", last=True), b"a=" * 50_000 + b"=")

    def test_white_space_at_the_end(self) -> None:
        """RFC 2045 §6.7, rule 3."""
        self.assertEqual(decoded("quoted-printable", b"a \t\r\nb= \r\nc=20\r\n ", 100), b"a\r\nbc \r\n")

    def test_literal8(self) -> None:
        """The sign only where there is NUL."""
        self.assertEqual((literal8(b"ab"), literal8(b"a\0")), (b"{2}\r\nab", b"~{2}\r\na\0"))


class WithoutNulTests(SynchronousTestCase):
    @settings(max_examples=100, deadline=None)
    @given(st.binary(min_size=1, max_size=300))
    def test_a_part(self, body: bytes) -> None:
        """A binary body becomes base64 of the same octets."""
        made = without_nul(HEAD + body + b"\0")
        assert made is not None
        part = scan(made)
        self.assertEqual(part.encoding, "base64")
        self.assertEqual(base64.b64decode(made[part.body : part.end]), body + b"\0")

    def test_within(self) -> None:
        """Only the part that holds NUL changes, and what encloses it is 8bit."""
        octets = (
            b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            b"--b\r\n\r\nplain\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\nx\0y\r\n--b--\r\n"
        )
        self.assertEqual(
            without_nul(octets),
            octets.replace(b"binary", b"8bit", 1).replace(b"binary", b"base64").replace(b"x\0y", b"eAB5"),
        )

    def test_elsewhere(self) -> None:
        """NUL in a header, between parts, or in a part that says it has none: no."""
        for octets in (b"A: \0\r\n\r\nx", b"MIME-Version: 1.0\r\n\r\nx\0", HEAD.replace(b"1.0", b"1.\0") + b"x"):
            self.assertEqual(without_nul(octets), None)


class UrlTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Mailbox, validity, UID, section, slice; percent encoding."""
        for octets, wanted in (
            (b"/INBOX/;UID=7", ("INBOX", 0, 7, (), "", None)),
            (b"/a%20b;UIDVALIDITY=9/;UID=7/;SECTION=1.2.MIME", ("a b", 9, 7, (1, 2), "MIME", None)),
            (b";UID=7/;SECTION=TEXT/;PARTIAL=3.4", ("", 0, 7, (), "TEXT", (3, 4))),
            (b"/inbox/;uid=7/;section=HEADER.FIELDS%20(To)", ("INBOX", 0, 7, (), "HEADER.FIELDS", None)),
        ):
            url = read_url(octets)
            assert url is not None, octets
            section = url.section
            self.assertEqual(
                (url.mailbox, url.uidvalidity, url.uid, section.part, section.text, section.partial), wanted, octets
            )

    def test_refused(self) -> None:
        """Everything else."""
        for octets in (b"", b"/INBOX", b"imap://x/INBOX/;UID=1/x", b"/a/;UID=x", b"/%ff/;UID=1", b";UID=1/;SECTION=x"):
            self.assertEqual(read_url(octets), None, octets)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.sampled_from([b"/", b";UID=", b"1", b"a", b";SECTION=", b"%5d", b";PARTIAL=", b".", b"\xff"]),
            max_size=12,
        )
    )
    def test_fuzz(self, pieces: list[bytes]) -> None:
        """Nothing is raised."""
        read_url(b"".join(pieces))
