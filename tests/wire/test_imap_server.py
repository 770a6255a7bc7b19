"""The server's ear: framing of commands and literals, in any cut, within its bounds."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.imap.server import (
    Chunk,
    Command,
    Event,
    Limits,
    LineTooLong,
    MessageAhead,
    MessagesEnd,
    Reader,
    Signal,
    Unreadable,
)

SMALL = Limits(line=200, literal=50, command=300)


def events(reader: Reader, *pieces: bytes, accept: bool = True) -> list[Event]:
    """Everything the reader says to these pieces; messages are accepted or refused, their chunks joined."""
    said: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next()) is not None:
            if isinstance(event, MessageAhead):
                if accept:
                    reader.accept()
                else:
                    reader.refuse()
            if isinstance(event, Chunk) and said and isinstance(said[-1], Chunk):
                said[-1] = Chunk(said[-1].octets + event.octets)
                continue
            said.append(event)
    return said


STREAM = (
    b"a1 NOOP\r\na2 LOGIN {3}\r\nann {4+}\r\n\r\n\x00x\r\n\r\na3 uid fetch 1 FLAGS\n"
    b"a4 APPEND x (\\Seen) {5}\r\nab\r\nc {2+}\r\n}\n\r\na5 APPEND {1}\r\nx {0+}\r\n\r\n(\r\na6 UID\r\n"
)


class ReaderTests(SynchronousTestCase):
    """Octets to events."""

    def test_a_stream(self) -> None:
        """Commands, literals inside commands, messages, empty lines, bare LF, and what cannot be read."""
        said = events(Reader(Limits()), STREAM)
        self.assertEqual(
            said,
            [
                Command(b"a1", "NOOP", b"a1 NOOP", 7),
                Signal.CONTINUE,
                Command(b"a2", "LOGIN", b"a2 LOGIN {3}\r\nann {4+}\r\n\r\n\x00x", 8),
                Command(b"a3", "UID FETCH", b"a3 uid fetch 1 FLAGS", 12),
                MessageAhead(b"a4", "APPEND", b"a4 APPEND x (\\Seen) ", 9, 5, True, False),
                Chunk(b"ab\r\nc"),
                Signal.MESSAGE_ENDS,
                MessageAhead(b"a4", "APPEND", b" ", 0, 2, False, False),
                Chunk(b"}\n"),
                Signal.MESSAGE_ENDS,
                MessagesEnd(b"a4", b""),
                Signal.CONTINUE,
                MessageAhead(b"a5", "APPEND", b"a5 APPEND {1}\r\nx ", 9, 0, False, False),
                Signal.MESSAGE_ENDS,
                MessagesEnd(b"a5", b""),
                Unreadable(b"*", "a command is a tag, a space and a name"),
                Command(b"a6", "UID", b"a6 UID", 6),
            ],
        )

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.integers(0, len(STREAM)), max_size=20))
    def test_any_cut(self, cuts: list[int]) -> None:
        """The events do not depend on how the octets arrive."""
        ends = [0, *sorted(cuts), len(STREAM)]
        pieces = [STREAM[a:b] for a, b in itertools.pairwise(ends)]
        self.assertEqual(events(Reader(Limits()), *pieces), events(Reader(Limits()), STREAM))

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=60), st.sampled_from([b"a {9+}\r\n", b"x APPEND y {20+}\r\n", b"\r\n", b"{5}"])
            )
        )
    )
    def test_fuzz(self, pieces: list[bytes]) -> None:
        """Any octets give events and nothing else; nothing piles up beyond the limits."""
        for accept in (True, False):
            reader = Reader(SMALL, most_swallowed=1000)
            events(reader, *pieces, accept=accept)
            self.assertLessEqual(reader.buffered, SMALL.line + SMALL.literal + 60)

    def test_refused_messages_are_swallowed(self) -> None:
        """What follows a refused message is the next command, whatever the message holds."""
        said = events(
            Reader(Limits()), b"a APPEND x {12+}\r\nz9 LOGOUT\r\n! (\\Seen) {3+}\r\nabc\r\nb NOOP\r\n", accept=False
        )
        self.assertEqual([type(e).__name__ for e in said], ["MessageAhead", "Command"])
        said = events(Reader(Limits()), b"a APPEND x {12}\r\nb NOOP\r\n", accept=False)
        self.assertEqual([type(e).__name__ for e in said], ["MessageAhead", "Command"])

    def test_abandoned_in_the_middle(self) -> None:
        """A message given up half-way is swallowed to its end."""
        reader = Reader(Limits())
        reader.feed(b"a APPEND x {10+}\r\nabcd")
        self.assertIsInstance(reader.next(), MessageAhead)
        reader.accept()
        self.assertEqual(reader.next(), Chunk(b"abcd"))
        self.assertTrue(reader.abandon())
        self.assertEqual(events(reader, b"efghij\r\nb NOOP\r\n"), [Command(b"b", "NOOP", b"b NOOP", 6)])

    def test_limits(self) -> None:
        """Lines, literals and whole commands that are too long; what comes after them is read again."""
        noop = Command(b"b", "NOOP", b"b NOOP", 6)
        line, literal, command = (f"the {what} is too long" for what in ("line", "literal", "command"))
        for octets, text, then in (
            (b"a NOOP " + b"x" * 300 + b"\r\nb NOOP\r\n", line, [noop]),
            (b"a LOGIN {51}\r\nb NOOP\r\n", literal, [noop]),
            (b"a LOGIN {51+}\r\n" + b"x" * 51 + b" y\r\nb NOOP\r\n", literal, [noop]),
            (
                b"a LOGIN" + b" {50+}\r\n" + b"x" * 50 + b" {50+}\r\n" + b"x" * 50 + b"y" * 190 + b"\r\nb NOOP\r\n",
                command,
                [noop],
            ),
        ):
            for pieces in ((octets,), tuple(octets[i : i + 1] for i in range(len(octets)))):
                first, *rest = events(Reader(SMALL), *pieces)
                self.assertEqual(first, Unreadable(b"a", text, b"TOOBIG"))
                self.assertEqual(rest, then)

    def test_http(self) -> None:
        """A browser's request is the end, and nothing of it is said back; a tag that looks like one is a tag."""
        for line in (b"GET / HTTP/1.1", b"POST /<script> HTTP/1.0", b"PRI * HTTP/2.0", b"CONNECT a.test:25 HTTP/1.1"):
            said = events(Reader(Limits()), line + b"\r\n<script>x</script> NOOP\r\n")[:1]
            self.assertEqual(said, [Unreadable(b"*", "this is IMAP", fatal=True)])
        said = events(Reader(Limits()), b"GET CREATE HTTP/1\r\n")
        self.assertEqual(said, [Command(b"GET", "CREATE", b"GET CREATE HTTP/1", 10)])

    def test_literals_of_nothing(self) -> None:
        """A command in ten thousand pieces is put together once, not once for each piece."""
        reader = Reader(Limits())
        reader.feed(b"a SEARCH")
        for _ in range(3):
            self.assertIsNone(reader.next())
            together = reader._parts
            reader.feed(b" {0+}\r\n" * 5_000)
            self.assertIsNone(reader.next())
            self.assertIs(reader._parts, together)
        reader.feed(b" x\r\n")
        command = reader.next()
        assert isinstance(command, Command)
        self.assertEqual(command.octets, b"a SEARCH" + b" {0+}\r\n" * 15_000 + b" x")

    def test_a_line_without_end(self) -> None:
        """It is told once and dropped as it comes."""
        reader = Reader(SMALL)
        said = events(reader, *[b"a NOOP " + b"x" * 100] * 50)
        self.assertEqual(said, [Unreadable(b"a", "the line is too long", b"TOOBIG")])
        self.assertLess(reader.buffered, 300)

    def test_too_much_to_swallow(self) -> None:
        """A literal that comes unasked and has no end: the connection cannot go on."""
        reader = Reader(SMALL, most_swallowed=1000)
        said = events(reader, b"a LOGIN {99999999999+}\r\n")
        self.assertEqual(said, [Unreadable(b"a", "the literal is too long", b"TOOBIG", fatal=True)])

    def test_reset(self) -> None:
        """After STARTTLS nothing is left of what came before it."""
        reader = Reader(Limits())
        reader.feed(b"a LOGIN {5+}\r\nab")
        self.assertIsNone(reader.next())
        reader.feed(b"c NOOP\r\n")
        reader.reset()
        self.assertEqual(events(reader, b"b NOOP\r\n"), [Command(b"b", "NOOP", b"b NOOP", 6)])

    def test_lines_for_the_session(self) -> None:
        """DONE and SASL lines are taken as they are; the next command is left."""
        reader = Reader(Limits())
        reader.feed(b"DONE\r\na NOOP\r\n")
        self.assertEqual(reader.line(100), b"DONE")
        self.assertEqual(reader.next(), Command(b"a", "NOOP", b"a NOOP", 6))
        self.assertIsNone(reader.line(10))
        reader.feed(b"x" * 11)
        self.assertRaises(LineTooLong, reader.line, 10)
