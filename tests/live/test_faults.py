"""What can be wrong before and while it runs: each fault is said in words that tell the owner what to do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import CHECKOUT, Appliance, NotStarted, missing, wait_until
from tests.live.ground import Ground, forbidden

PASSWORD = "correct horse battery"


class FaultTests(SynchronousTestCase):
    """An appliance that does not start, or starts nevertheless."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.appliance = Appliance(self.folder)
        self.addCleanup(self.appliance.kill)

    def refused(self, appliance: Appliance | None = None) -> str:
        """It ends by itself with a status that is not 0, without a traceback; all that it said."""
        appliance = appliance or self.appliance
        with self.assertRaises(NotStarted) as caught:
            appliance.start(seconds=20)
        assert appliance.process is not None
        self.assertEqual(appliance.process.returncode, 1, str(caught.exception))
        self.assertNotIn("Traceback", str(caught.exception))
        self.assertNotIn("journal.broken", str(caught.exception))
        return str(caught.exception)

    def write(self, more: str) -> None:
        """The configuration with ``more`` behind its basic keys."""
        text = self.appliance.config.read_text()
        self.appliance.config.write_text(text.replace("\n[listen]\n", f"\n{more}\n[listen]\n"))

    def nothing_listens(self) -> bool:
        """All ports of the configuration are free."""
        for port in self.appliance.ports.values():
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return False
        return True


