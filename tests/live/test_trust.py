"""Checks and signatures of a whole appliance: a name server from zone text, strangers honest and forging, our own mail."""

from __future__ import annotations

import json
import re
import shutil
import smtplib
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import trusting
from tests.live.appliance import CHECKOUT, Appliance, wait_until

PASSWORD = "correct horse battery"
ZONE = """
honest.test.            TXT  "v=spf1 ip4:127.0.0.1 -all"
honest.test.            A    127.0.0.1
_dmarc.honest.test.     TXT  "v=DMARC1; p=reject"
victim.test.            TXT  "v=spf1 ip4:192.0.2.1 -all"
_dmarc.victim.test.     TXT  "v=DMARC1; p=reject"
crook.test.             TXT  "v=spf1 ip4:127.0.0.1 -all"
crook.test.             A    127.0.0.1
mx.example.test.        A    127.0.0.1
1.0.0.127.bl.test.      A    127.0.0.2
"""


class TrustTests(SynchronousTestCase):
    """One appliance whose names come from a file."""

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="trust-"))
        self.addCleanup(shutil.rmtree, folder, True)
        self.zone = folder / "zone"
        self.zone.write_text(ZONE)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.zone_server", "--port", "0", str(self.zone)],
            cwd=CHECKOUT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(server.wait, 10)
        self.addCleanup(server.terminate)
        assert server.stdout is not None
        self.addCleanup(server.stdout.close)
        port = server.stdout.readline().split()[1]
        self.appliance = Appliance(
            extra=f'[dns]\nservers = ["127.0.0.1:{port}"]\n[checks]\nenabled = true\n'
            '[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\n'
        )
        self.addCleanup(self.appliance.__exit__)
        self.appliance.start()
        self.addCleanup(self._nothing_broke)
        self.appliance.people("example.test", "ann", password=PASSWORD)

    def _nothing_broke(self) -> None:
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())

    def send(self, helo: str, sender: str, author: str, subject: str) -> str:
        """A stranger's message; the last reply."""
        with smtplib.SMTP("127.0.0.1", self.appliance.ports["smtp"], local_hostname=helo) as client:
            content = f"From: {author}\r\nTo: ann@example.test\r\nSubject: {subject}\r\n\r\nhello\r\n"
            try:
                client.sendmail(sender, ["ann@example.test"], content)
            except smtplib.SMTPDataError as refused:
                return f"{refused.smtp_code} {refused.smtp_error!r}"
            return "250"

    def kept(self, subject: str) -> tuple[str, str]:
        """The folder of a message that was kept, and its header block."""
        maildir = self.appliance.maildir("ann@example.test")
        for path in (*maildir.glob("new/*"), *maildir.glob("cur/*"), *maildir.glob(".*/???/*")):
            header = path.read_text().partition("\n\n")[0]
            if f"Subject: {subject}\n" in header + "\n":
                return path.parent.parent.name, header
        raise AssertionError(f"{subject} was not kept")

    def test_strangers(self) -> None:
        """Honest mail carries what was found on top; a forgery of a p=reject domain and of ours is refused; reload."""
        self.assertEqual(self.send("honest.test", "a@honest.test", "a@honest.test", "honest"), "250")
        folder, header = self.kept("honest")
        self.assertEqual(folder, "Maildir")
        self.assertRegex(header, r"\AReturn-Path: .*\nAuthentication-Results: mx\.example\.test;")
        results = re.split(r"\n(?!\s)", header)[1]
        for words in ("spf=pass", "dmarc=pass"):
            self.assertIn(words, results)
        self.assertRegex(self.send("crook.test", "x@crook.test", "boss@victim.test", "forged"), r"550 .*5\.7\.26")
        self.assertRegex(self.send("crook.test", "x@crook.test", "ann@example.test", "ours"), r"550 .*5\.7\.1")
        self.assertRegex(self.send("crook.test", "x@crook.test", "eve@victim\r\n .test", "riddle"), r"550 .*5\.6\.0")
        self.assertIn("dmarc fail", self.appliance.cli("trace", "x@crook.test"))
        # A list of bad addresses is written into the file and read anew.
        config = self.appliance.config
        config.write_text(config.read_text().replace("enabled = true", 'enabled = true\ndnsbl = ["bl.test=8"]'))
        self.appliance.cli("reload")
        self.assertEqual(self.send("honest.test", "a@honest.test", "a@honest.test", "listed"), "250")
        self.assertEqual(self.kept("listed")[0], ".Junk")
        config.write_text(config.read_text().replace("enabled = true", "enabled = false"))
        self.appliance.cli("reload")
        self.assertEqual(self.send("crook.test", "x@crook.test", "boss@victim.test", "unchecked"), "250")

    def test_missing_keys(self) -> None:
        """A domain that is ours without keys (of an earlier version, or from a backup) gets them at the next start."""
        place = self.appliance.state / "dkim" / "example.test"
        before = sorted(path.name for path in place.iterdir())
        self.assertEqual([stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()], [0o600, 0o600])
        self.appliance.stop()
        shutil.rmtree(place)
        self.appliance.start()
        wait_until(lambda: place.is_dir() and len(list(place.glob("*.pem"))) == 2, 10, "the keys")
        self.assertEqual(len(before), 2)

    def test_our_own(self) -> None:
        """Submitted mail is signed twice, and holds against the records that are printed; dns check sees them."""
        records = self.appliance.cli("dns", "records", "example.test", "--zone")
        self.assertNotEqual(json.loads(self.appliance.cli("dns", "check", "example.test", "--json", status=1)), [])
        self.zone.write_text(ZONE + records.replace(" IN ", " "))
        found = json.loads(self.appliance.cli("dns", "check", "example.test", "--json", status=None))
        with smtplib.SMTP_SSL("127.0.0.1", self.appliance.ports["submissions"], context=trusting()) as client:
            client.login("ann@example.test", PASSWORD)
            content = "From: Ann <ann@example.test>\r\nTo: b@far.test\r\nSubject: signed\r\n\r\nhello\r\n"
            client.sendmail("ann@example.test", ["ann@example.test", "b@far.test"], content)
        wait_until(lambda: "signed" in self.kept("signed")[1], 5, "the copy")
        header = self.kept("signed")[1]
        self.assertEqual(len(re.findall(r"^DKIM-Signature: ", header, re.MULTILINE)), 2)
        # The same octets from outside: nothing else proves them, and they pass as ours.
        copy = header.partition("\nDKIM-Signature: ")[2]
        with smtplib.SMTP("127.0.0.1", self.appliance.ports["smtp"], local_hostname="crook.test") as stranger:
            again = f"DKIM-Signature: {copy}\n\nhello\n".replace("\n", "\r\n")
            stranger.sendmail("list@crook.test", ["ann@example.test"], again)
        self.assertRegex(self.appliance.cli("trace", "list@crook.test"), "dkim pass")
        states = {(one["type"], one["name"]): one["state"] for one in found["records"]}
        for key in (("MX", "example.test"), ("TXT", "example.test"), ("TXT", "_dmarc.example.test")):
            self.assertEqual(states[key], "seen", states)
        self.assertEqual([state for (_, name), state in states.items() if "_domainkey" in name], ["seen", "seen"])
