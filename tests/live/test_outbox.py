"""Undo send and throw-away addresses from a mail client (IMAPClient, smtplib), against a running appliance."""

from __future__ import annotations

import importlib.util
import shutil
import smtplib
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import Appliance, anything_goes, wait_until
from tests.live.next_host import NextHost

ANN = "ann@example.test"
PASSWORD = "correct horse battery"
LETTER = "From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello\r\n"


class OutboxTests(SynchronousTestCase):
    """What Ann does in her mail program."""

    if importlib.util.find_spec("imapclient") is None:
        skip = "not installed: IMAPClient"

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.addCleanup(shutil.rmtree, folder, True)
        self.next = NextHost()
        self.addCleanup(self.next.close)
        self.appliance = Appliance(
            folder,
            extra=f'[checks]\nenabled = false\n[relay]\nsmarthost = "127.0.0.1:{self.next.port}"\ntls = "none"\n',
        )
        self.appliance.start()
        self.addCleanup(self.appliance.kill)
        self.appliance.people("example.test", "ann", password=PASSWORD)

    def client(self) -> Any:
        import imapclient

        client = imapclient.IMAPClient("127.0.0.1", self.appliance.ports["imaps"], ssl_context=anything_goes())
        client.login(ANN, PASSWORD)
        self.addCleanup(client.shutdown)
        return client

    def submit(self, subject: str, to: str = "you@far.example", sender: str = ANN) -> None:
        with smtplib.SMTP_SSL("127.0.0.1", self.appliance.ports["submissions"], context=anything_goes()) as client:
            client.login(ANN, PASSWORD)
            client.sendmail(sender, [to], LETTER.format(sender=sender, to=to, subject=subject))

    def bring(self, to: str, sender: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.appliance.ports["smtp"], local_hostname="mx.far.example") as client:
            client.sendmail(sender, [to], LETTER.format(sender=sender, to=to, subject="from outside"))

    def test_undo_send(self) -> None:
        """A message rests in Outbox, is deleted there and never leaves; another leaves by a star; a failed one says
        why."""
        self.appliance.cli("account", "undo", ANN, "60")
        client = self.client()
        client.select_folder("Outbox")
        client.idle()
        self.submit("regretted")
        self.assertIn((1, b"EXISTS"), client.idle_check(timeout=10))
        client.idle_done()
        (uid,) = client.search(["SUBJECT", "regretted"])
        client.delete_messages([uid])
        client.expunge()
        self.assertEqual(client.search(), [])
        self.submit("wanted")
        self.submit("impossible", "nobody@far.example")
        client.noop()
        client.add_flags(client.search(), [b"\\Flagged"])
        wait_until(lambda: (client.noop(), client.search(["KEYWORD", "$Failed"]))[1], what="the failed one")
        wait_until(lambda: len(client.search()) == 1, what="the other to leave")
        fetched = client.fetch(client.search(), ["ENVELOPE", "BODY.PEEK[]", "FLAGS"])
        (letter,) = fetched.values()
        self.assertEqual(letter[b"ENVELOPE"].subject, b"Not sent: impossible")
        self.assertIn(b"no such user", letter[b"BODY[]"])
        self.assertEqual([b"wanted" in one.text for one in self.next.taken], [True])
        client.move(client.search(), "Trash")
        self.assertEqual(client.search(), [])

    def test_addresses(self) -> None:
        """A folder made below Addresses is an address: mail arrives, a stranger's is a leak, deleting refuses."""
        client = self.client()
        client.create_folder("Addresses.shop")
        client.select_folder("Addresses.shop")
        address = client.fetch([1], ["ENVELOPE"])[1][b"ENVELOPE"].subject.decode()
        self.assertRegex(address, r"^shop-[0-9a-z]{6}@example\.test$")
        self.bring(address, "orders@shop.example")
        self.bring(address, "win@casino.example")
        client.select_folder("INBOX")
        wait_until(lambda: (client.noop(), len(client.search(["TO", address])) == 2)[1], what="two letters")
        (leak,) = client.search(["KEYWORD", "$Leak"])
        self.assertEqual(client.fetch([leak], ["ENVELOPE"])[leak][b"ENVELOPE"].from_[0].host, b"casino.example")
        self.submit("as the address", sender=address)
        client.select_folder("INBOX")
        client.delete_folder("Addresses.shop")
        with self.assertRaises(smtplib.SMTPRecipientsRefused) as refused:
            self.bring(address, "orders@shop.example")
        self.assertEqual(refused.exception.recipients[address][0], 550)
        self.assertIn("casino.example", self.appliance.cli("trace", address))
        listed = self.appliance.cli("throwaway", "list", "--all", "--json")
        self.assertIn('"leaks": 1', listed)
