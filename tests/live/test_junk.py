"""Ten messages are moved to Junk by a mail program; the eleventh goes there by itself, and `spam why` tells the reason."""

from __future__ import annotations

import json
import re
import smtplib

from imapclient import IMAPClient
from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import Appliance, anything_goes, wait_until

PASSWORD = "correct horse battery"
ANN = "ann@example.test"


def carpets(number: int) -> bytes:
    """Nobody wants these."""
    return (
        f"From: Carpets <news@shop.example.net>\r\nTo: {ANN}\r\nSubject: Offer number {number} for you\r\n"
        f"Message-ID: <{number}@shop.example.net>\r\nDate: Mon, 02 Mar 2020 10:00:00 +0100\r\n\r\n"
        f"Dear customer,\r\n\r\nbuy our fine carpets today, offer {number}.\r\nThey are cheap and good.\r\n"
    ).encode()


def letter(number: int) -> bytes:
    """Everybody wants these."""
    return (
        f"From: Bob Friend <bob@friends.example.net>\r\nTo: Ann <{ANN}>\r\nSubject: Sunday {number}\r\n"
        f"Message-ID: <s{number}@friends.example.net>\r\nDate: Mon, 02 Mar 2020 10:00:00 +0100\r\n\r\n"
        "Hi Ann,\r\n\r\nshall we meet on Sunday? The children would love it.\r\n\r\nBob\r\n"
    ).encode()


class JunkTests(SynchronousTestCase):
    """An appliance with checks off, as it is shipped: what its people teach counts all the same."""

    def setUp(self) -> None:
        self.appliance = Appliance(extra='[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\n')
        self.addCleanup(self.appliance.__exit__)
        self.appliance.start()
        self.addCleanup(lambda: self.assertEqual(self.appliance.tracebacks(), []))
        self.appliance.people("example.test", "ann", "bob", password=PASSWORD)
        self.ids: list[str] = []
        self.client = IMAPClient("127.0.0.1", self.appliance.ports["imaps"], ssl=True, ssl_context=anything_goes())
        self.addCleanup(self.client.shutdown)
        self.client.login(ANN, PASSWORD)

    def send(self, octets: bytes, *to: str) -> str:
        """Returns the id that the appliance gave it."""
        with smtplib.SMTP("127.0.0.1", self.appliance.ports["smtp"]) as server:
            server.ehlo("mx.example.net")
            server.mail("news@shop.example.net")
            for address in to or (ANN,):
                code, text = server.rcpt(address)
                self.assertEqual(code, 250, text)
            code, text = server.data(octets)
        self.assertEqual(code, 250, text)
        match = re.search(rb"kept as (\w+)", text)
        assert match is not None
        return match[1].decode()

    def count(self, folder: str, words: str) -> int:
        self.client.select_folder(folder)
        return len(self.client.search(["SUBJECT", words]))

    def learnt(self) -> int:
        return self.appliance.log().count(" junk.learnt ")

    def test_the_eleventh(self) -> None:
        """The eleventh lands in Junk; a letter of another kind and other people's mail do not; moved back, it is learnt."""
        for number in range(10):
            self.send(carpets(number))
        wait_until(lambda: self.count("INBOX", "Offer") == 10)
        self.client.move(self.client.search(["SUBJECT", "Offer"]), "Junk")
        wait_until(lambda: self.learnt() == 10, what="ten lessons")
        eleventh = self.send(carpets(11), ANN, "bob@example.test")
        self.send(letter(1))
        wait_until(lambda: self.count("Junk", "Offer number 11") == 1, what="the eleventh in Junk")
        wait_until(lambda: self.count("INBOX", "Sunday") == 1)
        self.client.select_folder("Junk")
        (uid,) = self.client.search(["SUBJECT", "Offer number 11"])
        self.assertIn(b"$Junk", self.client.get_flags([uid])[uid])
        of_bob = [path.read_bytes() for path in (self.appliance.maildir("bob@example.test") / "new").iterdir()]
        self.assertEqual(sum(b"Offer number 11" in octets for octets in of_bob), 1)
        told = json.loads(self.appliance.cli("spam", "why", eleventh, "--json"))
        self.assertEqual(told[0]["verdict"], "junk")
        self.assertEqual([row["check"] for row in told[0]["checks"]], ["content"])
        self.assertEqual(told[0]["otherwise"], ["without content junk it would be accepted"])
        (tokens,) = [one["tokens"] for one in told if "tokens" in one and one["mailbox"] == "Junk"]
        self.assertEqual(len(tokens), 10)
        self.assertIn("dear customer", self.appliance.cli("spam", "why", eleventh))
        self.assertNotIn("dear customer", self.appliance.log())
        self.client.move([uid], "INBOX")
        wait_until(lambda: "junk=no" in self.appliance.log(), what="the lesson that it was wanted")

    def test_by_hand(self) -> None:
        """spam train teaches from files, sender block refuses, and both are told by the commands."""
        files = []
        for number in range(10):
            path = self.appliance.folder / f"{number}.eml"
            path.write_bytes(carpets(number))
            files.append(str(path))
        said = self.appliance.cli("spam", "train", ANN, "--junk", *files)
        self.assertIn("learnt 10 message(s) as junk", said)
        self.send(carpets(12))
        wait_until(lambda: self.count("Junk", "Offer number 12") == 1)
        self.appliance.cli("sender", "block", ANN, "@shop.example.net")
        refused = self.assertRaises(AssertionError, self.send, carpets(13))
        self.assertIn("550", str(refused), "at RCPT already")
        self.assertIn("blocked", self.appliance.cli("sender", "list"))
        self.appliance.cli("sender", "allow", ANN, "@shop.example.net")
        self.send(carpets(14))
        wait_until(lambda: self.count("INBOX", "Offer number 14") == 1)
        self.assertIn("junk filter: ok", " ".join(self.appliance.cli("status", status=None).split()))
