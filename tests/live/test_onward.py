"""Two appliances and a small DNS: forwards whose bounces find their way back, a list with members on both, an answer."""

from __future__ import annotations

import re
import smtplib
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.live.appliance import CHECKOUT, PROTOCOLS, Appliance, anything_goes, free_ports, wait_until

ZONE = """\
there.test. 60 MX 10 mx.there.test.
there.test. 60 TXT "v=spf1 ip4:127.0.0.1 ip4:127.0.0.2 -all"
_dmarc.there.test. 60 TXT "v=DMARC1; p=none"
mx.there.test. 60 A 127.0.0.2
mx.there.test. 60 TXT "v=spf1 ip4:127.0.0.1 ip4:127.0.0.2 -all"
home.test. 60 MX 10 mx.home.test.
home.test. 60 TXT "v=spf1 ip4:127.0.0.1 ip4:127.0.0.2 -all"
_dmarc.home.test. 60 TXT "v=DMARC1; p=none"
mx.home.test. 60 A 127.0.0.1
mx.home.test. 60 TXT "v=spf1 ip4:127.0.0.1 ip4:127.0.0.2 -all"
1.0.0.127.in-addr.arpa. 60 PTR mx.home.test.
2.0.0.127.in-addr.arpa. 60 PTR mx.there.test.
"""


