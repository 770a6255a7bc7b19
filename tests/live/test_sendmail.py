"""`mailappliance sendmail` with the service up and down, as the owner's user and as another user of the machine."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import CHECKOUT, Appliance, wait_until

NOBODY = "nobody"


class SendmailTests(SynchronousTestCase):
    """One appliance whose drop folder everybody of the machine may use."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sendmail-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o755)
        self.drop = self.folder / "drop"
        self.appliance = Appliance(
            self.folder / "house",
            extra=f'[sendmail]\ndrop = "{self.drop}"\n[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\n',
        )
        self.addCleanup(self.appliance.kill)
        self.appliance.start()
        self.appliance.people()
        self.maildir = self.appliance.maildir("ann@example.test")

    def arrived(self, words: bytes) -> list[bytes]:
        found = [path.read_bytes() for path in self.maildir.glob("new/*")]
        return [octets for octets in found if words in octets]

    def test_up_and_down(self) -> None:
        """Taken within seconds while the service runs; what was left meanwhile is taken when it starts again."""
        self.assertEqual(self.drop.stat().st_mode & 0o7777, 0o1733)
        self.appliance.cli("sendmail", "-i", "-FJob", "ann", stdin="Subject: while up\n\ndone\n.\nreally\n")
        wait_until(lambda: self.arrived(b"Subject: while up"), 10, "the first message")
        (octets,) = self.arrived(b"Subject: while up")
        self.assertTrue(octets.endswith(b"\n\ndone\n.\nreally\n"))
        self.assertEqual(self.appliance.stop(), 0)
        self.appliance.cli(
            "sendmail", "-t", stdin="To: ann@example.test\nBcc: aunt@example.com\nSubject: while down\n\nx\n"
        )
        self.assertEqual(len(list(self.drop.iterdir())), 1)
        self.appliance.start()
        wait_until(lambda: self.arrived(b"Subject: while down"), 10, "the second message")
        (octets,) = self.arrived(b"Subject: while down")
        self.assertNotIn(b"aunt@example.com", octets)
        wait_until(lambda: not list(self.drop.iterdir()), 5, "the folder to be empty")
        self.assertIn("aunt@example.com", self.appliance.cli("queue", "list"))
        self.assertIn("aunt@example.com", self.appliance.cli("trace", "aunt@example.com"))
        self.assertEqual(self.appliance.tracebacks(), [])

    def test_another_user(self) -> None:
        """Leaves mail, sees nobody's, and cannot write as one of ours."""
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        person = pwd.getpwnam(NOBODY)
        # The checkout and its Python may be out of that user's reach: the part that runs as it is small.
        python = shutil.which("python3", path="/usr/bin") or sys.executable
        module = self.folder / "mailbox_appliance"
        shutil.copytree(CHECKOUT / "mailbox_appliance", module, ignore=shutil.ignore_patterns("__pycache__"))
        code = (
            "from mailbox_appliance.cli.sendmail import drop, Dropped\n"
            "import sys, os\n"
            f"drop({str(self.drop)!r}, Dropped(('ann',), sys.argv[1]).head(), sys.argv[2].encode())\n"
            f"try:\n    os.listdir({str(self.drop)!r})\nexcept PermissionError:\n    print('cannot look')\n"
        )
        site = [path for path in sys.path if path.endswith("-packages")]
        environ = {"PYTHONPATH": os.pathsep.join([str(self.folder), *site]), "PATH": "/usr/bin:/bin"}

        def leave(sender: str, message: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [python, "-c", code, sender, message], user=person.pw_uid, group=person.pw_gid, extra_groups=[],
                cwd="/", env=environ, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip

        done = leave("ann@example.test", "Subject: from nobody\n\nx\n")
        if "No module named" in done.stderr or "Permission denied" in done.stderr:
            self.skipTest("this Python's libraries are out of another user's reach")
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "cannot look"), done.stderr)
        wait_until(lambda: self.arrived(b"Subject: from nobody"), 10, "the message")
        leave("ann@example.test", "From: ann@example.test\nSubject: forged\n\nx\n")
        wait_until(lambda: "dropbox.refused" in self.appliance.log(), 10, "the refusal")
        self.assertEqual(self.arrived(b"Subject: forged"), [])
        self.assertEqual(self.appliance.tracebacks(), [])
