"""A family's week: three people, their mail programs and phones, and everything they do in between two restarts."""

from __future__ import annotations

import email.utils
import importlib.util
import json
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import CHECKOUT, Appliance, anything_goes, free_ports, wait_until
from tests.live.next_host import NextHost

MAIN = "correct horse battery"
ZONE = """\
. 60 NS a.root.test.
home.test. 60 MX 10 mx.home.test.
home.test. 60 TXT "v=spf1 ip4:127.0.0.1 -all"
mx.home.test. 60 A 127.0.0.1
far.test. 60 MX 10 mx.far.test.
far.test. 60 TXT "v=spf1 ip4:127.0.0.1 -all"
mx.far.test. 60 A 127.0.0.1
mx.far.test. 60 TXT "v=spf1 ip4:127.0.0.1 -all"
casino.test. 60 TXT "v=spf1 ip4:127.0.0.1 -all"
casino.test. 60 MX 10 mx.far.test.
shop.test. 60 MX 10 mx.far.test.
shop.test. 60 TXT "v=spf1 ip4:127.0.0.1 -all"
1.0.0.127.in-addr.arpa. 60 PTR mx.far.test.
"""
# Nothing like the letters that people write.
JUNK = """\
MIME-Version: 1.0
X-Mailer: Bulk 9.1
Content-Type: text/html; charset=iso-8859-1
Message-ID: <77.1@casino.test>
Subject: Cheap watches
To: undisclosed-recipients:;
Reply-To: <win@casino.test>
From: "WIN NOW!!!" <win@casino.test>

<html><body bgcolor=red><font size=7>CHEAP WATCHES</font><a href="http://192.0.2.7/win?u=1">Click to win!!!</a></body>
""".replace("\n", "\r\n")


