"""Edge and store over a line that fails: nothing lost, nothing twice. Needs root for network namespaces."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.appliance import wait_until
from tests.live.authority import Authority, absent
from tests.live.two_halves import (
    EDGE_ADDRESS,
    EDGE_ADDRESS_6,
    PASSWORD,
    PORTS,
    STORE_ADDRESS_6,
    STORE_ADDRESSES,
    Halves,
    forbidden,
)

# A phone outside: reads its mail through the edge, and sends.
PHONE = r"""
import imaplib, smtplib, ssl, sys
host, imaps, submissions, password = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
box = imaplib.IMAP4_SSL(host, imaps, ssl_context=context)
box.login("ann@example.test", password)
print("inbox", box.select()[1][0].decode())
print("certificate", ssl.DER_cert_to_PEM_cert(box.sock.getpeercert(True))[:27])
box.logout()
client = smtplib.SMTP_SSL(host, submissions, context=context)
client.login("ann@example.test", password)
for number in sys.argv[5].split(","):
    text = f"From: ann@example.test\r\nTo: z@far.example\r\nSubject: {number}\r\n\r\nhello\r\n"
    client.sendmail("ann@example.test", ["z@far.example"], text)
client.quit()
print("sent")
"""

ASK = r"""
import smtplib, sys
client = smtplib.SMTP(sys.argv[1], int(sys.argv[2]), timeout=20)
client.ehlo("far.example"); client.mail("x@far.example")
for one in sys.argv[3:]:
    print(one, client.rcpt(one)[0])
"""


# Whose certificate does a phone outside see?
SHOWN = r"""
import socket, ssl, sys
from cryptography import x509
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as plain:
    with context.wrap_socket(plain, server_hostname=sys.argv[3]) as secure:
        print(x509.load_der_x509_certificate(secure.getpeercert(True)).issuer.rfc4514_string())
"""

TELL = r"""
import smtplib, sys
client = smtplib.SMTP(sys.argv[1], int(sys.argv[2]), timeout=20)
client.ehlo("far.example")
try:
    client.sendmail(sys.argv[3], sys.argv[4:], f"From: {sys.argv[3]}\r\nSubject: x\r\n\r\nhello\r\n")
    print("taken")
except smtplib.SMTPResponseException as error:
    print(error.smtp_code, error.smtp_error)
except smtplib.SMTPRecipientsRefused as error:
    print(error.recipients)
