"""Our rule sets in a real kernel: loaded by nft into a network namespace of their own, again and again."""

from __future__ import annotations

import os
import subprocess
import uuid

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.admin.firewall import nft_table, rule_set
from tests.live.appliance import missing

_ASK = """
import socket, sys
for host, port in (("127.0.0.1", 2525), ("127.0.0.1", 2222)):
    for source in ("127.0.0.5", "127.0.0.6", "127.0.9.1", "127.0.9.2"):
        server = socket.create_server((host, port))
        server.settimeout(1)
        client = socket.socket()
        client.bind((source, 0))
        client.settimeout(0.3)
        try:
            client.connect((host, port))
            print(source, port, "in")
        except OSError:
            print(source, port, "out")
        client.close()
        server.close()
"""


class NftTests(SynchronousTestCase):
    """Needs root, nft and ip."""

    def setUp(self) -> None:
        absent = missing("nft", "ip")
        if absent or os.geteuid() != 0:
            self.skipTest(absent or "only root makes network namespaces")
        self.space = f"mailappliance-{uuid.uuid4().hex[:8]}"
        if subprocess.run(["ip", "netns", "add", self.space], capture_output=True, check=False).returncode:
            self.skipTest("no network namespace can be made here")
        self.addCleanup(subprocess.run, ["ip", "netns", "delete", self.space], check=False)
        self.within("ip", "link", "set", "lo", "up")

    def within(self, *command: str, text: str = "") -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.space, *command],
            input=text, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""), text)
        return done.stdout

    def test_bans(self) -> None:
        """A network, an address within it and neighbours load, twice; only our ports are shut, and the known get in."""
        banned = [("127.0.0.5", 60.0), ("127.0.9.0/24", 90.0), ("127.0.9.9", 10.0), ("127.0.8.0/24", 5.0)]
        banned += [("2001:db8:1::/48", 60.0), *((f"2001:db8:1:{n:x}::/64", 30.0) for n in range(300))]
        for _ in range(2):
            self.within("nft", "-f", "-", text="\n".join(nft_table(banned, ["127.0.9.2"], [2525])))
        seen = dict(line.rsplit(" ", 1) for line in self.within("python3", "-c", _ASK).splitlines())
        self.assertEqual(
            {key for key, state in seen.items() if state == "out"}, {"127.0.0.5 2525", "127.0.9.1 2525"}, seen
        )
        self.assertIn("expires", self.within("nft", "list", "set", "inet", "mailappliance_guard", "places6"))

    def test_ports(self) -> None:
        """The rule set of `firewall` loads, twice, beside the bans."""
        ports = [(25, "mail", ()), (587, "mail programs", ("192.0.2.0/24", "2001:db8::/32"))]
        for _ in range(2):
            self.within("nft", "-f", "-", text="\n".join(rule_set(ports)))
        self.within("nft", "-f", "-", text="\n".join(nft_table([("192.0.2.1", 60.0)], (), [25])))
        self.assertIn("policy drop", self.within("nft", "list", "ruleset"))