class ConfigTests(FaultTests):
    """The file and what it names."""

    def test_wrong_config(self) -> None:
        """All complaints at once, with key and remedy; nothing is bound, nothing is written."""
        self.write('[relay]\nsmarthost = "mail.isp.example"\n[dns]\nservrs = []\n[limits]\nquota = "much"')
        said = self.refused()
        for words in (
            "relay.smarthost 'mail.isp.example' names no port; write host:port",
            "dns.servrs is not a key; did you mean dns.servers?",
            "limits.quota 'much' is not a size",
        ):
            self.assertIn(words, said)
        self.assertEqual(len(said.strip().splitlines()), 3)
        self.assertTrue(self.nothing_listens())
        self.assertEqual(list(self.appliance.state.iterdir()), [])
        checked = self.appliance.cli("config", "check", status=1)
        for line in said.strip().splitlines():
            self.assertIn(line.partition(": ")[2], checked)

    def test_keys(self) -> None:
        """A key that is another's, that is not there, that is locked, that is none."""
        if reason := missing("openssl"):
            self.skipTest(reason)
        certificate, key, other, locked = (self.folder / name for name in ("c.pem", "k.pem", "other.pem", "locked.pem"))
        make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mx.example.test")
        self.run_quietly(*make, "-keyout", str(key), "-out", str(certificate))
        self.run_quietly("openssl", "genpkey", "-algorithm", "RSA", "-out", str(other))
        self.run_quietly("openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:x", "-out", str(locked))
        self.write(f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"')
        right = self.appliance.config.read_text()
        for path, words in (
            (other, "other.pem does not belong to"),
            (locked, "locked.pem wants a passphrase; store it without one"),
            (certificate, "are not a certificate and a key in PEM; name the files your authority gave you"),
            (self.folder / "none.pem", "cannot be read: No such file or directory; name a file that is there"),
        ):
            self.appliance.config.write_text(right.replace(f'"{key}"', f'"{path}"'))
            self.assertIn(words, self.refused())
            self.assertTrue(self.nothing_listens())
        if os.geteuid() != 0:
            self.appliance.config.write_text(right)
            key.chmod(0)
            self.assertIn("cannot be read: Permission denied; make it readable", self.refused())
            key.chmod(0o600)
        self.appliance.config.write_text(right)
        self.appliance.start()
        # A pair that goes wrong while it runs: the reload is refused, the old one stays in use.
        shutil.copy(other, key)
        self.assertIn("does not belong to", self.appliance.cli("reload", status=1))
        with Peer(self.appliance.ports["imaps"], tls=True) as peer:
            self.assertRegex(peer.line(), rb"^\* OK ")
        self.assertEqual(self.appliance.stop(), 0)

    def run_quietly(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)

    def test_hang_up_with_wrong_config(self) -> None:
        """SIGHUP and a wrong file: it is said, and everything goes on as it was."""
        self.appliance.start()
        self.appliance.people()
        right = self.appliance.config.read_text()
        self.write("[limits]\nmesage_size = 10")
        os.kill(self.appliance.pid, signal.SIGHUP)
        wait_until(lambda: "service.reloaded" in self.appliance.log(), 5, "the answer to SIGHUP")
        self.assertIn("nothing was changed, the file is wrong", self.appliance.log())
        self.assertIn("did you mean limits.message_size?", self.appliance.log())
        with Peer(self.appliance.ports["smtp"]) as peer:
            self.assertIn("SIZE 52428800", peer.hello())
        self.appliance.config.write_text(right)
        self.write("[limits]\nmessage_size = 1234")
        os.kill(self.appliance.pid, signal.SIGHUP)
        wait_until(lambda: "taken over" in self.appliance.log(), 5, "the answer to the second SIGHUP")
        with Peer(self.appliance.ports["smtp"]) as peer:
            self.assertIn("SIZE 1234", peer.hello())
        self.assertEqual(self.appliance.stop(), 0)
        self.assertEqual(self.appliance.tracebacks(), [])


class PlaceTests(FaultTests):
    """Ports and the state folder."""

    def test_port_in_use(self) -> None:
        """Which port, whose key, how to find who has it; no other port stays open."""
        port = self.appliance.ports["imap"]
        with socket.create_server(("127.0.0.1", port)):
            said = self.refused()
        self.assertIn(f"port {port} is in use. See who has it with `ss -ltnp 'sport = :{port}'`", said)
        self.assertIn("or choose another port for listen.imap", said)
        self.assertEqual(len(said.strip().splitlines()), 1)
        self.assertTrue(self.nothing_listens())

    def test_second_instance(self) -> None:
        """On the same state, with ports of its own: it names the process that holds it; the first is undisturbed."""
        self.appliance.start()
        self.appliance.people(password=PASSWORD)
        second = Appliance(self.folder / "second", state=self.appliance.state)
        said = self.refused(second)
        self.assertIn(f"{self.appliance.state} is in use by process {self.appliance.pid}: stop it first", said)
        self.assertIn("ann@example.test", self.appliance.cli("account", "list"))
        with Peer(self.appliance.ports["imaps"], tls=True) as peer:
            peer.line()
            self.assertRegex(peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1], b"^a OK ")
        self.assertEqual(self.appliance.stop(), 0)

    def test_read_only_state(self) -> None:
        """Said before a port is opened; the command line says it, too; mounted for writing all is there again."""
        if reason := forbidden():
            self.skipTest(reason)
        state = self.folder / "ground"
        state.mkdir()
        with Ground(state, "64m") as ground:
            appliance = Appliance(self.folder, state=state, within=ground.within)
            self.addCleanup(appliance.kill)
            appliance.start()
            appliance.people()
            appliance.stop()
            ground.remount("ro")
            said = self.refused(appliance)
            self.assertIn(f"state cannot be used: {state} is on a read-only file system; mount it for writing", said)
            said = appliance.cli("account", "list", status=1)
            self.assertIn("Read-only file system; mount it for writing", said)
            ground.remount("rw")
            appliance.start()
            self.assertIn("ann@example.test", appliance.cli("account", "list"))
            self.assertEqual(appliance.stop(), 0)

    def test_command_line_while_it_is_down(self) -> None:
        """People and traces as ever, `status` says that it does not run, what needs the network is refused."""
        self.appliance.start()
        self.appliance.people()
        self.appliance.stop()
        cli = self.appliance.cli
        self.assertIn("bob@example.test", cli("account", "add", "bob@example.test", stdin=PASSWORD + "\n"))
        self.assertIn("bob@example.test", cli("account", "list"))
        self.assertIn("delivery.kept", cli("trace", "ann@example.test"))
        said = cli("status", status=1)
        self.assertIn("it does not run", said)
        self.assertIn("systemctl start mailappliance", said)
        self.assertIn("needs the running service: start it first", cli("relay", "test", "a@example.com", status=1))
        self.appliance.start()
        wait_until(
            lambda: list(self.appliance.maildir("bob@example.test").glob("new/*")),
            5,
            "the welcome message that was due",
        )
        self.assertEqual(self.appliance.stop(), 0)

    def test_clock(self) -> None:
        """A clock far behind the last run is said; it starts all the same."""
        self.appliance.start()
        self.appliance.people()
        self.appliance.stop()
        os.utime(self.appliance.state / "lock", (time.time() + 400 * 86400,) * 2)
        self.appliance.start()
        self.assertRegex(self.appliance.log(), r"warning service\.clock text=.*400 day.*timedatectl set-ntp true")
        self.assertEqual(self.appliance.stop(), 0)


