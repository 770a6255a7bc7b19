"""Header blocks in ASCII: what can be said so is, and means the same; what cannot stays."""

from __future__ import annotations

from email import message_from_bytes, policy

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.smtp.plainheader import in_ascii
from tests.smtp.stage import House, talk

# field → what it becomes, None when it stays
ROWS: list[tuple[str, str | None]] = [
    ("Subject: Grüße", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?="),
    ("Subject: plain", None),
    ("From: Jürgen <j@example.org>", "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>"),
    ('From: "Jürgen M." <j@example.org>', "From: =?utf-8?q?J=C3=BCrgen_M=2E?= <j@example.org>"),
    ("To: j@bücher.example", "To: j@xn--bcher-kva.example"),
    ("To: büro@example.org", None),
    ("To: Jürgen <büro@example.org>", None),
    ("Cc: Ann <ann@a.example>, Jürgen <j@b.example>", "Cc: Ann <ann@a.example>, =?utf-8?q?J=C3=BCrgen?= <j@b.example>"),
    ("Cc: J\udcfcrgen <j@b.example>", None),
    ("X-Thing: Grüße", None),
    ("To: Grüße", None),
]


class FieldTests(SynchronousTestCase):
    """Field by field."""

    def test_rows(self) -> None:
        for field, expected in ROWS:
            octets = field.encode("utf-8", "surrogateescape") + b"\nDate: today\n\n"
            told = (expected or field).encode("utf-8", "surrogateescape") + b"\nDate: today\n\n"
            self.assertEqual(in_ascii(octets), told, field)

    @settings(max_examples=150, deadline=None)
    @given(
        st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=150),
        st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=60),
    )
    def test_means_the_same(self, subject: str, name: str) -> None:
        """Whatever becomes ASCII reads as before; the number of fields never changes."""
        quoted = name.replace("\\", "").replace('"', "")
        block = f'Subject: {subject}\nFrom: "{quoted}" <ann@example.org>\nX: y\n\n'.encode()
        said = in_ascii(block)
        before, after = (message_from_bytes(octets, policy=policy.default) for octets in (block, said))
        self.assertEqual(before.keys(), after.keys())
        self.assertTrue(said.endswith(b"\nX: y\n\n"))
        self.assertEqual(said.count(b"\n\n"), 1)
        for line in said.split(b"\n")[:-2]:
            self.assertTrue(line.strip(), said)
        if said.partition(b"\nFrom:")[0].isascii():
            self.assertEqual("".join(str(after["subject"]).split()), "".join(subject.split()))
        if said.partition(b"\nFrom:")[2].isascii():
            self.assertEqual([one.addr_spec for one in after["from"].addresses], ["ann@example.org"])


class SubmissionTests(SynchronousTestCase):
    """Through a whole session."""

    def test_submitted(self) -> None:
        """A user's texts are encoded; then the message needs SMTPUTF8 only for what its addresses need."""
        house = House()
        peer = house.user()
        said = talk(peer, "MAIL FROM:<ann@example.org> SMTPUTF8", "RCPT TO:<x@elsewhere.test>", "DATA")
        self.assertTrue(said.splitlines()[-1].startswith("354"), said)
        letter = "From: Ännchen <ann@example.org>\r\nSubject: Grüße\r\n\r\nä\r\n.\r\n".encode()
        self.assertTrue(talk(peer, letter).startswith("250"))
        (parcel,) = house.acceptance.parcels
        self.assertTrue(parcel.content.header.isascii(), parcel.content.header)
        body = parcel.content.body
        assert isinstance(body, bytes)
        self.assertEqual(parcel.content.lines, (parcel.content.header + body).count(b"\n"))
        house.close()

    def test_of_strangers(self) -> None:
        """Somebody else's header block is not touched: it may be signed."""
        house = House()
        peer = house.peer()
        talk(peer, "EHLO a.test", "MAIL FROM:<x@y.test> SMTPUTF8", "RCPT TO:<ann@example.org>", "DATA")
        self.assertTrue(talk(peer, "From: x@y.test\r\nSubject: Grüße\r\n\r\nä\r\n.\r\n".encode()).startswith("250"))
        self.assertIn("Subject: Grüße\n".encode(), house.acceptance.parcels[0].content.header)
        house.close()
