"""The disk is full: new mail is put off, nothing is lost, the owner is told, and with room all goes on."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import Appliance, wait_until
from tests.live.ground import Ground, forbidden

PASSWORD = "correct horse battery"


def letter(subject: str, size: int = 0) -> bytes:
    """A message of about ``size`` octets more than its header."""
    return f"From: a@example.org\r\nSubject: {subject}\r\n\r\n".encode() + b"%068d\r\n" % 7 * (size // 70 + 1)


class FullDiskTests(SynchronousTestCase):
    """State on a small tmpfs."""

    def setUp(self) -> None:
        if reason := forbidden():
            self.skipTest(reason)
        self.folder = Path(tempfile.mkdtemp(prefix="full-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "state").mkdir()
        self.ground = Ground(self.folder / "state", "90m")
        self.addCleanup(self.ground.__exit__, None, None, None)
        extra = '[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\n'
        self.appliance = Appliance(self.folder, within=self.ground.within, extra=extra)
        self.addCleanup(self.appliance.kill)
        self.appliance.start()
        self.appliance.people(password=PASSWORD)

    def smtp(self) -> Peer:
        """A stranger whose recipient has been taken."""
        peer = Peer(self.appliance.ports["smtp"])
        self.addCleanup(peer.close)
        peer.hello()
        self.assertRegex(peer.envelope("stranger@example.org", "ann@example.test"), "^250 ")
        return peer

    def imap(self) -> Peer:
        """Ann in her INBOX."""
        peer = Peer(self.appliance.ports["imaps"], tls=True)
        self.addCleanup(peer.close)
        peer.line()
        peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
        self.assertRegex(peer.ask("SELECT INBOX")[-1], b"^a OK ")
        return peer

    def append(self, imap: Peer, message: bytes) -> bytes:
        """APPEND without waiting; the tagged answer."""
        return imap.ask(b"APPEND INBOX {%d+}\r\n" % len(message) + message)[-1]

    def told(self, imap: Peer) -> dict[bytes, tuple[bytes, bytes]]:
        """Subject → (UID, flags) of everything in INBOX."""
        lines = b"".join(imap.ask("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        found = re.findall(rb"UID (\d+) FLAGS \(([^)]*)\)[^\r]*\r\nSubject: ([^\r]*)\r\n", lines)
        return {subject: (uid, flags.replace(b"\\Recent", b"").strip()) for uid, flags, subject in found}

    def test_full(self) -> None:
        """452 at RCPT and after DATA, NO to APPEND and STORE, `status` says it; then everything works again."""
        at_rcpt = [self.smtp() for _ in range(3)]
        self.assertRegex(at_rcpt.pop().data(letter("before")), "^250 ")
        imap = self.imap()
        imap.ask(r"STORE 1 +FLAGS (\Flagged kept)")
        before = self.told(imap)
        self.assertEqual(len(before), 2)
        submission = Peer(self.appliance.ports["submissions"], tls=True)
        submission.hello()
        submission.auth_plain("ann@example.test", PASSWORD)
        self.assertRegex(submission.envelope("ann@example.test", "aunt@example.com"), "^250 ")

        self.ground.fill()
        self.assertRegex(at_rcpt.pop().data(letter("small")), "^452 4.3.1 ")
        self.assertRegex(at_rcpt.pop().data(letter("large", 2_000_000)), "^452 4.3.1 ")
        self.assertRegex(submission.data(letter("out").replace(b"a@example.org", b"ann@example.test")), "^452 4.3.1 ")
        wait_until(lambda: self.refused_at_rcpt("452 4.3.1 "), 5, "452 at RCPT")
        self.assertRegex(self.append(imap, letter("appended")), b"^a NO .*disk of the server is full; nothing was lost")
        self.assertRegex(self.append(imap, letter("appended", 2_000_000)), b"^a NO .*(?i:disk of the server is full)")
        self.assertRegex(imap.ask(r"STORE 2 +FLAGS (\Answered)")[-1], b"^a (NO|OK) ")
        self.assertRegex(imap.ask("FETCH 2 BODY.PEEK[TEXT]")[-1], b"^a OK ")
        said = self.appliance.cli("status", status=1)
        self.assertRegex(said, r"disk: +TO DO: .* is full \(.* left\); new mail is put off with 452")
        self.assertIn("make room, or move the state folder to a larger disk", said)
        self.assertRegex(
            self.appliance.cli("account", "add", "bob@example.test", stdin=PASSWORD, status=1), "disk.*full"
        )
        self.assertRegex(self.appliance.log(), r"error (delivery\.disk|store\.full) ")
        # A stop and a start on a full disk change nothing.
        self.assertEqual(self.appliance.stop(), 0)
        self.appliance.start()

        self.ground.free()
        wait_until(lambda: self.received("after"), 10, "mail to be taken again")
        imap = self.imap()
        after = self.told(imap)
        self.assertEqual(set(after), {*before, b"after"})
        for subject, (uid, flags) in before.items():
            self.assertEqual((subject, after[subject][0]), (subject, uid))
            self.assertLessEqual(set(flags.split()), set(after[subject][1].split()))
        self.assertRegex(self.append(imap, letter("appended")), b"^a OK ")
        self.assertRegex(imap.ask(r"STORE 2 +FLAGS (\Answered)")[-1], b"^a OK ")
        self.assertNotIn("is full (", self.appliance.cli("status", status=None))
        self.assertEqual(self.appliance.cli("queue", "list", "--json").strip(), "[]")
        self.assertEqual(list((self.ground.seen / "spool").iterdir()), [])
        self.assertEqual(list((self.ground.seen / "queue" / "content").iterdir()), [])
        self.assertEqual(list((self.ground.seen / "mail/example.test/ann/Maildir/tmp").iterdir()), [])
        self.assertEqual(self.appliance.stop(), 0)
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())

    def refused_at_rcpt(self, words: str) -> bool:
        """Is a stranger put off before it has sent the content?"""
        with Peer(self.appliance.ports["smtp"]) as peer:
            peer.hello()
            return peer.envelope("stranger@example.org", "ann@example.test").startswith(words)

    def received(self, subject: str) -> bool:
        """Was it taken?"""
        with Peer(self.appliance.ports["smtp"]) as peer:
            peer.hello()
            reply = peer.envelope("stranger@example.org", "ann@example.test")
            return reply.startswith("250") and peer.data(letter(subject)).startswith("250")

    def test_the_last_octets(self) -> None:
        """With some KB left at random, whatever is answered 250 or OK is there after a SIGKILL."""
        kept = []
        imap = self.imap()
        peers = [self.smtp() for _ in range(8)]
        self.ground.fill()
        os.truncate(self.ground.seen / "filler", (self.ground.seen / "filler").stat().st_size - 96 * 1024)
        for number, peer in enumerate(peers):
            subject = f"last {number}"
            if peer.data(letter(subject, 9_000)).startswith("250"):
                kept.append(subject.encode())
            if self.append(imap, letter(f"put {number}", 9_000)).startswith(b"a OK"):
                kept.append(f"put {number}".encode())
        self.assertTrue(0 < len(kept) < 16, kept)
        self.appliance.kill()
        self.ground.free()
        self.appliance.start()
        imap = self.imap()
        found = set(self.told(imap))
        self.assertLessEqual(set(kept), found)
        self.assertEqual(self.appliance.tracebacks(), [])
