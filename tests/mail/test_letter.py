"""Fields of letters that we write ourselves."""

from __future__ import annotations

from email import message_from_bytes, policy

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.letter import mailbox, one_line

ANN = Address("ann", "example.org")


class MailboxTests(SynchronousTestCase):
    """A name before an address."""

    def test_forms(self) -> None:
        """Plain where it may be, quoted or encoded where it must be."""
        for name, expected in (
            ("", "ann@example.org"),
            ("Ann Example", "Ann Example <ann@example.org>"),
            ("Dr. Ann", '"Dr. Ann" <ann@example.org>'),
            ('A "B" \\C', '"A \\"B\\" \\\\C" <ann@example.org>'),
            ("x\r\nBcc: y", '"x Bcc: y" <ann@example.org>'),
        ):
            self.assertEqual(mailbox(name, ANN), expected)

    @settings(max_examples=200, deadline=None)
    @given(st.text(st.characters(codec="utf-8"), max_size=60))
    def test_read_back(self, name: str) -> None:
        """Whatever the name is, the address stays one and is read back."""
        header = f"From: {mailbox(name, ANN)}\n\n".encode()
        self.assertEqual(header.count(b"\n"), 2)
        (one,) = message_from_bytes(header, policy=policy.default)["From"].addresses
        self.assertEqual(one.addr_spec, "ann@example.org")
        if one_line(name).isascii():
            self.assertEqual(one.display_name.split(), one_line(name).split())
