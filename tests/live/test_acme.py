"""A certificate from a real authority (pebble) over http-01: first start, renewal, rotation, a name that fails."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailbox_appliance.acme.client import ChildAuthority
from mailbox_appliance.acme.keeper import CertificateKeeper, CertificateSettings
from mailbox_appliance.acme.orders import AcmeSettings, Orders
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.journal.events.acme import CertificateInUse, NameLeftOut
from mailbox_appliance.ports.certificates import CertificateTrouble
from mailbox_appliance.web.tokens import token_site
from mailbox_appliance.workers import ThreadedWorkers
from tests.kit.journal import RememberedJournal
from tests.live.appliance import PROTOCOLS, Appliance, anything_goes, free_ports, wait_until
from tests.live.authority import Authority, absent

reactor: Any = global_reactor


class PebbleTests(TestCase):
    """Needs the programs pebble and pebble-challtestsrv (Debian: pebble)."""

    timeout = 60

    def setUp(self) -> None:
        if reason := absent():
            raise SkipTest(reason)
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder)
        (http,) = free_ports(1)
        self.authority = Authority(Path(self.folder), http)
        self.enterContext(self.authority)
        self.journal = RememberedJournal()
        self.tokens = ChallengeTokens()
        self.workers = ThreadedWorkers(reactor)
        self.addCleanup(self.workers.stop)
        port = reactor.listenTCP(http, token_site(self.tokens.answer, reactor), interface="127.0.0.1")
        self.addCleanup(port.stopListening)

    def keeper(self, names: tuple[str, ...], **settings: Any) -> CertificateKeeper:
        state = os.path.join(self.folder, "certificates")
        acme = AcmeSettings(
            directory=self.authority.directory,
            email="owner@mx.example",
            trust_anchor=self.authority.anchor,
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
        os.unlink(self.authority.anchor)
        before = keeper.states()[0].names
        with self.assertRaises(CertificateTrouble):
            await keeper.renew()
        self.assertEqual(keeper.states()[0].names, before)
        self.assertIn("no certificate", keeper.states()[0].trouble)


class WholeServiceTests(SynchronousTestCase):
    """The appliance itself, from its first start on, with nothing but the section [acme]."""

    def test_a_certificate_at_the_first_start(self) -> None:
        """It is ordered over the appliance's own port 80, shown at 993 without a restart, and again after one."""
        if reason := absent():
            raise SkipTest(reason)
        folder = Path(os.path.abspath(self.mktemp()))
        ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True))
        folder.mkdir(parents=True)
        with Authority(folder, ports["http"]) as authority:
            extra = (
                f'[acme]\ndirectory = "{authority.directory}"\nemail = "owner@example.test"\n'
                f'trust_anchor = "{authority.anchor}"\n[dns]\nservers = ["{authority.names}"]\n'
            )
            appliance = Appliance(folder, extra=extra, listen=ports)
            with appliance:
                wait_until(lambda: "source=acme" in appliance.log(), 30, "a certificate of the authority")
                self.assertIn(b"Pebble", self.shown(ports["imaps"]))
                self.assertIn("mx.example.test", appliance.cli("cert", "show"))
            with appliance:
                self.assertIn(b"Pebble", self.shown(ports["imaps"]))
            self.assertEqual(appliance.tracebacks(), [])

    def shown(self, port: int) -> bytes:
        """The certificate (DER) a phone sees."""
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            anything_goes().wrap_socket(plain, server_hostname="mx.example.test") as safe,
        ):
            return safe.getpeercert(binary_form=True) or b""
