"""The keeper of certificates over years of a clock: first order, renewals, failures, files that change."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.acme.keeper import NAMES_SOON, CertificateKeeper, CertificateSettings
from mailbox_appliance.acme.orders import AcmeSettings, Orders
from mailbox_appliance.acme.selfmade import SelfMade
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.journal.events.acme import (
    CertificateInUse,
    CertificateOrderFailed,
    CertificateTroubled,
    DeployedCommandRan,
    KeyAnnounced,
    KeyRotated,
    NameLeftOut,
)
from mailbox_appliance.ports.certificates import CertificateTrouble
from tests.acme.fakes import TOKEN, FakeAuthority
from tests.acme.handshake import any_client, shake
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

NOW = 1_790_000_000.0
DAY = 86400.0


class KeeperCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = RememberedJournal()
        self.folder = self.mktemp()
        self.authority = FakeAuthority(self.clock)
        self.tokens = ChallengeTokens()
        self.authority.look = self.tokens.answer
        self.ran: list[dict[str, str]] = []

    async def run_command(self, facts: dict[str, str]) -> tuple[str, str]:
        self.ran.append(facts)
        return "done", "last line"

    def keeper(self, *names: str, source: str = "acme", resolver: Any = None, **settings: Any) -> CertificateKeeper:
        names = names or ("mx.example",)
        acme = AcmeSettings(directory="https://ca.example/dir", **settings.pop("acme", {}))
        orders = Orders(
            acme,
            names,
            self.folder,
            authority=self.authority,
            tokens=self.tokens,
            clock=self.clock,
            workers=InlineWorkers(),
            journal=self.journal,
            resolver=resolver,
            own_addresses=lambda: frozenset({"198.51.100.1"}),
            chance=lambda: 0.5,
        )
        return CertificateKeeper(
            CertificateSettings(folder=self.folder, names=names, source=source, **settings),
            clock=self.clock,
            workers=InlineWorkers(),
            journal=self.journal,
            orders=orders if source == "acme" else None,
            run_command=self.run_command,
        )

    def do(self, coroutine: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def started(self, *names: str, **settings: Any) -> CertificateKeeper:
        keeper = self.keeper(*names, **settings)
        self.do(keeper.start())
        keeper.watch()
        return keeper

    def pass_days(self, days: float) -> None:
        for _ in range(int(days * 4)):
            self.clock.advance(DAY / 4)
        self.assertEqual(self.journal.failures, [])


class AcmeTests(KeeperCase):
    def test_first_start(self) -> None:
        """A self-made certificate serves until the first order has come, a moment after the ports are open."""
        keeper = self.keeper()
        self.do(keeper.start())
        self.assertEqual(keeper.states()[0].source, "self-made")
        self.assertEqual(self.authority.orders, [])
        creator = keeper.for_server(strict=False)
        before = shake(creator, any_client(), "mx.example").getpeercert(binary_form=True)
        keeper.watch()
        self.clock.advance(2)
        self.assertEqual(keeper.states()[0].source, "acme")
        self.assertNotEqual(shake(creator, any_client(), "mx.example").getpeercert(binary_form=True), before)
        self.assertEqual([event.source for event in self.journal.of(CertificateInUse)], ["self-made", "acme"])
        self.assertEqual(len(self.ran), 1)
        self.assertTrue(os.path.exists(self.ran[0]["MAILAPPLIANCE_CERTIFICATE"]))
        self.assertEqual(self.journal.of(DeployedCommandRan)[0].result, "done")

    def test_tokens_are_served_while_needed(self) -> None:
        """The token is there when the authority looks, and gone afterwards."""
        self.started()
        self.clock.advance(2)
        self.assertEqual(self.authority.seen, [b"answer"])
        self.assertIsNone(self.tokens.answer(TOKEN))

    def test_webroot(self) -> None:
        """With a webroot the token lies there for another web server."""
        webroot = self.mktemp()
        os.mkdir(webroot)
        path = os.path.join(webroot, ".well-known", "acme-challenge", TOKEN)
        seen: list[str] = []

        def look(token: str) -> bytes:
            with open(path, encoding="ascii") as file:
                seen.append(file.read())
            return b""

        self.authority.look = look
        self.started(acme={"webroot": webroot})
        self.clock.advance(2)
        self.assertEqual(seen, ["answer"])
        self.assertFalse(os.path.exists(path))

    def test_renewal_at_two_thirds(self) -> None:
        """60 of 90 days, the key stays; then again; a restart in between orders nothing."""
        keeper = self.started()
        self.clock.advance(2)
        key = keeper.tlsa()
        self.pass_days(59)
        self.assertEqual(len(self.authority.orders), 1)
        self.do(keeper.stop())
        keeper = self.started()
        self.assertEqual((keeper.states()[0].source, keeper.tlsa()), ("acme", key))
        self.pass_days(3)
        self.assertEqual(len(self.authority.orders), 2)
        self.pass_days(62)
        self.assertEqual(len(self.authority.orders), 3)
        self.assertEqual(keeper.tlsa(), key)

    def test_failures_back_off(self) -> None:
        """Tried again soon, then ever later; the old certificate stays; success ends the complaint."""
        keeper = self.started()
        self.clock.advance(2)
        self.authority.down = "the authority cannot be reached"
        self.pass_days(60.75)
        for _ in range(24 * 60):
            self.clock.advance(60)
        in_use = keeper.states()[0]
        self.assertEqual(in_use.source, "acme")
        self.assertIn("cannot be reached", in_use.trouble)
        waits = [event.next_try_seconds for event in self.journal.of(CertificateOrderFailed)]
        self.assertEqual(waits[:5], [60, 300, 900, 3600, 4 * 3600])
        self.pass_days(5)
        self.assertLess(len(self.authority.orders), 16)
        self.authority.down = ""
        self.pass_days(1.5)
        self.assertEqual(keeper.states()[0].trouble, "")
        self.assertGreater(keeper.states()[0].not_after, in_use.not_after)

    def test_a_failed_first_order(self) -> None:
        """The self-made one goes on serving, and status says why."""
        self.authority.down = "no route"
        keeper = self.started()
        self.clock.advance(2)
        self.assertEqual(keeper.states()[0].source, "self-made")
        self.assertIn("no route", keeper.states()[0].trouble)
        self.authority.down = ""
        self.clock.advance(61)
        self.assertEqual(keeper.states()[0].source, "acme")

    def test_a_refused_name(self) -> None:
        """The others get theirs; the missing one is tried for daily, and only a whole certificate replaces it."""
        self.authority.refuses = {"imap.example": "no such token"}
        keeper = self.started("mx.example", "imap.example")
        self.clock.advance(2)
        self.assertEqual(keeper.states()[0].names, ("mx.example",))
        self.assertIn("imap.example is left out: no such token", keeper.states()[0].trouble)
        self.assertEqual([event.host for event in self.journal.of(NameLeftOut)], ["imap.example"])
        self.assertEqual(len(self.authority.orders), 2)
        self.pass_days(3.1)
        self.assertTrue(3 <= len(self.authority.orders) <= 6)
        self.assertEqual({order.names for order in self.authority.orders[2:]}, {("mx.example", "imap.example")})
        self.authority.refuses = {}
        self.pass_days(1.1)
        self.assertEqual(keeper.states()[0].names, ("mx.example", "imap.example"))
        self.assertEqual(keeper.states()[0].trouble, "")

    def test_a_new_domain(self) -> None:
        """A name that is new among ours is ordered soon, and not when the certificate is due; no news, no order."""
        more: list[str] = []
        keeper = self.keeper("mx.example")
        assert keeper._orders is not None
        keeper._orders._more_names = lambda: tuple(more)
        self.do(keeper.start())
        keeper.watch()
        self.clock.advance(2)
        keeper.look_soon()
        self.clock.advance(NAMES_SOON)
        self.assertEqual(len(self.authority.orders), 1)
        more.append("mta-sts.new.example")
        keeper.look_soon()
        self.clock.advance(NAMES_SOON)
        self.assertEqual(self.authority.orders[-1].names, ("mx.example", "mta-sts.new.example"))
        self.assertEqual(keeper.states()[0].names, ("mx.example", "mta-sts.new.example"))
        self.do(keeper.stop())

    def test_names_that_lead_elsewhere(self) -> None:
        """Names that our resolver shows to be another's are not ordered, unless the owner listed the names."""
        dns = FakeDns("mx.example. A 198.51.100.1\nweb.example. A 203.0.113.9\n")
        keeper = self.started("mx.example", "web.example", "gone.example", resolver=dns)
        self.clock.advance(2)
        self.assertEqual([order.names for order in self.authority.orders], [("mx.example",)])
        self.assertIn("web.example is left out: it points to 203.0.113.9", keeper.states()[0].trouble)
        self.assertIn("gone.example is left out: it has no address", keeper.states()[0].trouble)
        self.pass_days(2)
        self.assertEqual(len(self.authority.orders), 1)
        self.do(keeper.stop())
        self.started("mx.example", "web.example", resolver=dns, acme={"names_stated": True})
        self.clock.advance(2)
        self.assertEqual(self.authority.orders[-1].names, ("mx.example", "web.example"))

    def test_renew_and_rotate(self) -> None:
        """On demand: the same key, then another; the TLSA of both is told."""
        keeper = self.started()
        self.clock.advance(2)
        before = keeper.tlsa()
        self.assertIn("mx.example is in use until", self.do(keeper.renew()))
        self.assertEqual(keeper.tlsa(), before)
        self.assertIn("TLSA is now", self.do(keeper.rotate(now=True)))
        self.assertNotEqual(keeper.tlsa(), before)
        (rotated,) = self.journal.of(KeyRotated)
        self.assertEqual((rotated.old_tlsa, rotated.new_tlsa), (before[0], keeper.tlsa()[0]))
        self.authority.down = "down"
        with self.assertRaises(CertificateTrouble):
            self._raising(keeper.rotate(now=True))
        self.do(keeper.stop())
        self.assertEqual(self.started().tlsa(), keeper.tlsa())

    def test_rotate_announces_first(self) -> None:
        """The next TLSA is published beside the present one, over a restart too; its key is used two days later."""
        keeper = self.started()
        self.clock.advance(2)
        (before,) = keeper.tlsa()
        self.assertRegex(self.do(keeper.rotate()), "publish TLSA 3 1 1 .* beside the present one now")
        self.assertIn("publish TLSA", self.do(keeper.rotate()))  # asked twice, announced once
        (announced,) = self.journal.of(KeyAnnounced)
        self.assertEqual(keeper.tlsa(), (before, announced.new_tlsa))
        self.pass_days(1)
        self.do(keeper.stop())
        keeper = self.started()
        self.clock.advance(2)
        self.assertEqual(keeper.tlsa(), (before, announced.new_tlsa))
        self.pass_days(2)
        self.assertEqual(keeper.tlsa(), (announced.new_tlsa,))
        (rotated,) = self.journal.of(KeyRotated)
        self.assertEqual((rotated.old_tlsa, rotated.new_tlsa), (before, announced.new_tlsa))

    def _raising(self, coroutine: Any) -> Any:
        failure = self.failureResultOf(Deferred.fromCoroutine(coroutine))
        failure.raiseException()

    def test_one_order_at_a_time(self) -> None:
        """An operator's order joins the one that runs."""
        self.authority.silent = Deferred()
        keeper = self.started()
        self.clock.advance(2)
        asked = Deferred.fromCoroutine(keeper.renew())
        self.assertNoResult(asked)
        self.authority.silent.callback(None)
        self.assertIn("is in use", self.successResultOf(asked))
        self.assertEqual(len(self.authority.orders), 1)

    def test_stop(self) -> None:
        """Stopping gives up an order that runs, and nothing is left to be called."""
        self.authority.silent = Deferred()
        keeper = self.started()
        self.clock.advance(2)
        self.do(keeper.stop())
        self.assertTrue(self.authority.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.journal.failures, [])

    def test_damaged_store(self) -> None:
        """A damaged file of ours is replaced by a new order, with a self-made one meanwhile."""
        keeper = self.started()
        self.clock.advance(2)
        self.do(keeper.stop())
        with open(os.path.join(self.folder, "acme", "current.pem"), "wb") as file:
            file.write(b"junk")
        keeper = self.started()
        self.assertEqual(keeper.states()[0].source, "self-made")
        self.clock.advance(2)
        self.assertEqual(keeper.states()[0].source, "acme")

    def test_full_disk(self) -> None:
        """An unwritable folder is a failure like any other: told, tried again."""
        keeper = self.started()
        self.clock.advance(2)
        os.rename(os.path.join(self.folder, "acme"), os.path.join(self.folder, "away"))
        with open(os.path.join(self.folder, "acme"), "wb"):
            pass
        with self.assertRaises(CertificateTrouble):
            self._raising(keeper.renew())
        self.assertEqual(keeper.states()[0].source, "acme")

    def test_a_clock_set_back(self) -> None:
        """A clock far in the future at the last failure does not stop orders for years."""
        self.authority.down = "down"
        keeper = self.started()
        self.clock.advance(10_000 * DAY)
        self.clock.rightNow = NOW
        self.authority.down = ""
        self.do(keeper.renew())
        self.assertEqual(keeper.states()[0].source, "acme")


