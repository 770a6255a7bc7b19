"""Another program delivers into the Maildir: whoever idles hears of it at once."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.store.nearby import is_nearby
from tests.kit.peer import Peer
from tests.live.appliance import Appliance


class ForeignDeliveryTests(SynchronousTestCase):
    """As procmail does it: written in tmp/, moved to new/."""

    def deliver(self, maildir: Path, name: str) -> None:
        path = maildir / "tmp" / name
        path.write_text(f"Subject: {name}\n\nforeign\n")
        os.rename(path, maildir / "new" / name)

    def until(self, peer: Peer, wanted: bytes) -> None:
        while (line := peer.line()) != wanted:
            self.assertTrue(line, "the server has hung up")

    def test_idle(self) -> None:
        """Each delivery well within a poll; a thousand at once are told, too."""
        with Appliance() as appliance:
            if not is_nearby(str(appliance.state)):
                self.skipTest("STATE is not on a file system of this machine")
            appliance.people("example.test", "ann", password="correct horse battery")
            maildir = appliance.maildir("ann@example.test")
            peer = Peer(appliance.ports["imaps"], tls=True)
            self.addCleanup(peer.close)
            peer.ask('LOGIN ann@example.test "correct horse battery"')
            self.assertIn(b"OK", peer.ask("SELECT INBOX")[-1])
            peer.send(b"c IDLE\r\n")
            time.sleep(2.5)  # the welcome message has been looked at for good
            waits = []
            for number in range(15):
                began = time.monotonic()
                self.deliver(maildir, f"1700000{number:03}.foreign")
                self.until(peer, b"* %d EXISTS\r\n" % (number + 2))
                waits.append(time.monotonic() - began)
                time.sleep(0.2)
            self.assertLess(statistics.median(waits), 0.3, waits)
            for number in range(1000):
                self.deliver(maildir, f"17100{number:05}.foreign")
            self.until(peer, b"* 1016 EXISTS\r\n")
            self.assertEqual(appliance.tracebacks(), [])
            print(f"foreign delivery to EXISTS, median of {len(waits)}: {statistics.median(waits) * 1000:.1f} ms")
