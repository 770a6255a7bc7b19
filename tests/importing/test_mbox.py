"""mbox in its dialects, Thunderbird's folders, Gmail's archive, and files that are broken."""

from __future__ import annotations

import io
import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.importing import mbox
from mailbox_appliance.importing.found import SourceTrouble
from mailbox_appliance.importing.mbox import MboxSource
from tests.importing.kit import ImportCase

FROM = b"From ann@example.org Sat Feb  1 10:00:00 2020\n"


def split(octets: bytes) -> list[bytes]:
    """Every message of the file, as it was."""
    file = io.BytesIO(octets)
    return [b"".join(mbox.body(file, one)) for one in mbox.starts(file)]


class DialectTests(SynchronousTestCase):
    """Where messages begin and end."""

    def test_mboxrd(self) -> None:
        """One ">" goes; the empty line before the next From line is the file's."""
        octets = FROM + b"A: 1\n\n>From me\n>>From you\n\n\n" + FROM + b"A: 2\n\nb\n"
        self.assertEqual(split(octets), [b"A: 1\n\nFrom me\n>From you\n\n", b"A: 2\n\nb\n"])

    def test_crlf(self) -> None:
        """Files from Windows."""
        octets = (FROM + b"A: 1\n\nx\n\n" + FROM + b"A: 2\n\ny\n").replace(b"\n", b"\r\n")
        self.assertEqual([one.replace(b"\r\n", b"\n") for one in split(octets)], [b"A: 1\n\nx\n", b"A: 2\n\ny\n"])

    def test_mboxcl2(self) -> None:
        """A right Content-Length leads over unquoted From lines, and then ">From " is as it was."""
        body = b"\n" + FROM + b"\n>From x\n"
        octets = FROM + b"Content-Length: %d\n\n" % len(body) + body + b"\n" + FROM + b"A: 2\n\ny\n"
        self.assertEqual(split(octets), [b"Content-Length: %d\n\n" % len(body) + body, b"A: 2\n\ny\n"])

    def test_mboxcl(self) -> None:
        """With Content-Length and quoting."""
        body = b">From x\n"
        octets = FROM + b"Content-Length: %d\n\n" % len(body) + body + b"\n" + FROM + b"A: 2\n\ny\n"
        self.assertEqual(split(octets)[0], b"Content-Length: 8\n\nFrom x\n")

    def test_wrong_length(self) -> None:
        """A Content-Length that leads nowhere is not believed."""
        for length in (b"3", b"99999", b"-1", b"x"):
            octets = FROM + b"Content-Length: " + length + b"\n\nlonger\n\n" + FROM + b"A: 2\n\ny\n"
            self.assertEqual(len(split(octets)), 2, length)

    def test_no_from_line(self) -> None:
        """A sentence that begins with From is none; nor is one without an empty line before it."""
        for line in (b"From here on 10:30 we walk\n", b"From ann\n", b"From \n"):
            self.assertEqual(len(split(FROM + b"A: 1\n\nx\n\n" + line + b"y\n")), 1, line)
        self.assertEqual(len(split(FROM + b"A: 1\n\nx\n" + FROM + b"y\n")), 1)

    def test_headers_only(self) -> None:
        """A message that ends in its header."""
        self.assertEqual(split(FROM + b"A: 1\n" + FROM + b"A: 2\n"), [b"A: 1\n", b"A: 2\n"])

    @given(st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\r", b"")), max_size=5))
    def test_there_and_back(self, bodies: list[bytes]) -> None:
        """What mboxrd has written comes back octet by octet."""
        import re

        file = b""
        expected = []
        for body in bodies:
            body = body if body.endswith(b"\n") or not body else body + b"\n"
            expected.append(b"A: 1\n\n" + body)
            file += FROM + re.sub(rb"(?m)^(>*From )", rb">\1", b"A: 1\n\n" + body) + b"\n"
        self.assertEqual(split(file), expected)

    @given(
        st.lists(
            st.sampled_from(
                [FROM, b"\n", b"A: 1\n", b"Content-Length: 5\n", b">From x\n", b"\r\n", b"x" * 70_000, b"\0\r"]
            )
        )
    )
    def test_whatever_comes(self, pieces: list[bytes]) -> None:
        """No file breaks it, and nothing is read twice."""
        octets = b"".join(pieces)
        self.assertLessEqual(sum(map(len, split(octets))), len(octets))


class MboxTests(ImportCase):
    """Into a mailbox."""

    def write(self, name: str, octets: bytes) -> None:
        path = os.path.join(self.old, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(octets)

    def test_flags_and_dates(self) -> None:
        """Status fields become flags and are gone; the date is the From line's, else the header's."""
        self.write(
            "a.mbox",
            FROM + b"Subject: one\nStatus: RO\nX-Status: AF\nX-Keywords: blue  Red\n\nx\n\n"
            b"From - Mon Jan  6 11:00:00 2025\nX-Mozilla-Status: 0005\nX-Mozilla-Keys: $label1\n"
            b"Received: from a by b; Sun, 2 Feb 2020 10:00:00 +0100\nDate: Sat, 1 Feb 2020 10:00:00 +0100\n"
            b"Subject: two\n\ny\n\nFrom - Mon Jan  6 11:00:00 2025\nX-Mozilla-Status: 0009\nSubject: gone\n\nz\n",
        )
        summary = self.bring(MboxSource(os.path.join(self.old, "a.mbox")))
        one, two = self.mail()
        self.assertEqual(one[:3], ("one", {"\\Seen", "\\Answered", "\\Flagged", "blue", "Red"}, 1580551200))
        self.assertEqual(one[3], b"Subject: one\n\nx\n")
        self.assertEqual(two[:3], ("two", {"\\Seen", "\\Flagged", "$label1"}, 1580634000))
        self.assertEqual((summary.filed, summary.refused), (2, 1))

    def test_thunderbird(self) -> None:
        """Folders below .sbd; indexes are no mail; special folders are found by their names."""
        for name in ("Inbox", "Gesendet", "Work.sbd/2024.1", "Work", "Trash"):
            self.write(name, FROM + b"Subject: " + name.encode() + b"\n\nx\n")
        self.write("Inbox.msf", b"// <!-- <mdb:mork:z")
        self.write("msgFilterRules.dat", b'version="9"')
        self.write("Empty", b"")
        self.bring(MboxSource(self.old))
        self.assertEqual(self.subjects(), ["Inbox"])
        self.assertEqual(self.subjects("Sent"), ["Gesendet"])
        self.assertEqual(self.subjects("Trash"), ["Trash"])
        self.assertEqual(self.subjects("Work.2024_1"), ["Work.sbd/2024.1"])
        names = {info.name for info in self.shop.do(self.shop.store.mailboxes())}
        self.assertFalse({"Gesendet", "Empty", "Inbox.msf"} & names)

    def test_gmail_archive(self) -> None:
        """Each message once; its place by its labels; other labels are keywords."""
        for labels, subject in (
            ("Inbox,Unread,Work,Starred", "a"),
            ("Sent,Work", "b"),
            ('Work/Sub,"Family, dear"', "c"),
            ("Archived,Opened", "d"),
            ("Spam,Unread", "e"),
        ):
            octets = FROM + f"X-GM-THRID: 1\nX-Gmail-Labels: {labels}\nSubject: {subject}\n\nx\n\n".encode()
            with open(os.path.join(self.old, "All mail.mbox"), "ab") as file:
                file.write(octets)
        self.bring(MboxSource(os.path.join(self.old, "All mail.mbox")))
        self.assertEqual(self.mail()[0][:2], ("a", {"\\Flagged", "Work"}))
        self.assertEqual(self.mail("Sent")[0][:2], ("b", {"\\Seen", "Work"}))
        self.assertEqual(self.mail("Work.Sub")[0][:2], ("c", {"\\Seen", "Family,_dear"}))
        self.assertEqual(self.mail("Archive")[0][:2], ("d", {"\\Seen"}))
        self.assertEqual(self.mail("Junk")[0][:2], ("e", frozenset()))

    def test_grown_and_compacted(self) -> None:
        """The second run brings what is new, though every octet stands elsewhere; equal messages are counted."""
        one, two = FROM + b"Subject: 1\n\nx\n\n", FROM + b"Subject: 2\n\nx\n\n"
        self.write("m", one + two + two)
        path = os.path.join(self.old, "m")
        self.assertEqual(self.bring(MboxSource(path)).filed, 3)
        self.write("m", two + two + two + FROM + b"Status: R\nSubject: 3\n\nx\n\n")
        summary = self.bring(MboxSource(path))
        self.assertEqual((summary.filed, summary.there), (2, 2))
        self.assertEqual(sorted(self.subjects()), ["1", "2", "2", "2", "3"])

    def test_bad_messages(self) -> None:
        """NUL, lone CR, 8-bit and endless headers, empty ones: mended or refused, and said."""
        self.write(
            "m",
            FROM + b"Subject: nul\0\n\na\rb\0\n\n" + FROM + b"\n\n" + FROM + b"Subject: \xe4\xff\n\nx\n\n"
            + FROM + b"Subject: long\n" + b"X: " + b"y" * 2_000_000 + b"\n\nx\n\n" + FROM + b"Subject: last\n\nx\n",
        )  # fmt: skip
        summary = self.bring(MboxSource(os.path.join(self.old, "m")))
        self.assertEqual((summary.filed, summary.refused), (4, 1))
        found = self.mail()
        self.assertEqual(found[0][3], b"Subject: nul\x80\n\na\nb\x80\n")
        self.assertIn(b"Subject: \xe4\xff\n", found[1][3])
        self.assertEqual(found[3][0], "last")
        said = " ".join(text for _, text in self.screen.remarks)
        for word in ("NUL", "lone CR", "no header", "no end"):
            self.assertIn(word, said)

    def test_no_mbox(self) -> None:
        """Other files are refused by name."""
        self.write("x", b"hello")
        for path in ("x", "", "missing"):
            with self.assertRaises(SourceTrouble):
                self.bring(MboxSource(os.path.join(self.old, path)))

    def test_huge_message(self) -> None:
        """100 MB in one message, in pieces."""
        with open(os.path.join(self.old, "m"), "wb") as file:
            file.write(FROM + b"Subject: big\n\n")
            for _ in range(100):
                file.write((b"x" * 1023 + b"\n") * 1024)
            file.write(b"\n" + FROM + b"Subject: small\n\nx\n")
        self.bring(MboxSource(os.path.join(self.old, "m")))
        box = self.shop.open()
        self.shop.do(box.measure(box.uids))
        self.assertEqual(box.sizes[0], 100 * 1024 * 1025 + len("Subject: big\r\n\r\n"))