class FilesTests(KeeperCase):
    def make(self, *names: str, now: float = NOW) -> dict[str, str]:
        folder = os.path.join(self.folder, "owner")
        SelfMade(folder).pair(names or ("mx.example",), now, True)
        return {"certificate": os.path.join(folder, "certificate.pem"), "key": os.path.join(folder, "certificate.key")}

    def test_start(self) -> None:
        """Files are used as they are; a fault stops the start with its reason."""
        files = self.make()
        keeper = self.started(source="files", **files)
        self.assertEqual((keeper.states()[0].source, keeper.states()[0].trouble), ("files", ""))
        other = self.keeper(source="files", certificate=files["certificate"], key="/nowhere")
        failure = self.failureResultOf(Deferred.fromCoroutine(other.start()), CertificateTrouble)
        self.assertIn("/nowhere does not exist", str(failure.value))

    def test_renewed_by_others(self) -> None:
        """Files that change are read within the hour, or at once by reload; the owner's command runs."""
        files = self.make()
        keeper = self.started(source="files", **files)
        before = keeper.states()[0].not_after
        self.make(now=NOW + DAY)
        self.clock.advance(3601)
        self.assertGreater(keeper.states()[0].not_after, before)
        self.assertEqual(self.ran[-1]["MAILAPPLIANCE_KEY"], files["key"])
        self.make(now=NOW + 2 * DAY)
        self.do(keeper.reload(CertificateSettings(folder=self.folder, names=("mx.example",), source="files", **files)))
        self.assertEqual(keeper.states()[0].not_after, before + 2 * DAY)

    def test_broken_later(self) -> None:
        """Files that break are complained about once; what was read stays in use; reload raises."""
        files = self.make()
        keeper = self.started(source="files", **files)
        with open(files["certificate"], "wb") as file:
            file.write(b"junk")
        self.pass_days(1)
        self.assertEqual(len(self.journal.of(CertificateTroubled)), 1)
        self.assertIn("holds no certificate", keeper.states()[0].trouble)
        settings = CertificateSettings(folder=self.folder, names=("mx.example",), source="files", **files)
        self.failureResultOf(Deferred.fromCoroutine(keeper.reload(settings)), CertificateTrouble)
        shake(keeper.for_server(), any_client(), "mx.example")

    def test_ending_soon_ended_and_wrong_name(self) -> None:
        """An end that comes near, an end that has come, a certificate for somebody else: each has its words."""
        keeper = self.started(source="files", **self.make())
        end = keeper.states()[0].not_after
        self.clock.advance(end - NOW - 10 * DAY)
        self.assertIn("ends on", keeper.states()[0].trouble)
        self.clock.advance(11 * DAY)
        self.assertIn("ended on", keeper.states()[0].trouble)
        other = self.started(source="files", **self.make("other.example", now=self.clock.seconds()))
        self.assertIn("is for other.example, not for mx.example", other.states()[0].trouble)

    def test_renew_is_not_ours(self) -> None:
        """cert renew says who renews."""
        keeper = self.started(source="files", **self.make())
        failure = self.failureResultOf(Deferred.fromCoroutine(keeper.renew()), CertificateTrouble)
        self.assertIn("mailappliance reload", str(failure.value))


class SelfMadeTests(KeeperCase):
    def test_years(self) -> None:
        """Renewed in time by itself, with the same authority for people who trust it."""
        keeper = self.started("localhost", "127.0.0.1", source="self-made")
        with open(keeper.ca_file, "rb") as file:
            authority = file.read()
        for _ in range(5):
            self.pass_days(120)
            self.assertGreater(keeper.states()[0].not_after, self.clock.seconds() + 30 * DAY)
        with open(keeper.ca_file, "rb") as file:
            self.assertEqual(file.read(), authority)
        client = any_client()
        client.load_verify_locations(keeper.ca_file)
        self.assertIn("is in use until", self.do(keeper.renew()))
        self.failureResultOf(Deferred.fromCoroutine(keeper.rotate()), CertificateTrouble)
