"""Smuggling: nothing but CRLF "." CRLF ends content, and nothing said before TLS is heard after it."""

from __future__ import annotations

import ssl

from twisted.trial.unittest import SynchronousTestCase

from tests.smtp.stage import House, talk

START = ("EHLO a.test", "MAIL FROM:<x@y.test>", "RCPT TO:<ann@example.org>", "DATA")
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\n.\r\r\n",
    b"\n\r.\n\r",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n.\r\x00\n",
    b"\r\x00\n.\r\n",
    b"\n\n.\r\n",
    b"\r\n.\n\r\n",
    b"\r\n. \r\n",
    b"\r\n .\r\n",
    b"\r\n.\t\r\n",
    b"\r\n..\r\n",
    b"\r\n...\r\n",
    b"\x85.\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\x0b.\x0b",
    b"\x0c.\x0c",
    b".\r\n",
]
SMUGGLED = b"MAIL FROM:<evil@y.test>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nFrom: evil@y.test\r\n\r\nevil"


class EndOfDataTests(SynchronousTestCase):
    """Each variant, whole and cut at each octet, hides nothing."""

    def _send(self, pieces: list[bytes]) -> tuple[str, House]:
        house = House()
        peer = house.peer()
        talk(peer, *START)
        said = talk(peer, *pieces)
        self.assertTrue(talk(peer, "NOOP").startswith("250 2.0.0"), said)
        return said, house

    def test_variants(self) -> None:
        """One reply to one message: refused when line ends are bare, else kept whole with what was to be smuggled."""
        for end in ENDS:
            octets = b"From: x@y.test\r\n\r\nhello" + end + SMUGGLED + b"\r\n.\r\n"
            if end == b"\r\r\n.\r\n.\r\r\n":
                continue  # holds a true end; see below
            cuts = [[octets], [octets[i : i + 1] for i in range(len(octets))]]
            place = octets.index(b"hello") + 5
            cuts += [[octets[:i], octets[i:]] for i in range(place - 1, place + len(end) + 2)]
            for pieces in cuts:
                said, house = self._send(pieces)
                self.assertEqual(said.count("\r\n"), 1, (end, said))
                clean = octets[:-5].replace(b"\r\n", b"")
                flawed = any(sign in clean for sign in (b"\r", b"\n", b"\0"))
                self.assertEqual(said[:3], "550" if flawed else "250", (end, said))
                self.assertEqual(len(house.acceptance.parcels), 0 if flawed else 1)
                if not flawed:
                    self.assertEqual(house.acceptance.parcels[0].envelope.recipients[0].forward_path.local, "ann")
                    self.assertIn(b"MAIL FROM:<evil@y.test>\n", house.acceptance.bodies[0])
                house.close()

    def test_a_true_end_ends(self) -> None:
        """CRLF.CRLF after a bare CR still ends the content: refused, and what follows is commands, each answered."""
        said, house = self._send([b"From: x@y.test\r\n\r\nhello\r\r\n.\r\nRSET\r\n"])
        self.assertEqual([line[:3] for line in said.splitlines()], ["550", "250"])
        house.close()

    def test_kept_as_sent(self) -> None:
        """Dots are unstuffed where the RFC says, and nowhere else."""
        table = {
            b"..\r\n": b".\n",
            b"a.\r\n": b"a.\n",
            b"....\r\n": b"...\n",
            b".a\r\n": b"a\n",
            b"a\r\n..\r\nb\r\n": b"a\n.\nb\n",
            b"\r\n\r\n..\r\n": b"\n\n.\n",
            b"": b"",
        }
        for sent, kept in table.items():
            _, house = self._send([b"From: x@y.test\r\n\r\n" + sent + b".\r\n"])
            self.assertEqual(house.acceptance.bodies, [kept])
            house.close()


class StartTlsTests(SynchronousTestCase):
    """RFC 3207 §4.2 and CVE-2011-0411."""

    INJECTED = (b"EHLO evil\r\nMAIL FROM:<evil@y.test>\r\nRCPT TO:<ann@example.org>\r\n", b"RSET\r\n", b"N", b"\r\n")

    def test_same_segment(self) -> None:
        """Octets behind STARTTLS: 554 and closed, for both services that offer it."""
        for service in ("smtp", "submission"):
            for injected in self.INJECTED:
                house = House()
                peer = house.peer(service)
                talk(peer, "EHLO a.test")
                said = talk(peer, b"STARTTLS\r\n" + injected)
                self.assertTrue(said.startswith("554 5.5.1") and said.count("\r\n") == 1, said)
                self.assertTrue(peer.closed())
                self.assertIsNone(peer.transport.tls)
                house.close()

    def test_next_segment(self) -> None:
        """Clear octets after STARTTLS are a broken handshake, never commands."""
        for injected in self.INJECTED:
            house = House()
            peer = house.peer()
            talk(peer, "EHLO a.test", "STARTTLS")
            peer.send_raw(injected)
            self.assertRaises(ssl.SSLError, peer.start_tls)
            self.assertTrue(peer.closed())
            self.assertEqual([e for e in house.journal.events if e.name == "smtp.sender_refused"], [])
            house.close()

    def test_nothing_is_remembered(self) -> None:
        """A transaction begun in clear is no transaction under TLS."""
        house = House()
        peer = house.peer()
        talk(peer, "EHLO a.test", "STARTTLS")
        peer.start_tls()
        for line in ("MAIL FROM:<x@y.test>", "RCPT TO:<ann@example.org>", "DATA", "STARTTLS"):
            self.assertTrue(talk(peer, line).startswith("503 5.5.1"), line)
        house.close()

    def test_once_only(self) -> None:
        """Under TLS there is no second STARTTLS."""
        house = House()
        peer = house.user()
        self.assertTrue(talk(peer, "STARTTLS").startswith("503"))
        house.close()
