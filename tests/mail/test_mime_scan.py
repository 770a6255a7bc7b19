"""The MIME scanner: structure by offsets, broken mail as Dovecot reads it, all of it bounded."""

from __future__ import annotations

import mmap
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail import mime_scan
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.mime_scan import DEEPEST, MOST_PARTS, scan, scan_lf, to_crlf, to_lf
from tests.kit.malformed import LARGE, MALFORMED
from tests.kit.steps import lines_run

# RFC 2046 §5.1.1
SIMPLE = b"""From: Nathaniel Borenstein <nsb@bellcore.com>
MIME-Version: 1.0
Content-type: multipart/mixed; boundary="simple boundary"

This is the preamble.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.
"""


def shape(part: Part) -> object:
    """The tree as nested tuples of types."""
    return f"{part.type}/{part.subtype}", tuple(shape(child) for child in part.children)


def walk(part: Part) -> list[Part]:
    return [part, *(found for child in part.children for found in walk(child))]


def bodies(octets: bytes) -> list[bytes]:
    """The bodies of all leaves, LF."""
    wire = to_crlf(octets)
    return [to_lf(wire[part.body : part.end]) for part in walk(scan(wire)) if not part.children]


def mixed(*parts: bytes) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"".join(b"--b\n" + part for part in parts) + b"--b--\n"


