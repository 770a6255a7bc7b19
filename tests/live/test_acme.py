"""A certificate from a real authority (pebble) over http-01: first start, renewal, rotation, a name that fails."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from mailbox_appliance.acme.client import ChildAuthority
from mailbox_appliance.acme.keeper import CertificateKeeper, CertificateSettings
from mailbox_appliance.acme.orders import AcmeSettings, Orders
from mailbox_appliance.acme.selfmade import SelfMade
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.journal.events.acme import CertificateInUse, NameLeftOut
from mailbox_appliance.ports.certificates import CertificateTrouble
from mailbox_appliance.web.tokens import token_site
from mailbox_appliance.workers import ThreadedWorkers
from tests.kit.journal import RememberedJournal

reactor: Any = global_reactor


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}")


class PebbleTests(TestCase):
    """Needs the programs pebble and pebble-challtestsrv (Debian: pebble)."""

    timeout = 60

    def setUp(self) -> None:
        pebble, names = shutil.which("pebble"), shutil.which("pebble-challtestsrv")
        if pebble is None or names is None:
            raise SkipTest("pebble and pebble-challtestsrv are not installed")
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        self.authority = SelfMade(os.path.join(self.folder, "pebble-tls"))
        self.authority.pair(("localhost", "127.0.0.1"), time.time())
        self.http, self.directory, self.management, dns, dns_management = (free_port() for _ in range(5))
        config = os.path.join(self.folder, "pebble.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump(
                {
                    "pebble": {
                        "listenAddress": f"127.0.0.1:{self.directory}",
                        "managementListenAddress": f"127.0.0.1:{self.management}",
                        "certificate": os.path.join(self.authority.folder, "certificate.pem"),
                        "privateKey": os.path.join(self.authority.folder, "certificate.key"),
                        "httpPort": self.http,
                        "tlsPort": free_port(),
                        "domainBlocklist": ["blocked.example"],
                    }
                },
                file,
            )
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "10"}
        self.spawn(
            [
                names,
                "-defaultIPv4",
                "127.0.0.1",
                "-defaultIPv6",
                "",
                "-dns01",
                f"127.0.0.1:{dns}",
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-management",
                f"127.0.0.1:{dns_management}",
            ],
            environment,
        )
        self.spawn([pebble, "-config", config, "-dnsserver", f"127.0.0.1:{dns}", "-strict"], environment)
        for port in (self.directory, dns_management):
            wait_for(port)
        self.journal = RememberedJournal()
        self.tokens = ChallengeTokens()
        self.workers = ThreadedWorkers(reactor)
        self.addCleanup(self.workers.stop)
        port = reactor.listenTCP(self.http, token_site(self.tokens.answer, reactor), interface="127.0.0.1")
        self.addCleanup(port.stopListening)

    def spawn(self, words: list[str], environment: dict[str, str]) -> None:
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end() -> None:
            process.kill()
            process.wait()

        self.addCleanup(end)

    def keeper(self, names: tuple[str, ...], **settings: Any) -> CertificateKeeper:
        state = os.path.join(self.folder, "certificates")
        acme = AcmeSettings(
            directory=f"https://localhost:{self.directory}/dir",
            email="owner@mx.example",
            trust_anchor=self.authority.ca_file,
            names_stated=True,
            **settings,
        )
        orders = Orders(
            acme,
            names,
            state,
            authority=ChildAuthority(reactor, reactor),
            tokens=self.tokens,
            clock=reactor,
            workers=self.workers,
            journal=self.journal,
        )
        keeper = CertificateKeeper(
            CertificateSettings(folder=state, names=names, source="acme"),
            clock=reactor,
            workers=self.workers,
            journal=self.journal,
            orders=orders,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(keeper.stop()))
        return keeper

    async def test_first_certificate_renewal_and_rotation(self) -> None:
        """At first start a self-made one serves until ACME gives one; renewal keeps the key, rotation does not."""
        keeper = self.keeper(("mx.example", "mail.example"))
        await keeper.start()
        self.assertEqual(keeper.states()[0].source, "self-made")
        keeper.watch()
        while keeper.states()[0].source != "acme":
            self.assertEqual(self.journal.failures, [])
            turn: Deferred[None] = Deferred()
            reactor.callLater(0.1, turn.callback, None)
            await turn
        state = keeper.states()[0]
        self.assertEqual(set(state.names), {"mx.example", "mail.example"})
        self.assertEqual(state.trouble, "")
        key = keeper.tlsa()
        self.assertIn("a new certificate for", await keeper.renew())
        self.assertEqual(keeper.tlsa(), key)
        await keeper.rotate(now=True)
        self.assertNotEqual(keeper.tlsa(), key)
        self.assertEqual([event.source for event in self.journal.of(CertificateInUse)], ["self-made", *["acme"] * 3])
        # A restart finds it on disk, with the same key.
        again = self.keeper(("mx.example", "mail.example"))
        await again.start()
        self.assertEqual(again.tlsa(), keeper.tlsa())
        modes = {
            name: os.stat(os.path.join(self.folder, "certificates", "acme", name)).st_mode & 0o777
            for name in ("current.pem", "certificate.key", "account.key", "account.json")
        }
        self.assertEqual(set(modes.values()), {0o600})

    async def test_a_refused_name_is_left_out(self) -> None:
        """The authority refuses one name: the others get their certificate, and status shows why one is missing."""
        keeper = self.keeper(("mx.example", "blocked.example"))
        await keeper.start()
        await keeper.renew()
        self.assertEqual(keeper.states()[0].names, ("mx.example",))
        self.assertIn("blocked.example is left out", keeper.states()[0].trouble)
        self.assertEqual([event.host for event in self.journal.of(NameLeftOut)], ["blocked.example"])

    async def test_webroot(self) -> None:
        """With a webroot the tokens lie in its folder while the order runs, and are gone afterwards."""
        webroot = os.path.join(self.folder, "www")
        os.mkdir(webroot)
        keeper = self.keeper(("mx.example",), webroot=webroot)
        await keeper.start()
        await keeper.renew()
        self.assertEqual(os.listdir(os.path.join(webroot, ".well-known", "acme-challenge")), [])

    async def test_the_old_one_stays_on_failure(self) -> None:
        """An authority that cannot be verified: the reason is told, what was in use stays."""
        keeper = self.keeper(("mx.example",))
        await keeper.start()
        os.unlink(self.authority.ca_file)
        before = keeper.states()[0].names
        with self.assertRaises(CertificateTrouble):
            await keeper.renew()
        self.assertEqual(keeper.states()[0].names, before)
        self.assertIn("no certificate", keeper.states()[0].trouble)
