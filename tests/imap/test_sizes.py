"""Sizes that the store does not know yet are asked for before anybody hears of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.imap.commands import append
from tests.imap.stage import MESSAGES, World


class SizeTests(SynchronousTestCase):
    """A mailbox that another program has filled."""

    def test_asked_first(self) -> None:
        """FETCH in all its ways and SORT measure what they tell."""
        size = b"RFC822.SIZE %d" % len(MESSAGES["plain"].replace(b"\n", b"\r\n"))
        for text, wanted in (
            ("FETCH 1 RFC822.SIZE", size),
            ("FETCH 1 ALL", size),
            ("UID FETCH 1 (RFC822.SIZE BODY.PEEK[TEXT])", size),
            ("SORT (REVERSE SIZE) UTF-8 ALL", b"* SORT 1 2"),
        ):
            world = World()
            for name in ("plain", "short"):
                world.box().deliver(MESSAGES[name])
            stage = world.connect().log_in("INBOX")
            world.box().forget_sizes()
            self.assertIn(wanted, stage.ask(f"b {text}"), text)


class ManyTests(SynchronousTestCase):
    """More messages in one APPEND than are taken at once."""

    def test_refused(self) -> None:
        """It is refused as too much and not as nonsense, nothing is stored, and the session goes on."""
        self.patch(append, "MOST_MESSAGES", 3)
        world = World()
        stage = world.connect().log_in("INBOX")
        four = "".join([" {3+}\r\nabc"] * 4)
        self.assertIn(b"b NO [LIMIT] ", stage.ask("b APPEND INBOX" + four))
        self.assertEqual(len(world.box().messages), 0)
        three = "".join([" {3+}\r\nabc"] * 3)
        self.assertIn(b"b OK [APPENDUID ", stage.ask("b APPEND INBOX" + three))
        self.assertEqual(len(world.box().messages), 3)
