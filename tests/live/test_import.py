"""Old mail comes in: over IMAP from Dovecot, out of files while the service runs and while it does not, killed between."""

from __future__ import annotations

import imaplib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.peers import dovecot
from tests.live.appliance import BIN, Appliance, anything_goes, free_ports, missing

PASSWORD = "correct horse battery"


class ImportTests(SynchronousTestCase):
    """mailappliance import, as the owner types it."""

    def setUp(self) -> None:
        self.appliance = Appliance()
        self.addCleanup(shutil.rmtree, self.appliance.folder, True)
        self.addCleanup(self.appliance.kill)
        self.appliance.start()
        self.appliance.people()
        self.old = Path(tempfile.mkdtemp(prefix="old-"))
        self.addCleanup(shutil.rmtree, self.old, True)
        self.old.chmod(0o755)

    def client(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.appliance.ports["imaps"], ssl_context=anything_goes())
        client.login("ann@example.test", PASSWORD)
        return client

    def fetch(
        self, folder: str, items: str = "(UID FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
    ) -> list[bytes]:
        client = self.client()
        client.select(f'"{folder}"', readonly=True)
        listed = client.fetch("1:*", items)[1]
        client.logout()
        return [b"".join(one) if isinstance(one, tuple) else one for one in listed if one not in (b")", None)]

    def maildir(self, number: int, folder: str = "", *, size: int = 500) -> Path:
        root = self.old / "Maildir"
        box = root / folder
        for place in ("cur", "new", "tmp"):
            (box / place).mkdir(parents=True, exist_ok=True)
        for at in range(number):
            path = box / "cur" / f"{1_500_000_000 + at}.M1P1.old:2,S"
            path.write_text(f"Subject: no. {at}\n\n" + "x" * size + "\n")
            os.utime(path, (1_500_000_000 + at, 1_500_000_000 + at))
        return root

    def subjects(self, folder: str) -> list[bytes]:
        return sorted(one.partition(b"Subject: ")[2].strip() for one in self.fetch(folder))

    def test_both_ways(self) -> None:
        """With the service and without it, in the journal too."""
        root = self.maildir(300, ".Lists")
        said = self.appliance.cli("import", "maildir", "ann@example.test", str(root))
        self.assertIn("300 message(s) were imported", said)
        self.assertIn("import end", self.appliance.log())
        self.assertIn(b'INTERNALDATE "14-Jul-2017 02:40:00 +0000"', self.fetch("Lists")[0])
        self.assertEqual(self.appliance.stop(), 0)
        root = self.maildir(400, ".Lists")
        said = self.appliance.cli("import", "maildir", "ann@example.test", str(root), "--json")
        self.assertEqual(json.loads(said)["filed"], 100)
        self.appliance.start()
        self.assertEqual(self.subjects("Lists"), sorted(b"no. %d" % at for at in range(400)))
        self.assertEqual(self.appliance.tracebacks(), [])
        self.appliance.cli("import", "maildir", "nobody@example.test", str(root), status=1)

    def killed(self, arguments: list[str], *, victim: str) -> None:
        command = [str(BIN / "mailappliance"), "--config", str(self.appliance.config), *arguments]
        for delay in (0.7, 0.9, 1.1, 1.4):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            if victim == "service":
                self.appliance.kill()
                process.wait(60)
                self.appliance.start()
            else:
                process.send_signal(signal.SIGKILL)
                process.wait(60)
        self.appliance.cli(*arguments)

    def test_killed_import(self) -> None:
        """kill -9 of the import, four times: each message once."""
        root = self.maildir(4000, ".Lists")
        self.killed(["import", "maildir", "ann@example.test", str(root)], victim="import")
        self.assertEqual(self.subjects("Lists"), sorted(b"no. %d" % at for at in range(4000)))

    def test_killed_service(self) -> None:
        """kill -9 of the service, four times: each message once."""
        root = self.maildir(4000, ".Lists")
        self.killed(["import", "maildir", "ann@example.test", str(root)], victim="service")
        self.assertEqual(self.subjects("Lists"), sorted(b"no. %d" % at for at in range(4000)))

    def test_from_dovecot(self) -> None:
        """Over IMAP with a verified certificate: folders, flags, keywords, dates, a large message, and again."""
        reason = missing("dovecot", "openssl") or ("" if os.geteuid() == 0 else "needs root")
        if reason:
            self.skipTest(reason)
        self.maildir(250)
        self.maildir(5, ".Gesendet")
        big = self.old / "Maildir" / ".Gesendet" / "cur" / "1600000000.M2P2.old:2,FR"
        big.write_text("Subject: big\n\n" + ("y" * 75 + "\n") * 100_000)
        (port,) = free_ports(1)
        peer = dovecot(self.old / "dovecot", self.old / "Maildir", port, user="old")
        self.addCleanup(peer.stop)
        client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=anything_goes())
        client.login("old", "pass")
        client.create("Projects")
        client.create("Projects/deep" if b"/" in client.list()[1][0] else "Projects.deep")
        client.append("Projects", r"(\Seen $label1 blue)", '"01-Feb-2020 10:00:00 +0530"', b"Subject: p\r\n\r\nx\r\n")
        client.subscribe("Projects")
        client.logout()
        password = self.old / "password"
        password.write_text("pass\n")
        arguments = ["import", "imap", "ann@example.test", f"localhost:{port}", "old", "--password-file", str(password)]
        self.assertIn("certificate", self.appliance.cli(*arguments, status=1))
        arguments += ["--trust-anchor", str(self.old / "dovecot" / "cert.pem")]
        self.assertIn("Sent", self.appliance.cli(*arguments, "--dry-run"))
        self.assertIn("257 message(s)", self.appliance.cli(*arguments))
        self.assertEqual(len(self.fetch("INBOX")), 251)  # and the welcome
        (project,) = self.fetch("Projects")
        for word in (b"\\Seen", b"$label1", b"blue", b" 1-Feb-2020 04:30:00 +0000"):
            self.assertIn(word, project)
        sent = self.fetch("Sent", "(RFC822.SIZE FLAGS)")
        self.assertEqual(len(sent), 6)
        self.assertTrue(any(b"7700016" in one and b"\\Answered" in one for one in sent), sent)
        self.assertIn("0 message(s)", self.appliance.cli(*arguments))
        wrong = self.appliance.cli(*arguments[:-4], "--trust-anchor", arguments[-1], stdin="wrong\n", status=1)
        self.assertIn("refuses the log-in", wrong)
