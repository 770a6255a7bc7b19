"""Many large messages at once: the process stays small, and every octet is kept."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer
from tests.live.appliance import Appliance

PASSWORD = "correct horse battery"
SESSIONS = 50
MEGABYTES = 20
MOST_PSS_KIB = 110 * 1024


class MemoryTests(SynchronousTestCase):
    """All sessions send at the same time."""

    def test_large_messages(self) -> None:
        """Half by SMTP (DATA and BDAT), half by APPEND, all at once: PSS stays under the mark, all is stored intact."""
        folder = Path(tempfile.mkdtemp(prefix="memory-"))
        self.addCleanup(shutil.rmtree, folder)
        appliance = Appliance(folder)
        self.addCleanup(appliance.kill)
        appliance.start()
        appliance.people("example.test", "ann", "bob", password=PASSWORD)
        with Peer(appliance.ports["imaps"], tls=True) as peer:
            # Known from now on: of a stranger the guard lets only ten passwords be looked at at a time.
            peer.line()
            peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
        lines = [random.Random(n).randbytes(35).hex().encode() + b"\r\n" for n in range(1000)]
        piece = b"".join(lines)  # 72 KB
        pieces = MEGABYTES * 1_000_000 // len(piece)
        digest = hashlib.sha256(piece * pieces).hexdigest()
        troubles: list[str] = []
        watching = threading.Event()
        highest = [appliance.pss_kib()]
        before = highest[0]

        def watch() -> None:
            while not watching.wait(0.1):
                highest[0] = max(highest[0], appliance.pss_kib())

        def send(number: int) -> None:
            try:
                (self.by_data, self.by_chunks, self.by_append, self.by_append)[number % 4](
                    appliance, number, piece, pieces
                )
            except (OSError, AssertionError) as error:
                troubles.append(f"{number}: {error!r}")

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        threads = [threading.Thread(target=send, args=(number,)) for number in range(SESSIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
        watching.set()
        watcher.join()
        self.assertEqual(troubles, [])
        print(
            f"{SESSIONS} x {MEGABYTES} MB in {seconds:.1f} s; PSS {before / 1024:.0f} MB before, "
            f"{highest[0] / 1024:.0f} MB at most, {appliance.pss_kib() / 1024:.0f} MB after"
        )
        self.assertLessEqual(highest[0], MOST_PSS_KIB)
        found = set()
        maildir = appliance.maildir("ann@example.test")
        for path in [*maildir.glob("new/*"), *maildir.glob("cur/*")]:
            head, _, body = path.read_bytes().partition(b"\n\n")
            subject = re.search(rb"(?m)^Subject: large (\d+)$", head)
            if subject is not None:
                found.add(int(subject[1]))
                self.assertEqual(hashlib.sha256(body.replace(b"\n", b"\r\n")).hexdigest(), digest)
        self.assertEqual(found, set(range(SESSIONS)))
        self.read_back(appliance, digest)
        self.assertEqual(list((appliance.state / "spool").iterdir()), [])
        self.assertEqual(appliance.stop(), 0)
        self.assertEqual(appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", appliance.log())

    def head(self, number: int) -> bytes:
        """A header block."""
        return f"From: a@example.org\r\nSubject: large {number}\r\n\r\n".encode()

    def by_data(self, appliance: Appliance, number: int, piece: bytes, pieces: int) -> None:
        """DATA."""
        with Peer(appliance.ports["smtp"], patience=60) as peer:
            peer.hello()
            peer.envelope("a@example.org", "ann@example.test")
            peer.say("DATA")
            peer.send(self.head(number))
            for _ in range(pieces):
                peer.send(piece)
            peer.send(b".\r\n")
            self.assertRegex(peer.reply(), "^250 ")

    def by_chunks(self, appliance: Appliance, number: int, piece: bytes, pieces: int) -> None:
        """BDAT, a megabyte and more a chunk."""
        with Peer(appliance.ports["smtp"], patience=60) as peer:
            peer.hello()
            peer.envelope("a@example.org", "ann@example.test")
            self.assertRegex(peer.say(b"BDAT %d\r\n" % len(self.head(number)) + self.head(number)[:-2]), "^250 ")
            left = pieces
            while left:
                count = min(left, 20)
                left -= count
                peer.send(b"BDAT %d%s\r\n" % (count * len(piece), b"" if left else b" LAST"))
                peer.send(piece * count)
                self.assertRegex(peer.reply(), "^250 ")

    def by_append(self, appliance: Appliance, number: int, piece: bytes, pieces: int) -> None:
        """APPEND over TLS."""
        with Peer(appliance.ports["imaps"], tls=True, patience=60) as peer:
            peer.line()
            peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
            head = self.head(number)
            peer.send(b"a APPEND INBOX {%d}\r\n" % (len(head) + pieces * len(piece)))
            self.assertRegex(peer.line(), rb"^\+ ")
            peer.send(head)
            for _ in range(pieces):
                peer.send(piece)
            peer.send(b"\r\n")
            self.assertRegex(peer.answer()[-1], b"^a OK ")

    def read_back(self, appliance: Appliance, digest: str) -> None:
        """Five readers fetch one whole message each; one of them is in no hurry."""
        with Peer(appliance.ports["imaps"], tls=True, patience=60) as slow:
            slow.line()
            slow.ask(f'LOGIN ann@example.test "{PASSWORD}"')
            slow.ask("SELECT INBOX")
            slow.send(b"b FETCH 2:6 BODY.PEEK[TEXT]\r\n")
            before = appliance.pss_kib()
            for number in range(2, 6):
                with Peer(appliance.ports["imaps"], tls=True, patience=60) as peer:
                    peer.line()
                    peer.ask(f'LOGIN ann@example.test "{PASSWORD}"')
                    peer.ask("SELECT INBOX")
                    lines = peer.ask(f"FETCH {number} BODY.PEEK[TEXT]")
                    self.assertEqual(hashlib.sha256(b"".join(lines[1:-2])).hexdigest(), digest)
            self.assertLessEqual(appliance.pss_kib(), max(MOST_PSS_KIB, before))
            self.assertEqual(sum(line.startswith(b"* ") for line in slow.answer("b")), 5)
