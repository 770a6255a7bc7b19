"""One appliance in a process of its own: a mail comes in, is read, is submitted, is refused; told, reloaded, stopped."""

from __future__ import annotations

import imaplib
import json
import re
import signal
import smtplib
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import Peer, trusting
from tests.live.appliance import Appliance, shared, wait_until

PASSWORD = "correct horse battery"


def letter(subject: str, *, sender: str = "stranger@example.org", size: int = 0) -> bytes:
    """A small message, or one of ``size`` octets more."""
    body = b"hello\r\n" + b"x" * 70 + b"\r\n"
    padding = b"".join(b"%069d\r\n" % number for number in range(size // 71))
    return f"From: {sender}\r\nTo: ann@example.test\r\nSubject: {subject}\r\n\r\n".encode() + body + padding


@shared
def running() -> Appliance:
    """Two people, an alias, a catch-all. Nothing may leave: nobody answers for the smarthost."""
    appliance = Appliance(extra='[relay]\nsmarthost = "127.0.0.1:1"\ntls = "none"\n').start()
    appliance.people("example.test", "ann", "bob", password=PASSWORD)
    appliance.cli("domain", "add", "club.test", "--catch-all", "bob@example.test")
    appliance.cli("alias", "add", "family@example.test", "ann@example.test", "bob@example.test")
    return appliance


class ApplianceTests(SynchronousTestCase):
    """All on one running appliance; each test has subjects and addresses of its own."""

    def setUp(self) -> None:
        self.appliance = running()

    def tearDown(self) -> None:
        self.assertEqual(self.appliance.tracebacks(), [])
        self.assertNotIn("journal.broken", self.appliance.log())

    # ------------------------------------------------------------ helpers

    def receive(self, content: bytes, *recipients: str, sender: str = "stranger@example.org") -> str:
        """Bring a message to port 25 as a stranger; the last reply."""
        with Peer(self.appliance.ports["smtp"]) as peer:
            peer.hello()
            reply = peer.envelope(sender, *(recipients or ("ann@example.test",)))
            return peer.data(content) if reply.startswith("250") else reply

    def imap(self, name: str = "ann") -> imaplib.IMAP4_SSL:
        """Logged in; use it as a context."""
        client = imaplib.IMAP4_SSL("127.0.0.1", self.appliance.ports["imaps"], ssl_context=trusting())
        client.login(f"{name}@example.test", PASSWORD)
        return client

    def read(self, subject: str, name: str = "ann", mailbox: str = "INBOX") -> list[bytes]:
        """The messages with this subject."""
        with self.imap(name) as client:
            client.select(mailbox, readonly=True)
            numbers = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]

    # ------------------------------------------------------------ in

    def test_a_stranger_writes(self) -> None:
        """A mail by smtplib into 25 is read by imaplib, octet for octet below what the border added."""
        content = letter("from a stranger") + b".dot\r\n..two\r\n\xff\xfe\r\n"
        with smtplib.SMTP("127.0.0.1", self.appliance.ports["smtp"], local_hostname="peer.example") as client:
            client.sendmail("stranger@example.org", ["ann@example.test"], content, ["BODY=8BITMIME"])
        (found,) = self.read("from a stranger")
        top, _, rest = found.partition(b"From: stranger@example.org\r\n")
        self.assertEqual(b"From: stranger@example.org\r\n" + rest, content)
        self.assertRegex(
            top,
            rb"\AReturn-Path: <stranger@example\.org>\r\n"
            rb"Received: from peer\.example \(\[127\.0\.0\.1\]\)\r\n\tby mx\.example\.test with ESMTP\r\n"
            rb"\tid [0-9a-z]{14}\r\n\tfor <ann@example\.test>; .*\r\n\Z",
        )

    def test_addresses(self) -> None:
        """Alias, subaddress, catch-all, role address and bare postmaster reach their people, each once."""
        subject = "to many addresses"
        recipients = ("family@example.test", "ann+shop@example.test", "anybody@club.test", "ABUSE@example.test")
        self.assertIn("250 2.0.0", self.receive(letter(subject), *recipients, "postmaster"))
        self.assertEqual((len(self.read(subject, "ann")), len(self.read(subject, "bob"))), (1, 1))

    def test_refused_at_rcpt(self) -> None:
        """Unknown names and other people's domains are refused while the sender is there, whoever it claims to be."""
        with Peer(self.appliance.ports["smtp"]) as peer:
            peer.hello()
            peer.say("MAIL FROM:<stranger@example.org>")
            self.assertEqual(peer.say("RCPT TO:<nobody@example.test>"), "550 5.1.1 No such user here")
            self.assertEqual(peer.say("RCPT TO:<aunt@example.com>"), "550 5.7.1 Relaying denied")
            self.assertRegex(peer.say("DATA"), "^554 5.5.1")
            peer.say("RSET")
            self.assertRegex(peer.say("MAIL FROM:<ann@example.test>"), "^550 5.7.1")

    def test_quota(self) -> None:
        """A full mailbox: 552 at once when the size is announced, 552 at RCPT or after DATA; with room it goes on."""
        cli = self.appliance.cli
        cli("account", "add", "small@example.test", "--quota", "20KB", stdin=PASSWORD + "\n")
        with Peer(self.appliance.ports["smtp"]) as peer:
            peer.hello()
            peer.say("MAIL FROM:<stranger@example.org> SIZE=40000")
            self.assertRegex(peer.say("RCPT TO:<small@example.test>"), "^552 5.2.2")
            peer.say("RSET")
            self.assertRegex(peer.envelope("stranger@example.org", "small@example.test"), "^250")
            self.assertRegex(peer.data(letter("too much", size=30_000)), "^552 5.2.2")
            peer.envelope("stranger@example.org", "small@example.test", "ann@example.test")
            # One of two took it: the other's copy waits in the queue.
            self.assertRegex(peer.data(letter("half full", size=30_000)), "^250")
        waiting = json.loads(cli("queue", "list", "--json"))
        self.assertIn("small@example.test", [one["to"] for message in waiting for one in message["recipients"]])
        cli("account", "quota", "small@example.test", "1MB")
        cli("queue", "retry", "--all")
        wait_until(lambda: len(self.read("half full", "small")) == 1, 5, "what was kept back")
        cli("account", "quota", "small@example.test", "40KB")
        with self.imap("small") as client:
            answer = client.append("INBOX", None, None, letter("appended", size=30_000))
        self.assertEqual((answer[0], answer[1][0][:11]), ("NO", b"[OVERQUOTA]"))

    # ------------------------------------------------------------ out

    def test_submission(self) -> None:
        """By 465 with a log-in: to ourselves at once, to others through the queue; nobody sends as somebody else."""
        with smtplib.SMTP_SSL("127.0.0.1", self.appliance.ports["submissions"], context=trusting()) as client:
            self.assertEqual(client.docmd("MAIL FROM:<ann@example.test>")[0], 503)
            client.ehlo("[127.0.0.1]")
            self.assertEqual(client.docmd("MAIL FROM:<ann@example.test>")[0], 530)
            client.login("ann@example.test", PASSWORD)
            content = b"From: ann@example.test\r\nBcc: bob@example.test\r\nSubject: submitted\r\n\r\nhello\r\n"
            client.sendmail("ann@example.test", ["bob@example.test", "aunt@example.com"], content)
            self.assertEqual(client.docmd("MAIL FROM:<bob@example.test>")[0], 550)
            forged = content.replace(b"ann@", b"bob@")
            with self.assertRaises(smtplib.SMTPDataError) as caught:
                client.sendmail("ann@example.test", ["bob@example.test"], forged)
            self.assertEqual(caught.exception.smtp_code, 550)
        (found,) = self.read("submitted", "bob")
        self.assertNotIn(b"127.0.0.1", found)
        self.assertNotIn(b"Bcc", found)
        self.assertRegex(found, rb"\r\nDate: .*\r\nMessage-ID: <[0-9a-z]{14}@mx\.example\.test>\r\n")
        waiting = json.loads(self.appliance.cli("queue", "list", "--json"))
        self.assertIn("aunt@example.com", [one["to"] for message in waiting for one in message["recipients"]])

    # ------------------------------------------------------------ told

    def test_trace(self) -> None:
        """`trace` tells a message by its id, its Message-ID and its addresses, and what a refused peer was told."""
        content = b"Message-ID: <told@example.org>\r\n" + letter("told")
        reply = self.receive(content, sender="teller@example.org")
        trace = reply.split()[-1]
        self.receive(letter("not told"), "nobody@example.test", sender="teller@example.org")
        for what in (trace, "<told@example.org>", "told@example.org", "teller@example.org"):
            story = self.appliance.cli("trace", what)
            self.assertIn(f"message {trace}", story)
            self.assertIn("smtp.accepted", story)
            self.assertIn("delivery.kept", story)
        self.assertIn("550 5.1.1 No such user here", story)
        self.assertIn("nobody@example.test", story)
        self.assertEqual(self.appliance.cli("trace", "never@example.org", status=1).count("nothing is known of"), 1)

    def test_status(self) -> None:
        """Five lines; on a machine that can do all it should, nothing is to be done."""
        said = self.appliance.cli("status", status=None)
        heads = re.findall(r"(?m)^([a-z ]+):", said)
        self.assertEqual(
            heads,
            "mail in,mail out,certificate,disk,name servers,junk filter,held domains,checks,scanners,passwords".split(
                ","
            )
            + "signing keys,records".split(","),
        )
        self.assertIn("ok: 2 domain(s)", said)

    # ------------------------------------------------------------ reload

    def test_reload(self) -> None:
        """A changed file counts after `reload`; what needs a restart is said; a wrong one changes nothing."""
        appliance = self.appliance
        before = appliance.config.read_text()
        self.addCleanup(appliance.cli, "reload")
        self.addCleanup(appliance.config.write_text, before)
        appliance.config.write_text(before + "[limits]\nmessage_size = 10000\n")
        self.assertIn("taken over", appliance.cli("reload"))
        self.assertRegex(self.receive(letter("large", size=20_000)), "^552 5.3.4")
        appliance.config.write_text(before.replace("mx.example.test", "mx2.example.test") + "[limits]\nquota = 0\n")
        self.assertIn("hostname has changed: that takes a restart", appliance.cli("reload"))
        appliance.config.write_text(before + "[limits]\nmessage_size = 10000\nmesage_size = 1\n")
        self.assertIn("message_size", appliance.cli("reload", status=1))
        self.assertRegex(self.receive(letter("large again", size=20_000)), "^250")


class LifeTests(SynchronousTestCase):
    """Starts and stops."""

    def test_from_start_to_stop(self) -> None:
        """`ready` comes when every port is open; SIGTERM says BYE and 421 and ends with status 0; a start goes on."""
        with Appliance() as appliance:
            appliance.people()
            (ready,) = re.findall(r"(?m)^\S+ notice ready .*$", appliance.log())
            for name, port in appliance.ports.items():
                self.assertIn(f"{name}:{port}", ready)
            smtp = Peer(appliance.ports["smtp"])
            smtp.hello()
            imap = Peer(appliance.ports["imap"])
            imap.line()
            began = time.monotonic()
            self.assertEqual(appliance.stop(), 0)
            self.assertLess(time.monotonic() - began, 20)
            self.assertRegex(smtp.rest(), b"^421 4.3.2 ")
            self.assertRegex(imap.rest(), rb"^\* BYE ")
            self.assertRegex(appliance.log(), r"service\.stopping(.*\n)+.*service\.stopped")
            appliance.start()
            self.assertIn("ann@example.test", appliance.cli("account", "list"))
            assert appliance.process is not None
            appliance.process.send_signal(signal.SIGINT)
            self.assertEqual(appliance.process.wait(20), 0)
            self.assertEqual(appliance.tracebacks(), [])
