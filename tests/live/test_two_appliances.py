"""Two appliances and a small DNS: one delivers to the other by MX with STARTTLS while the other is killed and killed again."""

from __future__ import annotations

import hashlib
import random
import re
import smtplib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.live.appliance import CHECKOUT, PROTOCOLS, Appliance, anything_goes, free_ports, wait_until

MESSAGES = 150
KILLS = 5


class TwoAppliancesTests(TestCase):
    """home.test submits, there.test receives."""

    timeout = 300

    def test_mx_delivery_survives_kills(self) -> None:
        """Nothing that the sender was told is accepted is lost or damaged, though the receiver dies five times."""
        folder = Path(tempfile.mkdtemp(prefix="two-"))
        (dns_port,) = free_ports(1)
        zone = folder / "zone"
        zone.write_text(
            "there.test. 60 MX 10 mx.there.test.\nmx.there.test. 60 A 127.0.0.2\n"
            "home.test. 60 MX 10 mx.home.test.\nmx.home.test. 60 A 127.0.0.1\n"
        )
        dns = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.zone_server", "--port", str(dns_port), str(zone)], cwd=CHECKOUT
        )
        self.addCleanup(dns.wait)
        self.addCleanup(dns.terminate)
        here_ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True))
        there_ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True))
        there = Appliance(folder / "there", hostname="mx.there.test", address="127.0.0.2", listen=there_ports)
        here = Appliance(
            folder / "here", hostname="mx.home.test", listen=here_ports,
            extra=f'[dns]\nservers = ["127.0.0.1:{dns_port}"]\n'
            f"[relay]\ndirect = true\nmx_port = {there_ports['smtp']}\nallow_loopback = true\nfirst_retry = 1\n",
        )  # fmt: skip
        with there, here:
            there.people("there.test", "ted")
            here.people("home.test", "ann")
            bodies: dict[str, str] = {}
            rng = random.Random(7)
            client = smtplib.SMTP("127.0.0.1", here_ports["submission"], local_hostname="[127.0.0.1]")
            client.starttls(context=anything_goes())
            client.login("ann@home.test", "correct horse battery")
            for number in range(MESSAGES):
                body = "".join(f"{rng.random()}\r\n.dot {number}\r\n" for _ in range(rng.randrange(1, 200)))
                bodies[str(number)] = hashlib.sha256(body.encode()).hexdigest()
                client.sendmail(
                    "ann@home.test", ["ted@there.test"],
                    f"From: ann@home.test\r\nTo: ted@there.test\r\nX-Number: {number}\r\n\r\n{body}".encode(),
                )  # fmt: skip
                if number % (MESSAGES // KILLS) == MESSAGES // KILLS // 2:
                    there.kill()
                    time.sleep(rng.random() / 4)
                    there.start()
            client.quit()
            folder_new = there.maildir("ted@there.test")

            def arrived() -> list[bytes]:
                return [path.read_bytes() for part in ("new", "cur") for path in (folder_new / part).glob("*")]

            def numbers() -> Counter[str]:
                return Counter(re.findall(r"(?m)^X-Number: (\d+)$", b"\n".join(arrived()).decode()))

            wait_until(
                lambda: len(numbers()) == MESSAGES or here.cli("queue", "retry", "--all") is None, 90, "all mail"
            )
            for octets in arrived():
                text = octets.decode()
                if "\nSubject: Welcome to your new mailbox\n" in text:
                    continue
                number = re.search(r"(?m)^X-Number: (\d+)$", text)[1]  # type: ignore[index]
                body = text.partition("\n\n")[2].replace("\n", "\r\n")
                self.assertEqual(hashlib.sha256(body.encode()).hexdigest(), bodies[number])
                self.assertRegex(text, r"Received: from mx\.home\.test .*(\n\s.*)*ESMTPS")
            doubles = sum(numbers().values()) - MESSAGES
            print(f"{MESSAGES} messages, {KILLS} kills, {doubles} doubles")
            self.assertLessEqual(doubles, KILLS * 20)
            self.assertEqual(here.cli("queue", "list", "--json").strip(), "[]")
            self.assertEqual(here.tracebacks() + there.tracebacks(), [])
