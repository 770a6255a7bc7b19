"""Delivery status notifications as programs and people read them."""

from __future__ import annotations

import email
import email.policy

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.letter import Letter, compose
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.report import DELAYED, FAILED, RELAYED, Fate, Report, compose_report
from tests.kit.fake_relay import LATER, REFUSED, SENT
from tests.kit.post_office import message

ANN = Address.parse("ann@example.org")
BOB = Recipient(Address.parse("bob@far.example"), original="rfc822;Bob@old.example")
MESSAGE_ID = "<0abc.report@mail.example.org>"


def report(
    action: str = FAILED, outcome: Outcome = REFUSED, content: Content | None = None, **envelope: object
) -> email.message.EmailMessage:
    fate = Fate(BOB, action, outcome, 1_800_000_100.0, 1_800_400_000.0)
    about = Envelope(ANN, **envelope)  # type: ignore[arg-type]
    made = compose_report(
        Report("mail.example.org", about, 1_800_000_000.0, content or message(), (fate,)),
        ANN,
        MESSAGE_ID,
        1_800_000_200.0,
    )
    assert isinstance(made.body, bytes)
    octets = made.header + made.body
    assert made.lines == octets.count(b"\n")
    return email.message_from_bytes(octets, policy=email.policy.default)  # type: ignore[return-value]


