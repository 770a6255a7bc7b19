"""Our signatures under the eyes of others: opendkim-testmsg and Mail::DKIM, with the records that we print."""

from __future__ import annotations

import shutil
import smtplib
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import trusting
from tests.live.appliance import CHECKOUT, Appliance, wait_until

PASSWORD = "correct horse battery"
MAIL_DKIM = """
use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS::Resolver;
my $resolver = Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => $ARGV[0], recurse => 1);
Mail::DKIM::DNS::resolver($resolver);
my $verifier = Mail::DKIM::Verifier->new();
while (<STDIN>) { $verifier->PRINT($_); }
$verifier->CLOSE;
print join(" ", $_->algorithm, $_->selector, $_->result), "\\n" for $verifier->signatures;
"""
# A name server on port 53 and its address in resolv.conf, where nobody else sees them.
OPENDKIM = """
ip link set lo up && mount --bind "$1/resolv.conf" /etc/resolv.conf || exit 99
"$2" -m tests.kit.zone_server --port 53 "$1/zone" > "$1/server" 2>&1 &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s "$1/server" ] && break; sleep 0.5; done
opendkim-testmsg < "$1/message"
status=$?
kill $server
exit $status
"""


class DkimPeerTests(SynchronousTestCase):
    """One appliance, one message, two other implementations."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dkim-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.zone = self.folder / "zone"
        self.zone.write_text("mx.example.test. A 127.0.0.1\n")
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.zone_server", "--port", "0", str(self.zone)],
            cwd=CHECKOUT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.addCleanup(server.wait, 10)
        self.addCleanup(server.terminate)
        assert server.stdout is not None
        self.addCleanup(server.stdout.close)
        self.port = server.stdout.readline().split()[1]
        self.appliance = Appliance(
            extra=f'[dns]\nservers = ["127.0.0.1:{self.port}"]\n[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\n'
        )
        self.addCleanup(self.appliance.__exit__)
        self.appliance.start()
        self.appliance.people("example.test", "ann", password=PASSWORD)

    def publish(self) -> None:
        records = self.appliance.cli("dns", "records", "example.test", "--zone")
        self.zone.write_text(records.replace(" IN ", " "))

    def message(self) -> bytes:
        """A message of Ann's to herself as it lies in her mailbox, with CRLF."""
        before = set(self._files())
        with smtplib.SMTP_SSL("127.0.0.1", self.appliance.ports["submissions"], context=trusting()) as client:
            client.login("ann@example.test", PASSWORD)
            text = (
                "From: Ann <ann@example.test>\r\nTo: ann@example.test\r\nSubject:  odd   blanks\r\n"
                "Date: Mon, 01 Dec 2025 10:00:00 +0000\r\n\r\nA line  with blanks \t\r\n\r\nAnother.\r\n\r\n\r\n"
            )
            client.sendmail("ann@example.test", ["ann@example.test"], text)
        wait_until(lambda: len(set(self._files()) - before) == 1, 10, "the message")
        (path,) = set(self._files()) - before
        return path.read_bytes().replace(b"\n", b"\r\n")

    def _files(self) -> list[Path]:
        maildir = self.appliance.maildir("ann@example.test")
        return [
            path for path in (*maildir.glob("new/*"), *maildir.glob("cur/*")) if b"odd   blanks" in path.read_bytes()
        ]

    def test_mail_dkim(self) -> None:
        """RSA passes (and Ed25519 where that version knows it); so after new keys were published beside the old."""
        if (
            shutil.which("perl") is None
            or subprocess.run(["perl", "-MMail::DKIM", "-e1"], check=False, capture_output=True).returncode
        ):
            raise SkipTest("Mail::DKIM is not here (Debian: libmail-dkim-perl)")
        self.publish()
        for _ in range(2):
            told = subprocess.run(
                ["perl", "-e", MAIL_DKIM, self.port],
                input=self.message(),
                capture_output=True,
                timeout=60,
                check=False,
            )
            results = dict(line.split()[::2] for line in told.stdout.decode().splitlines())
            self.assertEqual(results.get("rsa-sha256"), "pass", told)
            self.assertIn(results.get("ed25519-sha256"), ("pass", "invalid"), told)
            said = self.appliance.cli("dns", "rotate", "example.test")
            self.assertIn("_domainkey.example.test", said)
            self.publish()
            checked = self.appliance.cli("dns", "check", "example.test", status=None)
            self.assertEqual(checked.count("_domainkey.example.test: our key"), 4, checked)

    def test_opendkim(self) -> None:
        """opendkim-testmsg has nothing against it, and something against a changed one."""
        if shutil.which("opendkim-testmsg") is None:
            raise SkipTest("opendkim-testmsg is not here (Debian: opendkim-tools)")
        self.publish()
        message = self.message()
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        for octets, good in ((message, True), (message.replace(b"Another.", b"Other."), False)):
            (self.folder / "message").write_bytes(octets)
            (self.folder / "server").unlink(missing_ok=True)
            told = subprocess.run(
                ["unshare", "-m", "-n", "sh", "-c", OPENDKIM, "sh", str(self.folder), sys.executable],
                cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            if told.returncode in (1, 99) and "ermit" in told.stderr:
                raise SkipTest(f"no namespaces here: {told.stderr.strip()[:80]}")
            self.assertEqual(told.returncode == 0, good, told)
