"""Root is needed to bind ports and for nothing else: it is given up for good, or the service does not stay."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import BIN, CHECKOUT, Appliance, NotStarted, free_ports, missing

PASSWORD = "correct horse battery"
NOBODY = 65534


def low_port() -> int:
    """A free port that only root may bind."""
    for port in range(600, 1024):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port below 1024")


def locked_out() -> str:
    """Why an unprivileged user cannot run this checkout here; "" when it can."""
    if os.geteuid() != 0:
        return "needs root"
    if reason := missing("setpriv"):
        return reason
    nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    tried = subprocess.run(
        [*nobody, sys.executable, "-c", "import mailbox_appliance.service"], cwd=CHECKOUT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return "an unprivileged user cannot read this interpreter or checkout" if tried.returncode else ""


class RootTests(SynchronousTestCase):
    """Started by root."""

    def setUp(self) -> None:
        if reason := locked_out():
            self.skipTest(reason)
        self.folder = Path(tempfile.mkdtemp(prefix="root-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        names = ("smtp", "submissions", "imaps")
        self.low = low_port()
        ports = dict(zip(names, [self.low, *free_ports(2)], strict=True))
        closed = "".join(f"{name} = []\n" for name in ("submission", "imap", "http"))
        self.appliance = Appliance(self.folder, listen=ports, state=self.folder / "state")
        self.appliance.config.write_text(self.appliance.config.read_text() + closed)
        self.addCleanup(self.appliance.kill)

    def identities(self) -> set[str]:
        """Real, effective, saved and file system ids of user and group, of every thread."""
        found = set()
        for status in Path(f"/proc/{self.appliance.pid}/task").glob("*/status"):
            found |= set(re.findall(r"(?m)^(?:Uid|Gid|Groups):\s+(.*\S)", status.read_text()))
        return found

    def works(self) -> None:
        """Mail comes in by a low port and is read, and everything that was made belongs to nobody."""
        # The command line, as root, goes on as the owner of the state.
        self.appliance.people(password=PASSWORD)
        with Peer(self.low) as peer:
            peer.hello()
            peer.envelope("stranger@example.org", "ann@example.test")
            self.assertRegex(peer.data(b"From: a@example.org\r\nSubject: low\r\n\r\nx\r\n"), "^250 ")
        with Peer(self.appliance.ports["imaps"], tls=True) as peer:
            peer.line()
            peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
            self.assertIn(b"* 2 EXISTS\r\n", peer.ask("SELECT INBOX"))
        ids = str(NOBODY)
        self.assertEqual({word for line in self.identities() for word in line.split()}, {ids})
        for path in self.appliance.state.rglob("*"):
            about = path.lstat()
            self.assertEqual((about.st_uid, about.st_gid), (NOBODY, NOBODY), path)
            if path.name not in ("ca.pem", "certificate.pem"):  # they are public, and their folder is closed
                self.assertEqual(about.st_mode & 0o007, 0, path)
        self.assertEqual(self.appliance.stop(), 0)
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())

    def test_uid_and_gid(self) -> None:
        """`twistd --uid --gid` binds port 25's like as root, and is somebody else from then on."""
        os.chown(self.appliance.state, NOBODY, NOBODY)
        self.appliance.start(arguments=("--uid", str(NOBODY), "--gid", str(NOBODY)))
        self.works()

    def test_owner_of_the_state(self) -> None:
        """Without them the owner of the state is who it becomes, and it says so."""
        os.chown(self.appliance.state, NOBODY, NOBODY)
        self.appliance.start()
        self.assertIn(f"gave up root and became uid {NOBODY}", self.appliance.log())
        self.works()

    def test_stays_not_root(self) -> None:
        """Root's own state and a port that others can reach: it refuses, and says the three ways out."""
        text = self.appliance.config.read_text()
        self.appliance.config.write_text(text.replace(f"tcp:{self.low}:interface=127.0.0.1", f"tcp:{self.low}"))
        with self.assertRaises(NotStarted) as caught:
            self.appliance.start()
        said = str(caught.exception)
        self.assertIn("mailappliance does not stay root", said)
        self.assertIn(f"chown -R USER:GROUP {self.appliance.state}", said)
        self.assertIn("systemd unit from etc/", said)
        self.assertNotIn("Traceback", said)
        assert self.appliance.process is not None
        self.assertEqual(self.appliance.process.returncode, 1)

    def test_trial_as_root(self) -> None:
        """Loopback only, root's own state: let pass, and said."""
        self.appliance.start()
        self.assertIn("still root: let pass because only this machine can reach the service", self.appliance.log())
        self.assertEqual(self.appliance.stop(), 0)

    def test_unreadable_key(self) -> None:
        """A key that only root may read, and a service that is not root: said before a port is bound."""
        if reason := missing("openssl"):
            self.skipTest(reason)
        certificate, key = self.folder / "c.pem", self.folder / "k.pem"
        command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mx.example.test")
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        key.chmod(0o600)
        os.chown(self.appliance.state, NOBODY, NOBODY)
        text = self.appliance.config.read_text()
        pair = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
        self.appliance.config.write_text(text.replace("[listen]", f"{pair}[listen]"))
        self.appliance.within = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        with self.assertRaises(NotStarted) as caught:
            self.appliance.start()
        words = f"tls.key {key} cannot be read: Permission denied; make it readable (we run as user {NOBODY})"
        self.assertIn(words, str(caught.exception))

    def test_low_port_without_root(self) -> None:
        """An unprivileged start on a low port says how to get it."""
        os.chown(self.appliance.state, NOBODY, NOBODY)
        nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        self.appliance.within = nobody
        if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= self.low:
            self.skipTest("this machine lets everybody bind low ports")
        with self.assertRaises(NotStarted) as caught:
            self.appliance.start()
        self.assertIn(f"port {self.low} needs root or CAP_NET_BIND_SERVICE to bind", str(caught.exception))


class UnitFileTests(SynchronousTestCase):
    """etc/mailappliance.service, as systemd reads it."""

    def test_verify(self) -> None:
        """`systemd-analyze verify` has nothing to say, but for the program's place."""
        if reason := missing("systemd-analyze"):
            self.skipTest(reason)
        folder = Path(tempfile.mkdtemp(prefix="unit-"))
        self.addCleanup(shutil.rmtree, folder)
        text = (CHECKOUT / "etc" / "mailappliance.service").read_text()
        program = re.search(r"(?m)^ExecStart=(\S+)", text)
        assert program is not None
        # The place of the program and its user are what the owner fills in.
        text = text.replace(program[1], f'"{BIN / "twistd"}"').replace("=mailappliance\n", "=root\n", 2)
        unit = folder / "mailappliance.service"
        unit.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        about_us = [line for line in done.stderr.splitlines() if "mailappliance.service" in line]
        self.assertEqual(about_us, [])
        self.assertEqual(done.returncode, 0, done.stderr)
