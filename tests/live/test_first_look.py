"""A mailbox that another program has filled, seen for the first time: by many at once, and by one that is killed."""

from __future__ import annotations

import os
import random
import re
import shutil
import tempfile
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import Appliance

PASSWORD = "correct horse battery"
MANY = 6000
BEGAN = 1_500_000_000


class FirstLookTests(SynchronousTestCase):
    """Message n lies in the file of second n, has n as its subject and was last written an hour later."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="first-look-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.appliance = Appliance(self.folder)
        self.addCleanup(self.appliance.kill)
        self.appliance.start()
        self.appliance.people(password=PASSWORD)
        self.maildir = self.appliance.maildir("ann@example.test")
        self.appliance.stop()
        shutil.rmtree(self.maildir)  # the welcome with it
        (self.maildir / "cur").mkdir(parents=True)
        for number in range(1, MANY + 1):
            path = self.maildir / "cur" / f"{BEGAN + number}.M{number}.elsewhere:2,{'S' * (number % 2)}"
            path.write_text(f"From: a@example.org\nSubject: n{number}\n\n{'x' * 60}\n")
            os.utime(path, (BEGAN + number + 3600,) * 2)

    def imap(self) -> Peer:
        peer = Peer(self.appliance.ports["imaps"], tls=True, patience=60)
        self.addCleanup(peer.close)
        peer.line()
        peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
        return peer

    def ask(self, peer: Peer, command: str) -> bytes:
        said = peer.ask(command)
        self.assertRegex(said[-1], b"^a OK ", command)
        return b"".join(said)

    def subjects(self, peer: Peer) -> dict[int, int]:
        """By UID."""
        told = self.ask(peer, "FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return {int(u): int(n) for u, n in re.findall(rb"UID (\d+) [^\r]*\r\nSubject: n(\d+)\r\n", told)}

    def test_many_at_once(self) -> None:
        """Whatever they ask first, all see the same messages, and nothing that is not so."""
        self.appliance.start()
        peers = [self.imap() for _ in range(8)]
        told: dict[str, bytes] = {}
        asked = (
            f"FETCH {MANY - 49}:* (UID FLAGS ENVELOPE BODYSTRUCTURE)",
            "FETCH 1:* (UID INTERNALDATE RFC822.SIZE)",
            f"STORE {MANY - 9}:* +FLAGS (\\Flagged once)",
            "SEARCH SUBJECT n5999",
            "COPY 1:10 Archive",
            "UID SORT (REVERSE ARRIVAL) UTF-8 SEEN",
            "FETCH 17 BODY[]",
            "STATUS INBOX (MESSAGES UNSEEN SIZE)",
        )

        def go(peer: Peer, command: str) -> None:
            told[command] = self.ask(peer, "SELECT INBOX") + self.ask(peer, command)

        threads = [threading.Thread(target=go, args=pair) for pair in zip(peers, asked, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(set(told), set(asked))
        for said in told.values():
            self.assertIn(b"* %d EXISTS\r\n" % MANY, said[:1000])
            self.assertIn(b"UIDNEXT %d]" % (MANY + 1), said[:1000])
        self.assertEqual(told[asked[0]].count(b"ENVELOPE (NIL"), 50)
        dates = re.findall(rb'INTERNALDATE "([^"]*)"', told[asked[1]])
        self.assertEqual(
            (len(dates), dates[0], dates[-1]), (MANY, b"14-Jul-2017 03:40:01 +0000", b"14-Jul-2017 05:20:00 +0000")
        )
        self.assertIn(b"* SEARCH 5999\r\n", told[asked[3]])
        self.assertIn(b"COPYUID ", told[asked[4]])
        found = re.search(rb"\* SORT ([\d ]+)\r\n", told[asked[5]])
        assert found is not None
        self.assertEqual([int(uid) for uid in found[1].split()][-3000:], list(range(MANY - 1, 0, -2)))
        self.assertIn(b"Subject: n17\r\n", told[asked[6]])
        self.assertIn(b"MESSAGES %d" % MANY, told[asked[7]])
        other = self.imap()
        self.ask(other, "SELECT INBOX")
        self.assertIn(b"* SEARCH %s\r\n" % b" ".join(b"%d" % n for n in range(MANY - 9, MANY + 1)),
                      self.ask(other, "SEARCH FLAGGED KEYWORD once"))  # fmt: skip
        self.assertEqual(self.subjects(other), {n: n for n in range(1, MANY + 1)})
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())

    def test_killed_behind_the_answer(self) -> None:
        """SIGKILL between the answer to SELECT and the last row: every UID that was told names the same message."""
        chance = random.Random(7)
        index = self.maildir.parent / "index.db"
        for turn in range(6):
            self.appliance.start()
            peer = self.imap()
            self.assertIn(b"UIDNEXT %d]" % (MANY + 1), self.ask(peer, "SELECT INBOX"))
            if turn % 2:
                self.ask(peer, f"FETCH {MANY - chance.randrange(50)}:* (UID ENVELOPE)")
            threading.Event().wait(chance.random() * 0.05)
            self.appliance.kill()
            self.appliance.start()
            peer = self.imap()
            self.ask(peer, "SELECT INBOX")
            self.assertEqual(self.subjects(peer), {n: n for n in range(1, MANY + 1)})
            self.assertEqual(self.appliance.tracebacks(), [])
            self.appliance.stop()
            for part in index.parent.glob("index.db*"):
                part.unlink()
            if turn > 2:  # and with UIDs that nobody has given yet
                (self.maildir / "dovecot-uidlist").unlink()
