"""One file, one or many messages."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.mbox import messages_of


class MboxTests(SynchronousTestCase):
    """RFC 4155, as programs write it."""

    def test_single(self) -> None:
        """A message that is no mbox is itself, whatever stands in its body."""
        octets = b"Subject: x\n\nFrom here on\n\nFrom me 2001\n"
        self.assertEqual(messages_of(octets), (octets,))
        self.assertEqual(messages_of(b" \n"), ())

    def test_many(self) -> None:
        """Each begins behind an empty line with its From line; quoting is taken back."""
        line = b"From ann@example.org Mon Jan  1 00:00:00 2001\n"
        first, second = b"Subject: 1\n\n>From here\nFrom this 2001\n", b"Subject: 2\n\nbye\n"
        unquoted = first.replace(b">From", b"From")
        for ends in (b"\n", b"\r\n"):
            octets = (line + first + b"\n" + line + second).replace(b"\n", ends)
            found = [message.replace(b"\r\n", b"\n") for message in messages_of(octets)]
            self.assertEqual(found, [unquoted + b"\n", second])
