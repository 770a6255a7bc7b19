"""Rule sets for nftables; where nft(8) is installed and may look, it finds them right."""

from __future__ import annotations

import re
import shutil
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.firewall import WHY, nft_table, open_ports, rule_set
from mailbox_appliance.config.model import Config
from mailbox_appliance.config.read import parse

HOST = 'hostname = "mail.example.org"\n'


def config(text: str) -> Config:
    found, complaints = parse(HOST + text)
    assert found is not None, complaints
    return found


class FirewallTests(SynchronousTestCase):
    """`firewall`"""

    def ports(self, text: str) -> dict[int, tuple[str, ...]]:
        return {port: networks for port, _, networks in open_ports(config(text))}

    def test_defaults(self) -> None:
        """Everything an unchanged config listens on."""
        self.assertEqual(sorted(self.ports("")), [25, 80, 143, 465, 587, 993])

    def test_roles(self) -> None:
        """Each role opens what it listens on, an edge the link to its store, too; and a reason for every protocol."""
        for role in ("all", "edge", "store"):
            found = config(f'role = "{role}"\n')
            self.assertLessEqual(set(found.listen.endpoints()), set(WHY), role)
            ports = {port: why for port, why, _ in open_ports(found)}
            self.assertEqual("the paired store" in ports.values(), role == "edge")
            self.assertIn(25, ports)

    def test_what_is_listened_on(self) -> None:
        """Off is closed, loopback is nobody else's business, submission_from is kept."""
        text = (
            '[listen]\nsmtp = ["tcp:2525"]\nimap = []\nimaps = ["tcp:993:interface=127.0.0.1"]\n'
            'submission_from = ["192.0.2.0/24", "2001:db8::/32"]\n'
        )
        only = ("192.0.2.0/24", "2001:db8::/32")
        self.assertEqual(self.ports(text), {2525: (), 80: (), 465: only, 587: only})
        rules = "\n".join(rule_set(open_ports(config(text))))
        self.assertIn("ip6 saddr 2001:db8::/32 tcp dport 587 accept", rules)
        self.assertIn("tcp dport 22 accept", rules)
        self.assertNotIn("993", rules)

    def test_banned(self) -> None:
        """Both families, networks too, with the time that is left."""
        table = "\n".join(nft_table([("192.0.2.1", 59.6), ("2001:db8::/64", 3600.0), ("198.51.99.0/24", 0.2)]))
        self.assertIn("elements = { 192.0.2.1 timeout 60s }", table)
        self.assertIn("elements = { 198.51.99.0/24 timeout 1s }", table)
        self.assertIn("elements = { 2001:db8::/64 timeout 3600s }", table)
        self.assertNotIn("elements", "\n".join(nft_table([])))
        table = "\n".join(nft_table([("192.0.2.0/24", 60.0)], ["192.0.2.7", "192.0.2.6", "10.0.0.0/8"], [25, 993]))
        self.assertIn("elements = { 10.0.0.0/8, 192.0.2.6/31 }", table)
        self.assertIn("tcp dport { 25, 993 } ip saddr @networks4 drop", table)

    def test_only_addresses(self) -> None:
        """Whatever the memory holds, nothing but an address gets into the rules."""
        for text in ("192.0.2.1 } ; flush ruleset", "ann@example.org", "", "0.0.0.0/0 timeout 1s }"):
            self.assertRaises(ValueError, nft_table, [(text, 60.0)])
            self.assertRaises(ValueError, nft_table, [], [text])

    def test_nft_takes_them(self) -> None:
        """Checked, not loaded."""
        if shutil.which("nft") is None:
            self.skipTest("not installed: nft")
        for text in (
            "\n".join(nft_table([("192.0.2.1", 60.0), ("2001:db8::/64", 3600.0)])),
            "\n".join(nft_table([])),
            # A network, an address within it, neighbours of both kinds, and a device that is let in.
            "\n".join(
                nft_table(
                    [(one, 60.0) for one in ("192.0.2.0/24", "192.0.2.1", "192.0.3.0/24", "2001:db8:1::/48")]
                    + [(f"2001:db8:1:{n}::/64", 60.0) for n in range(3)],
                    ["192.0.2.7", "192.0.2.0/28", "2001:db8:1:2::/64"],
                    [25, 587],
                )
            ),
            "\n".join(rule_set(open_ports(config('[listen]\nsubmission_from = ["192.0.2.0/24", "2001:db8::/32"]\n')))),
        ):
            done = subprocess.run(
                ["nft", "-c", "-f", "-"], input=text, capture_output=True, text=True, check=False, timeout=30
            )
            if re.search("Operation not permitted|Protocol not supported|cache initialization failed", done.stderr):
                self.skipTest("nft may not ask the kernel here")
            self.assertEqual((done.returncode, done.stderr), (0, ""), text)
