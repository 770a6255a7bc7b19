"""The end-of-data scanner against a plain reading of the RFC, whole and in every way of cutting."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.smtp.content import ChunkScanner, DataScanner, Flaw

SHREDS = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"..", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\0", b"xyz"]),
    max_size=12,
).map(b"".join)


def by_the_book(octets: bytes) -> tuple[bytes | None, bool, int]:
    """(content with LF or None when flawed, ended, offset behind the end): slow and obvious."""
    end = 0 if octets.startswith(b".\r\n") else octets.find(b"\r\n.\r\n")
    if octets.startswith(b".\r\n"):
        raw, after = b"", 3
    elif end >= 0:
        raw, after = octets[: end + 2], end + 5
    else:
        return None, False, -1
    lines = raw.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines):
        return None, True, after
    return b"\n".join(line[1:] if line.startswith(b".") else line for line in lines), True, after


def scan(pieces: list[bytes]) -> tuple[bytes | None, bool, int, int]:
    scanner = DataScanner()
    content, count, seen = b"", 0, 0
    for piece in pieces:
        got, lines, end = scanner.feed(b"junk" + piece, 4)
        content += got
        count += lines
        if end >= 0:
            return (None if scanner.flaw else content), True, seen + end - 4, count
        seen += len(piece)
    return (None if scanner.flaw else content), False, -1, count


class DataTests(SynchronousTestCase):
    """CRLF "." CRLF and nothing else."""

    @settings(max_examples=300)
    @given(SHREDS, SHREDS)
    def test_by_the_book(self, content: bytes, after: bytes) -> None:
        """Whole, by octet, and cut once anywhere, the scanner finds what a plain reading finds."""
        octets = content + b"\r\n.\r\n" + after
        wanted, ended, end = by_the_book(octets)
        cuts = [[octets], [octets[i : i + 1] for i in range(len(octets))]]
        cuts += [[octets[:i], octets[i:]] for i in range(len(octets))]
        for pieces in cuts:
            found, found_ended, found_end, lines = scan(pieces)
            self.assertEqual((found, found_ended, found_end), (wanted, ended, end), pieces)
            if found is not None:
                self.assertEqual(lines, found.count(b"\n"))

    def test_flaws(self) -> None:
        """Each flaw is named."""
        for content, flaw in ((b"a\rb", Flaw.BARE_CR), (b"a\nb", Flaw.BARE_LF), (b"a\0b", Flaw.NUL), (b"ab", None)):
            scanner = DataScanner()
            scanner.feed(content + b"\r\n.\r\n")
            self.assertIs(scanner.flaw, flaw)

    def test_little_is_held(self) -> None:
        """However it is fed, the scanner holds no more than a few octets."""
        scanner = DataScanner()
        for _ in range(1000):
            scanner.feed(b"\r\n.")
            self.assertLessEqual(len(scanner._held), 5)


class ChunkTests(SynchronousTestCase):
    """BDAT."""

    @settings(max_examples=200)
    @given(SHREDS, st.lists(st.integers(0, 40), max_size=5))
    def test_chunks(self, content: bytes, cuts: list[int]) -> None:
        """Chunks may cut a CRLF in two; dots mean nothing."""
        scanner = ChunkScanner()
        edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
        got, count = b"", 0
        for start, stop in itertools.pairwise(edges):
            piece, lines = scanner.feed(content[start:stop], last=False)
            got, count = got + piece, count + lines
        piece, lines = scanner.feed(b"", last=True)
        got, count = got + piece, count + lines
        clean = content.replace(b"\r\n", b"")
        if b"\r" in clean or b"\n" in clean or b"\0" in clean:
            self.assertIsNotNone(scanner.flaw)
        else:
            self.assertIsNone(scanner.flaw)
            self.assertEqual(got, content.replace(b"\r\n", b"\n"))
            self.assertEqual(count, got.count(b"\n"))
