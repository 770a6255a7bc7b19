"""Fields of letters that we write ourselves."""

from __future__ import annotations

from email import message_from_bytes, policy

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.letter import Letter, compose, mailbox, one_line

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


class InjectionTests(SynchronousTestCase):
    """Nothing that goes into a letter gets out of its place."""

    WORDS = st.text(max_size=80) | st.sampled_from(
        [
            "x\r\nBcc: eve@far.example",
            "x\n\nbody",
            "\r",
            "\u2028Bcc: y",
            "\x85Bcc: y",
            "\x0bBcc: y",
            "=?utf-8?b?eA0KQmNjOiB5?=",
            "a" * 5000,
        ]
    )

    @settings(max_examples=300, deadline=None)
    @given(WORDS, WORDS, WORDS, WORDS)
    def test_letters(self, display: str, subject: str, text: str, answers: str) -> None:
        """Name, subject, text and the Message-ID of what is answered add no field and end no header."""
        made = compose(Letter(ANN, ANN, subject, text, display, answers=answers), "<1@example.org>", 0.0)
        self.assertTrue(made.header.endswith(b"\n\n"))
        self.assertEqual(made.header.count(b"\n\n"), 1)
        self.assertNotIn(b"\r", made.header + made.body)  # type: ignore[operator]
        names = [line.split(b":")[0] for line in made.header.rstrip(b"\n").split(b"\n") if line[:1] not in b" \t"]
        allowed = "Date From To Subject Message-ID In-Reply-To References Auto-Submitted MIME-Version".split()
        allowed += ["Content-Type", "Content-Transfer-Encoding"]
        self.assertLessEqual({name.decode() for name in names}, set(allowed))
        self.assertEqual(len(names), len(set(names)))
        self.assertLess(max(map(len, made.header.split(b"\n"))), 999)
