"""Robots at one account of a real appliance, each from a place of its own: they get nowhere, and the family gets in."""

from __future__ import annotations

import base64
import json
import re
import smtplib

from twisted.trial.unittest import SynchronousTestCase

from tests.kit.peer import trusting
from tests.live.appliance import Appliance

ACCOUNT, PASSWORD = "ann@example.test", "correct horse battery"


class GuessingTests(SynchronousTestCase):
    """All of 127.0.0.0/8 is this machine, so everybody here has an address of his own."""

    def test_slow_robots(self) -> None:
        """Fifty guesses an hour, then 454 for strangers; a known place, an app password, and the owner's word let in."""
        with Appliance() as appliance:
            appliance.people("example.test", "ann", password=PASSWORD)
            shown = appliance.cli("apppassword", "new", ACCOUNT, "phone")
            found = re.search(r"[0-9a-z]{4}(-[0-9a-z]{4}){5}", shown)
            assert found is not None
            port = appliance.ports["submissions"]

            def says(place: str, password: str) -> int:
                plain = base64.b64encode(f"\0{ACCOUNT}\0{password}".encode()).decode()
                with smtplib.SMTP_SSL("127.0.0.1", port, context=trusting(), source_address=(place, 0)) as client:
                    client.ehlo()
                    return client.docmd("AUTH", f"PLAIN {plain}")[0]

            self.assertEqual(says("127.3.0.1", PASSWORD), 235)
            replies = [says(f"127.{n + 10}.7.7", f"guess {n}") for n in range(60)]
            self.assertEqual(replies, [535] * 50 + [454] * 10)
            self.assertEqual(says("127.200.0.1", PASSWORD), 454)
            self.assertEqual(says("127.3.0.1", PASSWORD), 235)
            self.assertEqual(says("127.3.9.9", PASSWORD), 235)  # the same provider
            self.assertEqual(says("127.201.0.1", found[0]), 235)
            rows = json.loads(appliance.cli("guard", "list", "--json"))
            self.assertEqual([row["account"] for row in rows if row["address"] == "strangers"], [ACCOUNT])
            log = appliance.cli("guard", "log")
            self.assertRegex(log, rf"^{ACCOUNT}: 50 wrong passwords from 50 addresses since ")
            self.assertEqual(log.count("1 wrong password at submissions"), 50)
            appliance.cli("guard", "unban", ACCOUNT)
            self.assertEqual(says("127.200.0.1", PASSWORD), 235)
            self.assertEqual(appliance.tracebacks(), [])
