"""Sizes that the store does not know yet are asked for before anybody hears of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

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