class DatabaseTests(FaultTests):
    """A damaged database: what cannot be rebuilt stops the start with words; what can be is rebuilt with words."""

    def setUp(self) -> None:
        super().setUp()
        self.write('[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"')
        self.appliance.start()
        self.appliance.people(password=PASSWORD)

    def spoil(self, name: str) -> Path:
        """Stop, write garbage over the file, and take its log away; returns what the file was."""
        self.assertEqual(self.appliance.stop(), 0)
        path = self.appliance.state / name
        kept = path.with_name(path.name + ".good")
        shutil.copy(path, kept)
        path.write_bytes(b"garbage\n" * 4096)
        for tail in ("-wal", "-shm"):
            path.with_name(path.name + tail).unlink(missing_ok=True)
        return kept

    def test_users(self) -> None:
        """Without its people it does not start; with the file put back it does, and nothing was lost."""
        kept = self.spoil("users.db")
        words = "users.db: file is not a database; it is damaged: put a backup in its place"
        self.assertIn(words, self.refused())
        self.assertTrue(self.nothing_listens())
        self.assertIn(words, self.appliance.cli("account", "list", status=1))
        shutil.copy(kept, self.appliance.state / "users.db")
        self.appliance.start()
        with Peer(self.appliance.ports["imaps"], tls=True) as peer:
            peer.line()
            self.assertRegex(peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1], b"^a OK ")

    def test_queue(self) -> None:
        """It does not start; moved away as it says, the mail that waited is kept apart and never swept."""
        self.submit("aunt@example.com")
        kept = self.spoil("queue/queue.db")
        self.assertIn("queue.db: file is not a database; it is damaged: put a backup in its place", self.refused())
        content = [path.read_bytes() for path in (self.appliance.state / "queue" / "content").iterdir()]
        self.assertEqual(len(content), 1)
        (self.appliance.state / "queue" / "queue.db").rename(self.folder / "moved away")
        self.appliance.start()
        self.assertIn("the queue is empty", self.appliance.cli("queue", "list"))
        (apart,) = (self.appliance.state / "queue").glob("content.kept-*")
        self.assertEqual([path.read_bytes() for path in apart.iterdir()], content)
        self.assertRegex(self.appliance.log(), rf"error queue\.content_kept_apart folder={apart} files=1")
        # And back again, as the event's text says.
        self.appliance.stop()
        shutil.copy(kept, self.appliance.state / "queue" / "queue.db")
        for tail in ("-wal", "-shm"):
            (self.appliance.state / "queue" / f"queue.db{tail}").unlink(missing_ok=True)
        shutil.rmtree(self.appliance.state / "queue" / "content")
        apart.rename(self.appliance.state / "queue" / "content")
        self.appliance.start()
        self.assertIn("aunt@example.com", self.appliance.cli("queue", "list"))

    def test_guard(self) -> None:
        """Put aside and begun anew; it is said."""
        self.spoil("guard.db")
        self.appliance.start()
        self.assertRegex(self.appliance.log(), r"warning guard\.memory_lost .*guard\.db: file is not a database")
        self.assertTrue((self.appliance.state / "guard.db.damaged").exists())
        self.appliance.cli("guard", "list")
        self.assertNotIn("journal.broken", self.appliance.log())

    def test_trail(self) -> None:
        """Put aside and begun anew; it is said, mail is not touched by it, and `trace` knows what comes after."""
        self.spoil("journal/trail.db")
        self.appliance.start()
        self.receive("first")
        self.assertIn("nothing is known of", self.appliance.cli("trace", "nobody@example.org", status=1))
        self.assertRegex(self.appliance.log(), r"journal\.trail_lost .*a new file is begun, the old one is .*damaged")
        self.receive("second")
        self.assertIn("delivery.kept", self.appliance.cli("trace", "ann@example.test"))
        self.assertNotIn("journal.broken", self.appliance.log())

    def submit(self, recipient: str) -> None:
        """One mail of ann's to the outside."""
        with Peer(self.appliance.ports["submissions"], tls=True) as peer:
            peer.hello()
            peer.auth_plain("ann@example.test", PASSWORD)
            peer.envelope("ann@example.test", recipient)
            self.assertRegex(peer.data(b"From: ann@example.test\r\nSubject: out\r\n\r\nx\r\n"), "^250 ")

    def receive(self, subject: str) -> None:
        """One mail for ann."""
        with Peer(self.appliance.ports["smtp"]) as peer:
            peer.hello()
            peer.envelope("stranger@example.org", "ann@example.test")
            self.assertRegex(peer.data(f"From: a@example.org\r\nSubject: {subject}\r\n\r\nx\r\n".encode()), "^250 ")


