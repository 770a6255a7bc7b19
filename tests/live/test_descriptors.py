"""Too few descriptors: connections are bounded by them, and when none is left nothing falls over or is lost."""

from __future__ import annotations

import os
import resource
import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import Appliance, missing, wait_until

PASSWORD = "correct horse battery"
LETTER = b"From: a@example.org\r\nSubject: hello\r\n\r\n%s\r\n.\r\n"


class DescriptorTests(SynchronousTestCase):
    """A low RLIMIT_NOFILE, from the start and all of a sudden."""

    def flood(self, appliance: Appliance, service: str, count: int) -> list[socket.socket]:
        """So many connections from ten addresses; those that were not taken are among them."""
        found = []
        for number in range(count):
            sock = socket.socket()
            sock.settimeout(10)
            sock.bind((f"127.0.3.{1 + number % 10}", 0))
            sock.connect(("127.0.0.1", appliance.ports[service]))
            found.append(sock)
        return found

    def said(self, sock: socket.socket) -> bytes:
        """The first words; b"" when it was closed without any."""
        try:
            return sock.recv(4096)
        except OSError:
            return b""

    def deliver(self, appliance: Appliance, body: bytes) -> str:
        """A stranger's letter to ann; the last reply."""
        with Peer(appliance.ports["smtp"], source="127.0.0.9") as peer:
            peer.hello()
            peer.envelope("a@example.org", "ann@example.test")
            peer.say("DATA")
            peer.send(LETTER % body)
            return peer.reply()

    def arrived(self, appliance: Appliance) -> set[bytes]:
        """The bodies in her mailbox."""
        new = appliance.maildir("ann@example.test") / "new"
        return {path.read_bytes().rpartition(b"\n\n")[2].strip() for path in new.iterdir()} if new.exists() else set()

    def test_low_from_the_start(self) -> None:
        """The bounds of SMTP and IMAP follow the limit; strangers hear 421 or BYE and users still get in."""
        if reason := missing("prlimit"):
            self.skipTest(reason)
        with Appliance(within=("prlimit", "--nofile=256:256")) as appliance:
            appliance.people(password=PASSWORD)
            smtp = self.flood(appliance, "smtp", 100)
            imap = self.flood(appliance, "imap", 100)
            first = [self.said(sock)[:4] for sock in smtp]
            self.assertEqual((first.count(b"220 "), first.count(b"421 ")), (48, 52))
            first = [self.said(sock)[:4] for sock in imap]
            self.assertEqual((first.count(b"* OK"), first.count(b"* BY")), (48, 52))
            with Peer(appliance.ports["submissions"], tls=True) as peer:
                peer.hello()
                self.assertRegex(peer.auth_plain("ann@example.test", PASSWORD), "^235 ")
            for sock in [*smtp, *imap]:
                sock.close()
            wait_until(lambda: self.deliver(appliance, b"still here").startswith("250 "), 10, "a delivery")
            self.assertEqual(appliance.tracebacks(), [])
            self.assertNotIn("no_descriptors", appliance.log())

    def test_none_left(self) -> None:
        """None at all is left in the middle of the work: whoever has his 250 is in the mailbox, and it recovers."""
        with Appliance() as appliance:
            appliance.people(password=PASSWORD)
            self.assertRegex(self.deliver(appliance, b"before"), "^250 ")
            early = Peer(appliance.ports["smtp"], source="127.0.0.9")
            early.hello()
            open_now = len(os.listdir(f"/proc/{appliance.pid}/fd"))
            soft, hard = resource.prlimit(appliance.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(appliance.pid, resource.RLIMIT_NOFILE, (open_now + 6, hard))
            crowd = [*self.flood(appliance, "smtp", 40), *self.flood(appliance, "imap", 40)]
            first = [self.said(sock)[:4] for sock in crowd]
            self.assertLess(first.count(b"220 ") + first.count(b"* OK"), 10)
            wait_until(lambda: "journal.no_descriptors" in appliance.log(), 5, "a line in the journal")
            kept = {b"before"}
            early.envelope("a@example.org", "ann@example.test")
            if early.say("DATA").startswith("354"):
                early.send(LETTER % b"meanwhile")
                reply = early.reply()
                self.assertRegex(reply, "^(250|45[12]) ")
                if reply.startswith("250"):
                    kept.add(b"meanwhile")
            for sock in crowd:
                sock.close()
            resource.prlimit(appliance.pid, resource.RLIMIT_NOFILE, (soft, hard))
            wait_until(lambda: self.deliver(appliance, b"after").startswith("250 "), 10, "a delivery")
            kept.add(b"after")
            self.assertLessEqual(kept, self.arrived(appliance))
            with Peer(appliance.ports["imaps"], tls=True) as peer:
                peer.line()
                self.assertRegex(peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')[-1], b"^a OK ")
            early.close()
            self.assertEqual(appliance.process.poll() if appliance.process else 0, None)
            self.assertEqual(appliance.stop(), 0)
