"""Expunged by an IMAP client, brought back by the owner: with the service and without it."""

from __future__ import annotations

import imaplib
import json
import shutil
import ssl

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import Appliance, anything_goes

PASSWORD = "correct horse battery"


def ann(appliance: Appliance, context: ssl.SSLContext | None = None) -> imaplib.IMAP4:
    client = imaplib.IMAP4_SSL("127.0.0.1", appliance.ports["imaps"], ssl_context=context or anything_goes())
    client.login("ann@example.test", PASSWORD)
    return client


class UndeleteTests(SynchronousTestCase):
    """account undelete and account purge, end to end."""

    def setUp(self) -> None:
        self.appliance = Appliance()
        self.addCleanup(shutil.rmtree, self.appliance.folder, True)
        self.addCleanup(self.appliance.kill)
        self.appliance.start()
        self.appliance.people()

    def lose(self, number: int) -> None:
        client = ann(self.appliance)
        for at in range(number):
            client.append(
                "Archive", r"(\Flagged blue)", '"01-Feb-2020 10:00:00 +0100"', b"Subject: no. %d\r\n\r\nx\r\n" % at
            )
        client.select("Archive")
        client.store("1:*", "+FLAGS", r"(\Deleted)")
        client.expunge()
        self.assertEqual(client.search(None, "ALL")[1], [b""])
        client.logout()

    def found(self) -> list[bytes]:
        client = ann(self.appliance)
        client.select("Archive", readonly=True)
        listed = client.fetch("1:*", "(FLAGS INTERNALDATE)")[1]
        client.logout()
        return [one for one in listed if isinstance(one, bytes)]

    def test_both_ways(self) -> None:
        """As they were; the list tells what rests; what is purged is gone."""
        run = self.appliance.cli
        self.lose(3)
        rows = json.loads(run("account", "undelete", "ann@example.test", "--list", "--json"))
        self.assertEqual({row["subject"] for row in rows}, {"no. 0", "no. 1", "no. 2"})
        self.assertIn("3 message(s) are back in Archive", run("account", "undelete", "ann@example.test"))
        for line in self.found():
            self.assertIn(b"\\Flagged", line)
            self.assertIn(b"blue", line)
            self.assertIn(b" 1-Feb-2020 09:00:00 +0000", line)
        self.lose(1)
        self.assertEqual(self.appliance.stop(), 0)
        words = run("account", "undelete", "ann@example.test", "--since", "1 day", "--mailbox", "Archive")
        self.assertIn("4 message(s) are back", words)
        self.appliance.start()
        self.assertEqual(len(self.found()), 4)
        self.lose(0)
        self.assertIn("4 expunged", run("account", "purge", "ann@example.test"))
        self.assertIn("nothing", run("account", "undelete", "ann@example.test"))
        self.assertEqual(self.appliance.tracebacks(), [])