class ScanTests(SynchronousTestCase):
    def assert_consistent(self, octets: bytes, name: str = "") -> Part:
        """Offsets are in order, children lie within their parents and one behind the other, lines are right."""
        wire = to_crlf(octets)
        root = scan(wire)
        self.assertEqual((root.start, root.end), (0, len(wire)), name)
        for part in walk(root):
            self.assertTrue(0 <= part.start <= part.body <= part.end <= len(wire), name)
            self.assertEqual(part.lines, wire.count(b"\n", part.body, part.end), name)
            last = part.body
            for child in part.children:
                self.assertGreaterEqual(child.start, last, name)
                self.assertLessEqual(child.end, part.end, name)
                last = child.end
            if part.type == "message" and part.subtype == "rfc822" and part.children:
                self.assertEqual(len(part.children), 1)
                self.assertEqual(part.children[0].start, part.body, name)
        self.assertEqual(scan_lf(octets), root, name)
        return root

    def test_simple(self) -> None:
        """RFC 2046's own example: the line end before a boundary is the boundary's."""
        root = self.assert_consistent(SIMPLE)
        self.assertEqual(shape(root), ("multipart/mixed", (("text/plain", ()), ("text/plain", ()))))
        first, second = bodies(SIMPLE)
        self.assertTrue(first.endswith(b"linebreak."))
        self.assertTrue(second.endswith(b"linebreak.\n"))
        self.assertEqual(root.children[1].parameters, (("charset", "us-ascii"),))

    def test_fields(self) -> None:
        """What BODYSTRUCTURE tells of a part comes from its own header."""
        octets = mixed(
            b"Content-Type: IMAGE/Gif; name=x\nContent-ID: <a@b>\nContent-Description: a\n b\n"
            b"Content-Transfer-Encoding: BASE64\nContent-Disposition: attachment; filename=y\n"
            b"Content-Language: en, de\nContent-Location: z\nContent-MD5: w\n\nabcd\n"
        )
        (part,) = self.assert_consistent(octets).children
        self.assertEqual((part.type, part.subtype, part.parameters), ("image", "gif", (("name", "x"),)))
        self.assertEqual((part.content_id, part.description, part.encoding), (b"<a@b>", b"a b", "base64"))
        self.assertEqual(part.disposition, ("attachment", (("filename", "y"),)))
        self.assertEqual((part.language, part.location, part.md5), (("en", "de"), b"z", b"w"))

    def test_shapes(self) -> None:
        """Odd structures read as Dovecot reads them."""
        text: object = ("text/plain", ())
        html: object = ("text/html", ())
        rows: tuple[tuple[bytes, object], ...] = (
            (b"", text),
            (b"Content-Type: multipart/mixed\n\n--b\n\nx\n", ("multipart/mixed", ())),
            (b"Content-Type: multipart/mixed; boundary=b\n\nx\n", ("multipart/mixed", ())),
            (mixed(), ("multipart/mixed", ())),
            (mixed(b"\nx\n").replace(b"--b--\n", b""), ("multipart/mixed", (text,))),
            (mixed(b"\nx\n") + b"--b\n\ny\n--b--\n", ("multipart/mixed", (text,))),
            (mixed(b"\nx\n--bb\n\ny\n"), ("multipart/mixed", (text, text))),  # a prefix is enough
            (mixed(b"\nx\n").replace(b"--b\n", b"--b  junk\n"), ("multipart/mixed", (text,))),
            (
                mixed(b"Content-Type: multipart/mixed; boundary=bc\n\n--bc\nContent-Type: text/html\n\nx\n", b"\ny\n"),
                ("multipart/mixed", (("multipart/mixed", (html,)), text)),
            ),
            (
                b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b--\n",
                ("multipart/digest", (("message/rfc822", (text,)),)),
            ),
            (b"Content-Type: message/rfc822\n\nContent-Type: text/html\n\nx\n", ("message/rfc822", (html,))),
            (b"Content-Type: text\n\nx\n", ("text/", ())),
            (b"Content-Type: ;\n\nx\n", ("/", ())),
            (b"Content-Transfer-Encoding: base64\n\nx\n", text),
        )
        for octets, expected in rows:
            self.assertEqual(shape(self.assert_consistent(octets)), expected, octets)

    def test_not_mime(self) -> None:
        """Without MIME-Version and Content-Type the other Content- fields mean nothing."""
        self.assertEqual(scan(b"Content-Transfer-Encoding: base64\r\n\r\nx").encoding, "7bit")
        self.assertEqual(scan(b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nx").encoding, "base64")

    def test_malformed(self) -> None:
        """Every odd message has consistent offsets."""
        for name, octets in MALFORMED:
            self.assert_consistent(octets, name)

    def test_bounds(self) -> None:
        """Large hostile messages: few enough parts, not too deep, still consistent."""
        for name, make in LARGE:
            root = self.assert_consistent(make(), name)
            waiting, deepest, parts = [(root, 1)], 0, 0
            while waiting:
                part, depth = waiting.pop()
                parts, deepest = parts + 1, max(deepest, depth)
                waiting += [(child, depth + 1) for child in part.children]
            self.assertLessEqual(deepest, DEEPEST, name)
            self.assertLessEqual(parts, MOST_PARTS, name)

    def test_deep_and_wide(self) -> None:
        """A hundred levels of one boundary, again and again: the work grows with the parts, not with levels squared."""
        octets = b'Content-Type: multipart/digest; boundary="b"\n\n--b\n' * 400
        self.assertLess(lines_run(mime_scan, lambda: scan(octets)), 400 * 100 * 40)

    def test_mmap(self) -> None:
        """A mapped file gives what its octets give."""
        for octets in (SIMPLE, to_crlf(SIMPLE), SIMPLE + b"x" * 3_000_000 + b"\n"):
            with tempfile.TemporaryFile() as file:
                file.write(octets)
                file.flush()
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    self.assertEqual(scan_lf(mapped), scan_lf(octets))
                    self.assertEqual(scan(mapped), scan(octets))
        self.assertEqual(scan(memoryview(SIMPLE)), scan(SIMPLE))

    LINES = st.lists(
        st.sampled_from(
            (
                b"--a|--b|--ab|--a--|--b--|--||text|no colon| folded|Subject: x\r|MIME-Version: 1.0|"
                b"Content-Type: multipart/mixed; boundary=a|Content-Type: multipart/digest; boundary=b|"
                b'Content-Type: multipart/x; boundary="ab"|Content-Type: multipart/mixed|'
                b"Content-Type: message/rfc822|Content-Type: text/html"
            ).split(b"|")
        ),
        max_size=30,
    ).map(b"\n".join)

    @given(LINES)
    @settings(max_examples=300, deadline=None)
    def test_any_soup(self, octets: bytes) -> None:
        """Any soup of boundary lines and fields is consistent, with LF, CRLF and both."""
        self.assert_consistent(octets)

    @given(
        st.lists(st.binary(max_size=30).map(lambda octets: octets.replace(b"\r", b"").replace(b"--", b"")), max_size=6)
    )
    @settings(max_examples=100, deadline=None)
    def test_there_and_back(self, texts: list[bytes]) -> None:
        """Parts put together are found again, octet for octet."""
        self.assertEqual(bodies(mixed(*(b"\n" + text + b"\n" for text in texts))), texts or [b"--b--\n"])
