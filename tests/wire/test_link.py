"""The language of the link: every line there and back, nonsense refused, nothing unbounded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.link import (
    KINDS,
    LONGEST_LINE,
    Added,
    Answer,
    Ask,
    Entry,
    Have,
    Hello,
    Lines,
    LinkWrong,
    ListBegins,
    ListEnds,
    Ping,
    Pong,
    Removed,
    Said,
    Status,
    read_line,
)

A, B = "0" * 32, "f" * 32
# What is said, and the line it is; read aloud as the dialogue of one morning.
DIALOGUE: tuple[tuple[Said, str], ...] = (
    (Hello("home.example.org"), "hello 1 home.example.org"),
    (Hello("mx.example.org"), "hello 1 mx.example.org"),
    (Have("", 0), "have - 0"),
    (ListBegins(A, ""), f"list {A} -"),
    (Added(Entry("domain", "example.org")), "+ domain - example.org"),
    (Added(Entry("address", "ann@example.org", "df")), "+ address df ann@example.org"),
    (Added(Entry("address", "müller@xn--bcher-kva.example", "d")), "+ address d müller@xn--bcher-kva.example"),
    (Added(Entry("address", '"a b%c"@example.org')), '+ address - "a%20b%25c"@example.org'),
    (Added(Entry("catchall", "example.org")), "+ catchall - example.org"),
    (Added(Entry("gone", "shop@example.org", text="Given up, sorry")), "+ gone - shop@example.org Given up, sorry"),
    (ListEnds(A), f"end {A}"),
    (Have(A, 5), f"have {A} 5"),
    (ListBegins(B, A), f"list {B} {A}"),
    (Removed("address", "ann@example.org"), "- address ann@example.org"),
    (ListEnds(B), f"end {B}"),
    (Ask(7, 1024, "SRS0=x=y=z=ann@example.org"), "ask 7 1024 SRS0=x=y=z=ann@example.org"),
    (Answer(7, 250, "2.1.5", "Recipient ok"), "answer 7 250 2.1.5 Recipient ok"),
    (Answer(8, 550, "", "No"), "answer 8 550 - No"),
    (Ping(1), "ping 1"),
    (Pong(1), "pong 1"),
    (Status(3, 1 << 40), f"status 3 {1 << 40}"),
)

NONSENSE = (
    b"",
    b" ",
    b"hello",
    b"hello 2 mx.example.org",
    b"hello 1 mx example",
    b"ping",
    b"ping -1",
    b"ping 99999999999999999999",
    b"ping 1 ",
    b"list x -",
    b"list " + b"0" * 31 + b" -",
    b"+ nobody - a@b",
    b"+ address x a@b",
    b"+ address - ",
    b"+ address",
    b"- address",
    b"end -",
    b"have - x",
    b"answer 1 199 2.0.0 x",
    b"answer 1 250 9.9.9 x",
    b"ask 1 a@b",
    b"EHLO mx.example.org",
    b"GET / HTTP/1.1",
    b"\xff\xfe",
    b"ping \xd9\xa1",  # digits of another script
    b"hello 1 mx\r",
)


class LinesTests(SynchronousTestCase):
    def test_dialogue(self) -> None:
        """Each line is what is said, and is read as that."""
        for said, line in DIALOGUE:
            self.assertEqual(said.line(), line)
            self.assertEqual(read_line(line.encode()), said)

    def test_pieces(self) -> None:
        """The dialogue whole, by octet, and with CR LF."""
        text = "".join(f"{line}\n" for _, line in DIALOGUE).encode()
        expected = [said for said, _ in DIALOGUE]
        self.assertEqual([read_line(line) for line in Lines().receive(text)], expected)
        lines = Lines()
        by_octet = [read_line(line) for at in range(len(text)) for line in lines.receive(text[at : at + 1])]
        self.assertEqual(by_octet, expected)
        crlf = [read_line(line) for line in Lines().receive(text.replace(b"\n", b"\r\n"))]
        self.assertEqual(crlf, expected)

    def test_nonsense(self) -> None:
        """What is not in the table is refused, and nothing else is raised."""
        for line in NONSENSE:
            self.assertRaises(LinkWrong, read_line, line)

    def test_bounded(self) -> None:
        """A line without end is refused while it comes, and is not kept."""
        lines = Lines()
        with self.assertRaises(LinkWrong):
            for _ in range(LONGEST_LINE + 2):
                list(lines.receive(b"x"))
        self.assertEqual(lines.rest, b"")

    @settings(max_examples=300, deadline=None)
    @given(some.binary(max_size=200))
    def test_fuzz(self, octets: bytes) -> None:
        """Whatever comes is a value or LinkWrong; what is a value says itself the same way again."""
        try:
            said = read_line(octets)
        except LinkWrong:
            return
        self.assertEqual(read_line(said.line().encode()), said)

    @settings(max_examples=200, deadline=None)
    @given(
        some.sampled_from(KINDS),
        some.text(some.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=60),
        some.sampled_from(["", "d", "f", "df"]),
    )
    def test_entries(self, kind: str, address: str, flags: str) -> None:
        """Any address comes out as it went in."""
        entry = Entry(kind, address, flags)
        self.assertEqual(read_line(Added(entry).line().encode()), Added(entry))