class FamilyTests(SynchronousTestCase):
    """Ann, Ben and Cleo of home.test; everything for elsewhere leaves through a smarthost."""

    if importlib.util.find_spec("imapclient") is None:
        skip = "not installed: IMAPClient"
    timeout = 240

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="a family "))
        self.addCleanup(shutil.rmtree, folder, True)
        (dns_port,) = free_ports(1)
        (folder / "zone").write_text(ZONE)
        names = [sys.executable, "-m", "tests.kit.zone_server", "--port", str(dns_port), str(folder / "zone")]
        dns = subprocess.Popen(names, cwd=CHECKOUT)
        self.addCleanup(dns.wait)
        self.addCleanup(dns.terminate)
        self.elsewhere = NextHost()
        self.addCleanup(self.elsewhere.close)
        extra = (
            f'[dns]\nservers = ["127.0.0.1:{dns_port}"]\n[checks]\nenabled = true\n'
            f'[relay]\nsmarthost = "127.0.0.1:{self.elsewhere.port}"\ntls = "none"\n'
        )
        self.house = Appliance(folder, hostname="mx.home.test", extra=extra)
        self.addCleanup(self.house.kill)
        self.house.start()

    # ------------------------------------------------------------ what people do

    def log_in(self, name: str, password: str = MAIN, *, phone: bool = False) -> Any:
        """A phone goes to 993; a program on a desk says STARTTLS on 143, ID and ENABLE."""
        import imapclient

        if phone:
            client = imapclient.IMAPClient("127.0.0.1", self.house.ports["imaps"], ssl_context=anything_goes())
            client.login(f"{name}@home.test", password)
        else:
            client = imapclient.IMAPClient("127.0.0.1", self.house.ports["imap"], ssl=False, timeout=30)
            client.starttls(anything_goes())
            client.login(f"{name}@home.test", password)
            client.id_({"name": "desk"})
            client.enable("CONDSTORE")
        self.addCleanup(client.shutdown)
        return client

    def write(self, name: str, to: str, subject: str, *, sender: str = "") -> None:
        """Somebody of the family writes."""
        sender = sender or f"{name}@home.test"
        with smtplib.SMTP("127.0.0.1", self.house.ports["submission"], local_hostname="[127.0.0.1]") as client:
            client.starttls(context=anything_goes())
            client.login(f"{name}@home.test", MAIN)
            client.sendmail(sender, [to], f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello.\r\n")

    def bring(self, to: str, subject: str, sender: str = "sue@far.test", text: str = "") -> str:
        """Another server brings mail; returns the id it was given."""
        text = text or (
            f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '.')}@far.test>\r\n"
            f"Date: {email.utils.formatdate()}\r\n\r\nHello there.\r\n"
        )
        with smtplib.SMTP("127.0.0.1", self.house.ports["smtp"], local_hostname="mx.far.test") as client:
            client.ehlo()
            client.mail(sender)
            code, words = client.rcpt(to)
            if code != 250:
                raise smtplib.SMTPRecipientsRefused({to: (code, words)})
            code, words = client.data(text)
            self.assertEqual(code, 250, words)
            return words.decode().split()[-1]

    def found(self, client: Any, mailbox: str, subject: str) -> int:
        """The UID of the message with this subject, as soon as it has come."""
        client.select_folder(mailbox, readonly=mailbox.startswith("Shared."))  # imaplib wants more than read there
        uids: list[int] = []

        def look() -> bool:
            client.noop()
            uids[:] = client.search(["SUBJECT", subject])
            return bool(uids)

        try:
            wait_until(look, what=f"{subject!r} in {mailbox}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.house.log()[-5000:]}") from None
        return uids[-1]

    def left(self, recipient: str, words: bytes) -> Any:
        """What the smarthost was given for ``recipient``."""
        fits: list[Any] = []

        def look() -> bool:
            fits[:] = [one for one in self.elsewhere.taken if recipient in one.recipients and words in one.text]
            return bool(fits)

        wait_until(look, what=f"{words!r} to leave for {recipient}")
        return fits[0]

    # ------------------------------------------------------------ the week

    def test_a_week(self) -> None:
        """Monday to Sunday, with a restart and a power cut; afterwards nothing lies about and nothing was broken."""
        self.people_come()
        self.mail_comes()
        self.addresses_lead_on()
        self.a_list_is_made()
        self.house.kill()
        self.house.start()
        self.things_are_taken_back()
        self.assertEqual(self.house.stop(), 0)
        self.house.start()
        self.passwords_change()
        self.everything_is_in_order()

    def people_come(self) -> None:
        """Three accounts; the first owns the domain; two devices of Ann have passwords of their own."""
        run = self.house.cli
        run("domain", "add", "home.test")
        for name in ("ann", "ben", "cleo"):
            run("account", "add", f"{name}@home.test", stdin=MAIN + "\n")
        self.devices = {}
        for device in ("Ann's desk", "Ann's phone"):
            said = run("apppassword", "new", "ann@home.test", device)
            self.devices[device] = re.findall(r"(?:[0-9A-Za-z]{4}-){5}[0-9A-Za-z]{4}", said)[0]
        self.desk = self.log_in("ann", self.devices["Ann's desk"])
        self.phone = self.log_in("ann", self.devices["Ann's phone"], phone=True)

    def mail_comes(self) -> None:
        """Both devices hear of it; junk lies in Junk and is moved out and in; a stranger's relaying is refused."""
        for client in (self.desk, self.phone):
            client.select_folder("INBOX")
            client.idle()
        first = self.bring("ann@home.test", "Picnic")
        for client in (self.desk, self.phone):
            wait_until(lambda client=client: any(b"EXISTS" in line for line in client.idle_check(10)), what="IDLE")
            client.idle_done()
        self.assertIn("delivery.kept", self.house.cli("trace", first))
        self.bring("ann@home.test", "Cheap watches", "win@casino.test", JUNK)
        self.found(self.phone, "Junk", "Cheap watches")  # before anybody has taught the filter
        self.desk.move([self.found(self.desk, "Junk", "Cheap watches")], "INBOX")
        self.desk.move([self.found(self.desk, "INBOX", "Cheap watches")], "Junk")
        self.found(self.phone, "Junk", "Cheap watches")
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.bring("you@elsewhere.test", "Relay me")
        self.assertIn("smtp.recipient_refused", self.house.cli("trace", "you@elsewhere.test"))

    def addresses_lead_on(self) -> None:
        """An alias for two, a forward with a return path of ours, a throw-away address, a shared folder."""
        run = self.house.cli
        run("alias", "add", "parents@home.test", "ann@home.test", "ben@home.test")
        self.bring("parents@home.test", "School")
        ben = self.log_in("ben")
        self.found(self.desk, "INBOX", "School")
        self.found(ben, "INBOX", "School")
        run("alias", "add", "cleo-away@home.test", "cleo@work.test")
        forwarded = self.bring("cleo-away@home.test", "Onward")
        self.assertRegex(self.left("cleo@work.test", b"Onward").return_path, r"^SRS0=.*=far\.test=sue@home\.test$")
        self.assertIn("SRS0=", run("trace", forwarded))

        self.desk.create_folder("Addresses.shop")
        self.desk.select_folder("Addresses.shop")
        address = self.desk.fetch([1], ["ENVELOPE"])[1][b"ENVELOPE"].subject.decode()
        self.bring(address, "Your order", "orders@shop.test")
        leak = self.bring(address, "Win a car")
        self.assertIn(b"$Leak", self.desk.get_flags([self.found(self.desk, "INBOX", "Win a car")]).popitem()[1])
        self.assertIn("shop.test", run("trace", leak))

        self.desk.create_folder("Bills")
        self.desk.append("Bills", b"From: ann@home.test\r\nSubject: Water\r\n\r\n12.50\r\n")
        self.desk.setacl("Bills", "ben@home.test", "lrsi")
        self.found(ben, "Other Users.ann.Bills", "Water")
        ben.add_flags(ben.search(), [b"\\Seen"])
        self.assertEqual(self.desk.folder_status("Bills", ["UNSEEN"]), {b"UNSEEN": 1})

    def a_list_is_made(self) -> None:
        """Cleo joins by mail; a post reaches her, a member elsewhere, and the archive."""
        run = self.house.cli
        run("lists", "add", "family@home.test", "--title", "Our family")
        run("lists", "settings", "family@home.test", "--archive", "yes")
        run("lists", "subscribe", "family@home.test", "ann@home.test", "gran@work.test")
        cleo = self.log_in("cleo", phone=True)
        self.write("cleo", "family-subscribe@home.test", "let me in")
        question = self.found(cleo, "INBOX", "Do you want to join")
        confirm = cleo.fetch([question], ["ENVELOPE"])[question][b"ENVELOPE"].reply_to[0]
        self.write("cleo", f"{confirm.mailbox.decode()}@{confirm.host.decode()}", "Re: yes")
        self.found(cleo, "INBOX", "Welcome")
        self.write("ann", "family@home.test", "Dinner")
        self.found(cleo, "INBOX", "Dinner")
        self.assertTrue(self.left("gran@work.test", b"Dinner").return_path.startswith("family-bounces+"))
        self.found(cleo, "Shared.Lists.family", "Dinner")
        self.assertIn("lists.posted", run("trace", "family@home.test"))

    def things_are_taken_back(self) -> None:
        """Ann is away, Ben regrets a letter and finds one that he had deleted; all after a power cut."""
        run = self.house.cli
        run("vacation", "set", "ann@home.test", "--text", "Back on Monday.")
        answered = self.bring("ann@home.test", "Are you there")
        self.assertEqual(self.left("sue@far.test", b"Back on Monday.").return_path, "")
        self.assertIn("delivery.vacation", run("trace", answered))
        run("vacation", "off", "ann@home.test")

        run("account", "undo", "ben@home.test", "60")
        self.write("ben", "boss@work.test", "I quit")
        ben = self.log_in("ben")
        regretted = self.found(ben, "Outbox", "I quit")
        trace = ben.fetch([regretted], ["BODY.PEEK[HEADER]"])[regretted][b"BODY[HEADER]"]
        ben.delete_messages([regretted])
        ben.expunge()
        self.assertEqual(ben.search(), [])
        (id_,) = re.findall(rb"\sid ([0-9a-z]+)", trace)[:1]
        self.assertIn("queue.cancelled", run("trace", id_.decode()))

        self.found(ben, "Other Users.ann.Bills", "Water")
        self.assertEqual(ben.search("UNSEEN"), [])
        ben.delete_messages([self.found(ben, "INBOX", "School")])
        ben.expunge()
        self.assertEqual(ben.search(["SUBJECT", "School"]), [])
        self.assertIn("1 message(s) are back", run("account", "undelete", "ben@home.test"))
        self.found(ben, "INBOX", "School")

    def passwords_change(self) -> None:
        """A changed password and a lost phone end their sessions, and only theirs."""
        ben = self.log_in("ben")
        desk = self.log_in("ann", self.devices["Ann's desk"])
        phone = self.log_in("ann", self.devices["Ann's phone"], phone=True)
        for client in (ben, phone):
            client.select_folder("INBOX")
            client.idle()
        self.house.cli("account", "password", "ben@home.test", stdin="another good one\n")
        self.house.cli("apppassword", "revoke", "ann@home.test", "Ann's phone")
        for client in (ben, phone):
            self.assertTrue(any(b"BYE" in line for line in client.idle_check(10)))
        desk.noop()
        self.log_in("ben", "another good one")
        self.house.cli("account", "remove", "cleo@home.test")
        self.house.cli("account", "undelete", "cleo@home.test")
        self.log_in("cleo")

    def everything_is_in_order(self) -> None:
        """Nothing waits, nothing is left over, nothing was broken, and status has nothing to say."""
        run, state = self.house.cli, self.house.state
        self.assertEqual(json.loads(run("queue", "list", "--json")), [])
        said = run("status")
        self.assertNotIn("→", said)
        run("config", "check")
        self.assertEqual(self.house.stop(), 0)
        left = [
            path for name in ("spool", "queue/content", "drop") for path in (state / name).rglob("*") if path.is_file()
        ]
        left += [path for path in state.rglob("Maildir/**/tmp/*") if path.is_file()]
        self.assertEqual(left, [])
        self.assertNotIn("journal.broken", self.house.log())
        self.assertEqual(self.house.tracebacks(), [])
