"""Two people of one real appliance share mailboxes, with IMAPClient and the command line; the second life after a kill."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import Appliance, anything_goes, wait_until

PASSWORD = "correct horse battery"
LETTER = b"From: ann@example.test\r\nTo: ben@example.test\r\nSubject: the beach\r\n\r\nIt was warm.\r\n"
HOLIDAY = "Other Users.ann.Holiday"


class SharingTests(SynchronousTestCase):
    """Ann and Ben."""

    def setUp(self) -> None:
        try:
            import imapclient
        except ImportError:
            self.skipTest("not installed: imapclient")
        self.client = imapclient.IMAPClient
        self.appliance = Appliance(hostname="localhost")
        self.addCleanup(self.appliance.__exit__)
        self.appliance.start()
        self.appliance.people("example.test", "ann", "ben", "eve", password=PASSWORD)

    def log_in(self, name: str) -> Any:
        port = self.appliance.ports["imaps"]
        client = self.client("localhost", port, ssl=True, ssl_context=anything_goes(), timeout=20)
        client.login(f"{name}@example.test", PASSWORD)
        self.addCleanup(client.shutdown)
        return client

    def test_a_shared_mailbox(self) -> None:
        """Given, read, marked, waited for, copied, survived by kill -9, taken away."""
        ann, ben = self.log_in("ann"), self.log_in("ben")
        ann.create_folder("Holiday")
        ann.append("Holiday", LETTER)
        ann.append("Holiday", LETTER)
        ann.setacl("Holiday", "ben@example.test", "lrsi")
        self.assertEqual(ann.getacl("Holiday")[-1], (b"ben@example.test", b"lrsi"))
        self.assertIn(HOLIDAY, [name for _, _, name in ben.list_folders()])
        self.assertEqual(ben.namespace().other, (("Other Users.", "."),))

        ben.select_folder(HOLIDAY)
        self.assertEqual(ben.fetch([1], ["BODY[TEXT]"])[1][b"BODY[TEXT]"], b"It was warm.\r\n")
        self.assertEqual(ben.search("UNSEEN"), [2])
        ann.select_folder("Holiday")
        self.assertEqual(ann.search("UNSEEN"), [1, 2])
        with self.assertRaises(self.client.Error):
            ben.add_flags([1], [b"\\Deleted"])
        ben.idle()
        ann.append("Holiday", LETTER)
        self.assertIn((3, b"EXISTS"), ben.idle_check(10))
        ann.add_flags([2], [b"\\Flagged"])
        told: list[Any] = []
        wait_until(lambda: told.extend(ben.idle_check(5)) or any(b"FETCH" in line for line in told), what="the flag")
        ben.idle_done()
        ben.copy([1, 2, 3], "Archive")
        self.assertEqual(ben.folder_status("Archive", ["MESSAGES", "UNSEEN"]), {b"MESSAGES": 3, b"UNSEEN": 2})

        self.appliance.kill()
        self.appliance.start()
        ben = self.log_in("ben")
        self.assertEqual(ben.folder_status(HOLIDAY, ["UNSEEN"]), {b"UNSEEN": 2})
        ben.select_folder(HOLIDAY)
        ben.idle()
        self.appliance.cli("share", "revoke", "ann@example.test", "Holiday", "ben@example.test")
        self.assertTrue(any(line[0] in (b"BYE", b"* BYE") or b"BYE" in line for line in ben.idle_check(10)))
        ben = self.log_in("ben")
        self.assertNotIn(HOLIDAY, [name for _, _, name in ben.list_folders()])
        self.assertEqual(self.appliance.tracebacks(), [])

    def test_the_command_line(self) -> None:
        """Folders for all, with and without the running service."""
        self.appliance.cli("share", "create", "Recipes")
        self.appliance.cli("share", "grant", "shared", "Recipes", "anyone", "write")
        ben, eve = self.log_in("ben"), self.log_in("eve")
        ben.append("Shared.Recipes", LETTER, [b"\\Seen"])
        self.assertEqual(ben.folder_status("Shared.Recipes", ["UNSEEN"]), {b"UNSEEN": 0})
        self.assertEqual(eve.folder_status("Shared.Recipes", ["UNSEEN"]), {b"UNSEEN": 1})
        eve.select_folder("Shared.Recipes")
        eve.move([1], "INBOX")
        self.assertEqual(ben.folder_status("Shared.Recipes", ["MESSAGES"]), {b"MESSAGES": 0})
        self.assertEqual(self.appliance.stop(), 0)
        self.appliance.cli("share", "create", "Bills")
        self.appliance.cli("share", "grant", "shared", "Bills", "eve@example.test", "full")
        self.appliance.cli("share", "grant", "ann@example.test", "INBOX", "eve@example.test")
        rows = json.loads(self.appliance.cli("share", "list", "--json"))
        self.assertEqual(
            [(row["owner"], row["mailbox"], row["who"], row["means"]) for row in rows],
            [
                ("ann@example.test", "INBOX", "eve@example.test", "read"),
                ("shared", "Shared.Bills", "eve@example.test", "full"),
                ("shared", "Shared.Recipes", "anyone", "write"),
            ],
        )
        self.appliance.start()
        names = [name for _, _, name in self.log_in("eve").list_folders()]
        self.assertLessEqual({"Shared.Bills", "Shared.Recipes", "Other Users.ann.INBOX"}, set(names))
        self.assertEqual(self.appliance.tracebacks(), [])