class OnwardTests(TestCase):
    """home.test forwards, runs the list and has somebody away; there.test has Ted."""

    timeout = 300

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="onward-"))
        dns_port, smtp = free_ports(2)
        (folder / "zone").write_text(ZONE)
        dns = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.zone_server", "--port", str(dns_port), str(folder / "zone")], cwd=CHECKOUT
        )
        self.addCleanup(dns.wait)
        self.addCleanup(dns.terminate)
        extra = (
            f'[dns]\nservers = ["127.0.0.1:{dns_port}"]\n'
            "[checks]\nenabled = true\n"
            f"[relay]\ndirect = true\nmx_port = {smtp}\nallow_loopback = true\nfirst_retry = 1\n"
        )
        self.houses = []
        for name, address, people in (("home", "127.0.0.1", ("ann", "bob")), ("there", "127.0.0.2", ("ted",))):
            ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True)) | {"smtp": smtp}
            house = Appliance(
                folder / name, hostname=f"mx.{name}.test", address=address, listen=ports, extra=extra
            ).start()
            self.addCleanup(house.__exit__)
            house.people(f"{name}.test", *people)
            self.houses.append(house)
        self.home, self.there = self.houses

    def write(self, sender: str, to: str, subject: str, more: str = "") -> None:
        house = self.home if sender.endswith("@home.test") else self.there
        client = smtplib.SMTP(house.address, house.ports["submission"], local_hostname="[127.0.0.1]")
        client.starttls(context=anything_goes())
        client.login(sender, "correct horse battery")
        text = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n{more}\r\nHello.\r\n"
        client.sendmail(sender, [to], text.encode())
        client.quit()

    def arrived(self, account: str, words: str) -> str:
        """The message with these words in an account's mailboxes, when it has come."""
        house = self.home if account.endswith("@home.test") else self.there
        found: list[str] = []

        def look() -> bool:
            paths = [*house.maildir(account).glob("new/*"), *house.maildir(account).glob("cur/*")]
            paths += [*house.maildir(account).glob(".*/new/*"), *house.maildir(account).glob(".*/cur/*")]
            found[:] = [text for path in paths if words in (text := path.read_text("utf-8", "replace"))]
            return bool(found)

        try:
            wait_until(look, 40, f"{words!r} at {account}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.home.log()[-6000:]}\n{self.there.log()[-6000:]}") from None
        return found[0]

    def test_forward(self) -> None:
        """What is passed on has our return path and seal; when the next host refuses, the sender hears of it."""
        self.home.cli("alias", "add", "lost@home.test", "nobody@there.test")
        self.write("ted@there.test", "lost@home.test", "Into the void")
        report = self.arrived("ted@there.test", "Subject: Undelivered: Into the void")
        self.assertIn("Return-Path: <>\n", report)
        self.assertRegex(report, r"(?m)^To: SRS0=[A-Z2-7]+=[A-Z2-7]+=there\.test=ted@home\.test$")
        self.assertIn("Action: failed", report)
        self.assertIn("From: Mail System <MAILER-DAEMON@home.test>", report)
        original = report.partition("Content-Type: message/rfc822")[2]
        self.assertIn("\nARC-Seal: i=1;", original)
        self.assertIn("\nX-Loop: lost@home.test\n", original)
        self.assertIn("nobody@there.test", self.home.cli("trace", "lost@home.test"))
        self.assertEqual(self.home.cli("queue", "list", "--json").strip(), "[]")
        self.assertEqual(self.home.tracebacks() + self.there.tracebacks(), [])

    def test_list(self) -> None:
        """Posts from either side reach the other, the link takes a member off, who cannot write any more then."""
        self.home.cli("lists", "add", "family@home.test", "--title", "Our family")
        self.home.cli("lists", "settings", "family@home.test", "--archive", "yes", "--tag", "[Family]")
        self.home.cli("lists", "subscribe", "family@home.test", "ann@home.test", "bob@home.test")
        self.write("ted@there.test", "family-subscribe@home.test", "let me in")
        question = self.arrived("ted@there.test", "Do you want to join")
        confirm = re.search(r"(?m)^Reply-To: (\S+)$", question)
        assert confirm is not None
        self.write("ted@there.test", confirm[1], "Re: yes")
        self.arrived("ted@there.test", "Subject: Welcome to Our family")
        self.write("ann@home.test", "family@home.test", "Dinner")
        post = self.arrived("ted@there.test", "Subject: [Family] Dinner")
        self.assertRegex(post, r"Return-Path: <family-bounces\+\d+-[a-z2-7]+@home\.test>")
        self.assertIn('\nList-Id: "Our family" <family.home.test>\n', post)
        self.assertIn("d=home.test", post)
        self.arrived("bob@home.test", "Subject: [Family] Dinner")
        self.write("ted@there.test", "family@home.test", "Re: [Family] Dinner")
        self.arrived("ann@home.test", "Subject: Re: [Family] Dinner")
        archive = self.home.state / "mail" / "_shared" / "family" / "Maildir"
        wait_until(lambda: len([*archive.glob(".Shared.Lists.family/*/*.*")]) >= 2, 20, "the archive")
        leave = re.search(r"List-Unsubscribe: <mailto:([^>]+)>", post)
        assert leave is not None
        self.write("ted@there.test", leave[1], "bye")
        self.arrived("ted@there.test", "Subject: You have left Our family")
        members = self.home.cli("lists", "members", "family@home.test")
        self.assertNotIn("ted@there.test", members)
        self.write("ted@there.test", "family@home.test", "Still here?")
        self.arrived("ted@there.test", "Subject: Undelivered: Still here?")
        self.assertEqual(self.home.tracebacks() + self.there.tracebacks(), [])

    def test_vacation(self) -> None:
        """Somebody away answers once."""
        self.home.cli("vacation", "set", "ann@home.test", "--text", "Back on Monday.")
        self.write("ted@there.test", "ann@home.test", "Are you there")
        answer = self.arrived("ted@there.test", "Subject: Automatic reply: Are you there")
        self.assertIn("Auto-Submitted: auto-replied (vacation)", answer)
        self.assertIn("\nDKIM-Signature: ", answer)
        self.write("ted@there.test", "ann@home.test", "Really?")
        self.arrived("ann@home.test", "Subject: Really?")
        self.assertIn("was answered in the last 7 days", self.home.cli("trace", "ann@home.test"))
        self.assertEqual(self.home.cli("queue", "list", "--json").strip(), "[]")