class ReportTests(SynchronousTestCase):
    """RFC 6522 and RFC 3464, seen by the standard library."""

    def test_structure(self) -> None:
        """multipart/report of words, fields and the message."""
        made = report()
        self.assertEqual(made.get_content_type(), "multipart/report")
        self.assertEqual(made.get_param("report-type"), "delivery-status")
        self.assertEqual(
            [part.get_content_type() for part in made.iter_parts()],
            ["text/plain", "message/delivery-status", "message/rfc822"],
        )
        self.assertEqual(made["auto-submitted"], "auto-replied")
        self.assertEqual(
            (made["from"], made["to"]), ("Mail System <MAILER-DAEMON@mail.example.org>", "ann@example.org")
        )
        self.assertEqual((made["message-id"], made["in-reply-to"]), (MESSAGE_ID, "<hello@example.org>"))
        self.assertEqual(made["subject"], "Undelivered: Hello")
        self.assertEqual(made.defects, [])

    def test_fields(self) -> None:
        """Per message and per recipient (RFC 3464 §2.2, §2.3)."""
        (_, status, _) = report(envid="QQ1").iter_parts()
        whole, one = status.get_payload()
        self.assertEqual(whole["reporting-mta"], "dns; mail.example.org")
        self.assertEqual(whole["original-envelope-id"], "QQ1")
        self.assertEqual(whole["arrival-date"], "Fri, 15 Jan 2027 08:00:00 +0000")
        self.assertEqual(
            {name: str(value) for name, value in one.items()},
            {
                "Original-Recipient": "rfc822;Bob@old.example",
                "Final-Recipient": "rfc822; bob@far.example",
                "Action": "failed",
                "Status": "5.1.1",
                "Remote-MTA": "dns; mx.elsewhere.example",
                "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
                "Last-Attempt-Date": "Fri, 15 Jan 2027 08:01:40 +0000",
            },
        )

    def test_ours(self) -> None:
        """A failure of our own has no Diagnostic-Code of another host."""
        outcome = Outcome(Result.FAILED, Reply(554, "5.3.0", "damaged"), host="x", reason="send it again")
        (text, status, _) = report(outcome=outcome).iter_parts()
        self.assertNotIn("diagnostic-code", status.get_payload()[1])
        self.assertIn("That means: send it again", text.get_content())

    def test_what_is_given_back(self) -> None:
        """RET (RFC 3461 §4.3): the whole message for a failure that is small enough, else the header."""
        big = message(body=b"x" * 99 + b"\n" * 70000)
        rows = [
            (FAILED, REFUSED, message(), "", "message/rfc822"),
            (FAILED, REFUSED, message(), "FULL", "message/rfc822"),
            (FAILED, REFUSED, message(), "HDRS", "text/rfc822-headers"),
            (FAILED, REFUSED, big, "FULL", "text/rfc822-headers"),
            (DELAYED, LATER, message(), "FULL", "text/rfc822-headers"),
            (RELAYED, SENT, message(), "FULL", "text/rfc822-headers"),
        ]
        for action, outcome, content, ret, kind in rows:
            with self.subTest(action=action, ret=ret, size=content.size):
                part = list(report(action, outcome, content, ret=ret).iter_parts())[2]
                self.assertEqual(part.get_content_type(), kind)
                if kind == "message/rfc822":
                    self.assertEqual(part.get_content()["subject"], "Hello")
                else:
                    self.assertNotIn("xxx", part.as_string())

    def test_delay(self) -> None:
        """A delay says until when it is tried."""
        (text, status, _) = report(DELAYED, LATER).iter_parts()
        self.assertIn("is tried again", text.get_content())
        self.assertEqual(status.get_payload()[1]["will-retry-until"], "Tue, 19 Jan 2027 23:06:40 +0000")

    def test_other_alphabets(self) -> None:
        """An address in UTF-8 makes it a global report (RFC 6533); a subject is read and written again."""
        fate = Fate(Recipient(Address.parse("bücher@far.example")), FAILED, REFUSED)
        content = message(more="Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n")
        made = compose_report(
            Report("mail.example.org", Envelope(ANN, smtputf8=True), 0.0, content, (fate,)), ANN, MESSAGE_ID, 0.0
        )
        assert isinstance(made.body, bytes)
        parsed = email.message_from_bytes(made.header + made.body, policy=email.policy.default)
        self.assertEqual(parsed["subject"], "Undelivered: Grüße")
        self.assertIn(b"message/global-delivery-status", made.body)
        self.assertIn("Final-Recipient: utf-8; bücher@far.example\n".encode(), made.body)

    @settings(max_examples=150, deadline=None)
    @given(
        st.text(max_size=80), st.text(max_size=80), st.text(max_size=80), st.binary(max_size=200), st.text(max_size=60)
    )
    def test_nothing_gets_out_of_its_field(self, reply: str, host: str, reason: str, body: bytes, subject: str) -> None:
        """Whatever the next host or the sender wrote, it makes no field and no part of its own."""
        body = body.replace(b"\r", b"")
        header = ("Subject: " + subject.replace("\n", " ").replace("\r", " ")).encode("utf-8", "replace") + b"\n\n"
        content = Content(header, body, header.count(b"\n") + body.count(b"\n"))
        outcome = Outcome(Result.FAILED, Reply(550, "5.1.1", reply), host, reason, True)
        made = report(FAILED, outcome, content)
        self.assertEqual(len(list(made.iter_parts())), 3)
        status = list(made.iter_parts())[1].get_payload()
        self.assertEqual(len(status), 2)
        allowed = {"original-recipient", "final-recipient", "action", "status", "remote-mta", "diagnostic-code"}
        self.assertLessEqual({name.lower() for name in status[1]}, allowed | {"last-attempt-date"})
        self.assertLessEqual(
            {name.lower() for name in made},
            set("date from to subject message-id in-reply-to references auto-submitted".split())
            | set("mime-version content-type content-transfer-encoding".split()),
        )


class LetterTests(SynchronousTestCase):
    """Plain letters of our own."""

    def test_letter(self) -> None:
        """Fields, encodings, and no line too long."""
        letter = Letter(Address.parse("postmaster@example.org"), ANN, "Grüße an alle " * 9, "Zeile ü\n" + "x" * 3000)
        made = compose(letter, MESSAGE_ID, 1_800_000_000.0)
        assert isinstance(made.body, bytes)
        octets = made.header + made.body
        self.assertEqual(made.lines, octets.count(b"\n"))
        self.assertLess(max(map(len, octets.split(b"\n"))), 998)
        self.assertTrue(made.header.isascii())
        parsed = email.message_from_bytes(octets, policy=email.policy.default)
        self.assertEqual(parsed["subject"], ("Grüße an alle " * 9).strip())
        self.assertEqual(parsed["auto-submitted"], "auto-generated")
        self.assertTrue(parsed.get_content().startswith("Zeile ü\n"))
