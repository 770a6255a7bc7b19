"""What nobody ought to say is answered, or ends the session; nothing breaks, and no name leads out of the account."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.imap.stage import World
from tests.kit.bad_imap import LINES, NAMES


class BadInputTests(SynchronousTestCase):
    """The table of tests.kit.bad_imap over the fake store; tests/live plays it to the real process."""

    def test_rows(self) -> None:
        """Each line gets one tagged answer of some hundred octets at most, and the session lives on."""
        for name, (lines, answer) in LINES.items():
            world = World()
            world.box().deliver(b"Subject: x\n\nx\n", (), date=0)
            stage = world.connect().log_in("INBOX")
            said = b""
            for line in lines:
                stage.send(b"a " + line + b"\r\n")
                for _ in range(100):  # long work goes in slices
                    world.clock.advance(0.01)
                said = stage.taken()
                self.assertEqual(said.count(b"\r\na ") + said.startswith(b"a "), 1, (name, line[:40], said[-200:]))
                self.assertLess(len(said.splitlines()[-1]), 1000, name)
            self.assertIn(answer, said.splitlines()[-1], name)
            self.assertEqual(world.journal.failures, [], name)
            stage.send(b"z NOOP\r\n")
            if b"BYE" not in said:
                self.assertIn(b"z OK", stage.taken(), name)

    def test_no_such_name_becomes_a_mailbox(self) -> None:
        """CREATE and RENAME say NO or BAD."""
        world = World()
        before = sorted(name for name in world.store.boxes)
        for name in NAMES:
            for verb in (b"CREATE ", b"RENAME Junk "):
                stage = world.connect().log_in()
                stage.send(b"a " + verb + name + b"\r\n")
                said = stage.taken()
                self.assertNotIn(b"a OK", said, (verb, name[:30]))
        self.assertEqual(sorted(world.store.boxes), before)