class NameServerTests(FaultTests):
    """A name server that does not answer."""

    def test_silent(self) -> None:
        """Mail that needs it waits and says why, `status` says it, other mail is undisturbed; then it goes out."""
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind(("127.0.0.1", 0))
        port = ear.getsockname()[1]
        next_host = Appliance(self.folder / "next", hostname="mx.next.test", address="127.0.0.2")
        self.addCleanup(next_host.kill)
        self.write(
            f'[dns]\nservers = ["127.0.0.1:{port}"]\n'
            f"[relay]\nmx_port = {next_host.ports['smtp']}\nallow_loopback = true\nfirst_retry = 1"
        )
        self.appliance.start()
        self.appliance.people(password=PASSWORD)
        for number in range(20):
            self.submit(f"uncle{number}@next.test")
        longest = 0.0
        end = time.monotonic() + 4
        with Peer(self.appliance.ports["imaps"], tls=True) as imap:
            imap.line()
            imap.ask(f'LOGIN ann@example.test "{PASSWORD}"')
            imap.ask("SELECT INBOX")
            while time.monotonic() < end:
                began = time.monotonic()
                self.submit("ann@example.test")
                self.assertRegex(imap.ask("NOOP")[-1], b"^a OK")
                longest = max(longest, time.monotonic() - began)
                time.sleep(0.05)
        self.assertLess(longest, 2.5)
        said = self.appliance.cli("status", status=1)
        self.assertRegex(said, r"name servers: +TO DO: no answer")
        self.assertRegex(said, "look at /etc/resolv.conf, or name servers that answer in dns.servers")
        waiting = json.loads(self.appliance.cli("queue", "list", "--json"))
        self.assertEqual(len(waiting), 20)
        explained = self.appliance.cli("relay", "test", "uncle@next.test", status=1)
        self.assertIn(f"127.0.0.1:{port}: no answer in time", explained)
        ear.close()
        zone = self.folder / "zone"
        zone.write_text("next.test. 60 MX 10 mx.next.test.\nmx.next.test. 60 A 127.0.0.2\n")
        next_host.start()
        next_host.people("next.test", "postmaster2")
        next_host.cli("domain", "add", "next.test", "--catch-all", "postmaster2@next.test")
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.zone_server", "--port", str(port), str(zone)], cwd=CHECKOUT,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)

        def all_gone() -> bool:
            self.appliance.cli("queue", "retry", "--all")
            return self.appliance.cli("queue", "list", "--json").strip() == "[]"

        wait_until(all_gone, 40, "the queue to run empty")
        found = len(list(next_host.maildir("postmaster2@next.test").glob("new/*")))
        self.assertEqual(found, 21)  # the welcome message, too
        self.assertEqual(self.appliance.tracebacks() + next_host.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())

    def submit(self, recipient: str) -> None:
        """One mail of ann's."""
        with Peer(self.appliance.ports["submissions"], tls=True) as peer:
            peer.hello()
            peer.auth_plain("ann@example.test", PASSWORD)
            peer.envelope("ann@example.test", recipient)
            self.assertRegex(peer.data(b"From: ann@example.test\r\nSubject: out\r\n\r\nx\r\n"), "^250 ")