"""


class EdgeStoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        if reason := forbidden():
            self.skipTest(reason)
        self.halves = Halves()
        self.addCleanup(self.halves.close)

    def numbers(self, count: int, first: int = 0) -> list[str]:
        return sorted(f"m{number}" for number in range(first, first + count))

    def test_all_well(self) -> None:
        """Mail in and out, a phone through the edge, unknown people refused at the edge, new people known at once."""
        halves = self.halves.start()
        halves.send("ann@example.test", 0, 5)
        halves.wait_for(5)
        self.assertEqual(halves.arrived("ann@example.test"), self.numbers(5))
        said = halves.run(0, PHONE, EDGE_ADDRESS, str(PORTS["imaps"]), str(PORTS["submissions"]), PASSWORD, "m1,m2")
        self.assertIn("inbox 6", said)  # with the welcome
        self.assertIn("sent", said)
        wait_until(lambda: halves.sunk() == ["m1", "m2"], 20, "mail to leave by the edge")
        log = halves.store.log()
        self.assertRegex(log, rf"imap\.login account=ann@example\.test peer={re.escape(EDGE_ADDRESS)}")
        asked = halves.run(0, ASK, EDGE_ADDRESS, str(PORTS["smtp"]), "ann@example.test", "ann+x@example.test",
                           "postmaster@example.test", "nobody@example.test", "x@elsewhere.test")  # fmt: skip
        self.assertEqual(re.findall(r"\b(\d{3})$", asked, re.MULTILINE), ["250", "250", "250", "550", "550"])
        halves.store.cli("account", "add", "cleo@example.test", stdin=PASSWORD + "\n")
        time.sleep(4)
        asked = halves.run(0, ASK, EDGE_ADDRESS, str(PORTS["smtp"]), "cleo@example.test")
        self.assertIn("cleo@example.test 250", asked)
        self.assertIn("where nobody lives", halves.edge.cli("account", "list", status=1))
        for half, other in ((halves.edge, "store home.example.test"), (halves.store, "edge mx.example.test")):
            self.assertRegex(half.cli("status", status=None), rf"link: +ok: {other}, up for")
        for half in (halves.edge, halves.store):
            self.assertEqual(half.tracebacks(), [])
            self.assertEqual(half.stop(), 0)

    def test_store_away(self) -> None:
        """The edge answers while the store is away, refuses whom it knows not to be there, and hands over afterwards."""
        halves = self.halves.start()
        halves.cut()
        halves.store.kill()
        halves.send("ann@example.test", 0, 20)
        asked = halves.run(0, ASK, EDGE_ADDRESS, str(PORTS["smtp"]), "bob@example.test", "nobody@example.test")
        self.assertIn("bob@example.test 250", asked)
        self.assertIn("nobody@example.test 550", asked)
        self.assertEqual(halves.arrived("ann@example.test"), [])
        halves.edge.kill()  # and even that is forgotten by nobody
        halves.edge.start()
        halves.mend()
        halves.store.start()
        halves.wait_for(20)
        self.assertEqual(halves.arrived("ann@example.test"), self.numbers(20))

    def test_another_address(self) -> None:
        """The store's address changes in the middle of it."""
        halves = self.halves.start()
        sender = halves.send("ann@example.test", 0, 100, wait=False)
        time.sleep(1)
        halves.move()
        sender.wait(60)
        halves.wait_for(100, 120)
        self.assertEqual(halves.arrived("ann@example.test"), self.numbers(100))

    def test_random_kills(self) -> None:
        """Either side is killed, the line is cut, the address changes, at random: nothing lost, nothing twice."""
        halves = self.halves.start()
        rng = random.Random(20261122)
        count = 250
        sender = halves.send("ann@example.test", 0, count, wait=False)
        events = []
        for _ in range(10):
            time.sleep(rng.uniform(0.2, 1.5))
            event = rng.choice(["edge", "store", "store", "cut", "move"])
            events.append(event)
            if event == "cut":
                halves.cut()
                time.sleep(rng.uniform(0.1, 2.0))
                halves.mend()
            elif event == "move":
                halves.move()
            else:
                half = halves.edge if event == "edge" else halves.store
                half.kill()
                half.start()
        self.assertEqual(sender.wait(120), 0)
        halves.wait_for(count, 180)
        arrived = halves.arrived("ann@example.test")
        # The sender asks again when the edge was killed before its answer: only that may bring a number twice.
        twice = {one for one in arrived if arrived.count(one) > 1}
        self.assertEqual(sorted(set(arrived)), self.numbers(count), events)
        self.assertLessEqual(len(twice), events.count("edge"), (events, twice))
        if "edge" not in events:
            self.assertEqual(twice, set())
        # Over the link nothing comes twice: no two messages bear one id of the edge's queue.
        ids = halves.edge_ids("ann@example.test")
        self.assertEqual(len(ids), len(arrived), events)
        self.assertEqual(len(ids), len(set(ids)), (events, [one for one in ids if ids.count(one) > 1]))

    def test_straight(self) -> None:
        """A store that can be reached is handed its mail on port 587; when that fails, over the link, and once."""
        halves = self.halves.straight().start()
        wait_until((halves.edge.state / "link" / "door").exists, 30, "the edge to hear of port 587")
        halves.send("ann@example.test", 0, 10)
        halves.wait_for(10)
        self.assertEqual(halves.arrived("ann@example.test"), self.numbers(10))
        log = halves.store.log()
        self.assertRegex(log, rf"smtp\.logged_in device=edge peer={re.escape(EDGE_ADDRESS)} .*tls=TLSv1\.3")
        self.assertRegex(
            halves.edge.log(),
            rf'relay\.delivered .*host=\[{re.escape(STORE_ADDRESSES[0])}\] tls="TLSv1\.3 verified by its key"',
        )
        self.assertEqual(len(re.findall(r"link\.came_over ", log)), 10)
        halves.move()
        halves.send("ann@example.test", 10, 10)
        halves.wait_for(20, 120)
        self.assertEqual(halves.arrived("ann@example.test"), self.numbers(20))
        ids = halves.edge_ids("ann@example.test")
        self.assertEqual(len(ids), len(set(ids)))
        secret = (halves.edge.state / "link" / "door").read_text().split()[0]
        self.assertNotIn(secret, log + halves.edge.log() + halves.store.log())

    def test_ipv6(self) -> None:
        """The link over IPv6, while the store's IPv4 address changes and goes."""
        halves = self.halves.start(f"[{EDGE_ADDRESS_6}]")
        halves.move()
        halves.send("ann@example.test", 0, 10)
        halves.wait_for(10)
        self.assertEqual(halves.arrived("ann@example.test"), self.numbers(10))
        self.assertRegex(halves.edge.log(), rf"link\.up .*peer={re.escape(STORE_ADDRESS_6)}")

    def test_certificate_through_the_edge(self) -> None:
        """The authority asks for the store's name at the edge's port 80; the store answers, and phones see its new one."""
        if reason := absent():
            self.skipTest(reason)
        folder = Path(tempfile.mkdtemp(prefix="authority-"))
        self.addCleanup(shutil.rmtree, folder)
        authority = Authority(folder, PORTS["http"], address=EDGE_ADDRESS)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.halves.close()
        self.halves = halves = Halves(
            extra_store=f'[acme]\ndirectory = "{authority.directory}"\nemail = "ann@example.test"\n'
            f'trust_anchor = "{authority.anchor}"\n',
            names_at=authority.names,
        )
        self.addCleanup(halves.close)
        for words in authority.commands():
            halves.begin(0, words, authority.environment)
        halves.start()
        wait_until(
            lambda: "Pebble" in halves.store.cli("cert", "renew", status=None) + halves.store.log(), 60, "a name"
        )
        self.assertRegex(halves.store.log(), r"acme\.in_use source=acme names=home\.example\.test")
        shown = halves.run(0, SHOWN, EDGE_ADDRESS, str(PORTS["imaps"]), "home.example.test")
        self.assertIn("Pebble", shown)

    def test_what_people_say(self) -> None:
        """A blocked sender is refused at the edge within seconds, and so is mail to a mailbox that has become full."""
        halves = self.halves.start()
        halves.store.cli("sender", "block", "ann@example.test", "x@far.example")
        halves.store.cli("account", "quota", "bob@example.test", "500")
        halves.store.cli("domain", "add", "second.test")
        halves.store.cli("alias", "add", "info@second.test", "bob@example.test")
        time.sleep(4)
        asked = halves.run(0, ASK, EDGE_ADDRESS, str(PORTS["smtp"]), "info@second.test", "nobody@second.test")
        self.assertEqual(re.findall(r"\b(\d{3})$", asked, re.MULTILINE), ["250", "550"], "a domain made just now")
        said = halves.run(0, TELL, EDGE_ADDRESS, str(PORTS["smtp"]), "x@far.example", "ann@example.test")
        self.assertIn("550", said)
        said = halves.run(0, TELL, EDGE_ADDRESS, str(PORTS["smtp"]), "y@far.example", "ann@example.test")
        self.assertIn("taken", said)
        asked = halves.run(0, ASK, EDGE_ADDRESS, str(PORTS["smtp"]), "bob@example.test")
        self.assertIn("bob@example.test 552", asked)
        halves.store.cli("account", "quota", "bob@example.test", "0")
        time.sleep(4)
        asked = halves.run(0, ASK, EDGE_ADDRESS, str(PORTS["smtp"]), "bob@example.test")
        self.assertIn("bob@example.test 250", asked)
