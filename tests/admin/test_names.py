"""`dns records` and `dns check`, over a zone and a certificate of the test's own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from mailbox_appliance.admin.names import NamesDesk
from mailbox_appliance.config.local import local_config
from mailbox_appliance.config.model import Acme, Checks, Config, HostPort, Relay
from mailbox_appliance.ports.certificates import CertificateState
from tests.admin.test_desks import DeskCase
from tests.kit.fake_directory import FakeDirectory
from tests.kit.fake_dns import FakeDns

KEY = "v=DKIM1; k=rsa; p=" + "MIIBIjANBgkq" * 30
CONFIG = Config("mx.home.test", acme=Acme(wanted=True))


@dataclass(frozen=True)
class Record:
    name: str
    text: str


class FakeKeys:
    """One key a domain."""

    async def records(self, domain: str) -> tuple[Record, ...]:
        return (Record(f"r1._domainkey.{domain}", KEY),)


class FakeKeeper:
    """One certificate, from ``begins`` to ``ends``."""

    begins, ends = 0.0, 1_799_000_000.0

    def tlsa(self) -> tuple[str, ...]:
        return ("3 1 1 " + "ab" * 32,)

    def states(self) -> tuple[CertificateState, ...]:
        return (CertificateState(("mx.home.test",), "Authority", self.begins, self.ends, "acme"),)


class NamesTests(DeskCase):
    """A desk whose world is a zone file."""

    def setUp(self) -> None:
        super().setUp()
        self.keeper = FakeKeeper()
        self.forgotten = 0

    def desk(self, zone: str = "", config: Config = CONFIG, own: tuple[str, ...] = ("192.0.2.90",)) -> NamesDesk:
        def forget() -> None:
            self.forgotten += 1

        directory = FakeDirectory({"home.test": None}, [])
        dns = FakeDns(zone)
        return NamesDesk(
            lambda: config, directory, FakeKeys(), self.keeper, dns, self.clock, lambda: frozenset(own), forget
        )  # fmt: skip

    def published(self, **options: Any) -> str:
        """What `dns records --zone` says."""
        lines = self.do(self.desk(**options), "dns records", domain="home.test", zone=True).lines
        return "\n".join(lines).replace(" IN ", " ") + "\n"

    def test_records(self) -> None:
        """Musts first, each value alone on its line; a long key also in pieces."""
        result = self.do(self.desk(), "dns records", domain="home.test")
        lines = [line.strip() for line in result.lines]
        self.assertTrue(lines[0].startswith("MUST"))
        for value in ("10 mx.home.test.", "192.0.2.90", "v=spf1 mx -all", KEY, "v=DMARC1; p=quarantine"):
            self.assertTrue(any(line.startswith(value) for line in lines), value)
        self.assertEqual(sum(line.startswith('"v=DKIM1') for line in lines), 1)
        heads = [line.split()[0] for line in lines if line.startswith(("MUST", "SHOULD", "MAY"))]
        self.assertEqual(heads, ["MUST", "SHOULD", "MAY"])
        self.assertEqual([one["tier"] for one in result.data][:6], ["must"] * 5 + ["should"])
        self.assertIn('0 issue "letsencrypt.org"', lines)

    def test_published_is_good(self) -> None:
        """The zone file, published, satisfies the check; its answers are fresh."""
        result = self.do(self.desk(self.published()), "dns check", domain="home.test")
        self.assertEqual({one["state"] for one in result.data["records"]}, {"seen"}, result.lines)
        self.assertEqual((result.code, result.data["good"], self.forgotten), (0, True, 1))

    def test_not_published(self) -> None:
        """Exit code 1, and a remedy below each record."""
        result = self.do(self.desk(), "dns check", domain="home.test")
        self.assertEqual((result.code, result.data["good"]), (1, False))
        self.assertTrue(all(one["remedy"] for one in result.data["records"]))
        self.assertEqual(sum(line.strip().startswith("→") for line in result.lines), len(result.data["records"]))

    def test_only_what_may_be_is_missing(self) -> None:
        """That is good enough."""
        zone = "\n".join(line for line in self.published().splitlines() if not any(k in line for k in ("SRV", "TLSA")))
        self.assertEqual(self.do(self.desk(zone + "\n"), "dns check", domain="home.test").code, 0)

    def test_behind_nat(self) -> None:
        """The address that the name has in the DNS is taken for ours; without one the owner is told."""
        found = self.do(self.desk("mx.home.test. A 192.0.2.7\n", own=()), "dns records", domain="home.test")
        self.assertIn("   192.0.2.7", found.lines)
        found = self.do(self.desk(own=()), "dns records", domain="home.test")
        self.assertTrue(any("does not know its public address" in line for line in found.lines))

    def test_smarthost(self) -> None:
        """SPF includes the provider's record, wherever above the host's name it stands."""
        config = dataclasses.replace(CONFIG, relay=Relay(smarthost=HostPort("smtp.out.isp.test", 587)))
        zone = 'isp.test. TXT "v=spf1 ip4:198.51.100.0/24 -all"\n'
        found = self.do(self.desk(zone, config), "dns records", domain="home.test")
        self.assertIn("   v=spf1 mx include:isp.test -all", found.lines)
        found = self.do(self.desk("", config), "dns records", domain="home.test")
        self.assertTrue(any("ask its provider" in line for line in found.lines))

    def test_listed(self) -> None:
        """Our own address on one of the lists that we ask about others."""
        config = dataclasses.replace(CONFIG, checks=Checks(dnsbl=("bl.test", "wl.test=-1")))
        zone = self.published() + "90.2.0.192.bl.test. A 127.0.0.2\n90.2.0.192.wl.test. A 127.0.0.2\n"
        result = self.do(self.desk(zone, config), "dns check", domain="home.test")
        listed = [one for one in result.data["records"] if one["type"] == "DNSBL"]
        self.assertEqual([(one["name"], one["state"]) for one in listed], [("192.0.2.90", "wrong")])
        self.assertEqual(result.code, 1)

    def test_certificate(self) -> None:
        """One that has ended, and one that begins tomorrow."""
        zone = self.published()
        for begins, ends, words in ((0.0, 1_789_000_000.0, "ended"), (1_790_086_400.0, 1_799_000_000.0, "clock")):
            self.keeper.begins, self.keeper.ends = begins, ends
            result = self.do(self.desk(zone), "dns check", domain="home.test")
            (found,) = [one for one in result.data["records"] if one["type"] == "certificate"]
            self.assertIn(words, found["words"])
            self.assertEqual(result.code, 1)

    def test_silence(self) -> None:
        """A name server that never answers: everything is unknown, after half a minute."""
        desk = self.desk(";! silent test.\n;! silent arpa.\n")
        from twisted.internet.defer import Deferred

        from mailbox_appliance.admin.dispatch import Desk

        running = Deferred.fromCoroutine(Desk([desk], self.journal).run("dns", "check", {"domain": "home.test"}))
        for _ in range(40):
            self.clock.advance(1)
        result = self.successResultOf(running)
        states = {one["state"] for one in result.data["records"]}
        self.assertEqual((states, result.code), ({"unknown"}, 1))

    def test_refused(self) -> None:
        """Only our own domains; not in local mode."""
        self.assertIn("home.test", self.refused(self.desk(), "dns check", domain="other.test"))
        self.assertIn("not one of our domains", self.refused(self.desk(), "dns records", domain="other.test"))
        local = dataclasses.replace(local_config("/nowhere"), hostname="mx.home.test")
        self.assertIn("local mode", self.refused(self.desk(config=local), "dns check", domain="home.test"))
