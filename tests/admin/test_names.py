"""`dns records` and `dns check`, over a zone and a certificate of the test's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mailbox_appliance.admin.names import NamesDesk, form_zone
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
    state: str = "signs"
    made: float = 0.0


class FakeKeys:
    """One key a domain, unless others are put there; ``noted`` is what was said of them."""

    def __init__(self) -> None:
        self.more: tuple[Record, ...] = ()
        self.noted: list[tuple[str, tuple[str, ...]]] = []

    async def records(self, domain: str) -> tuple[Record, ...]:
        return (Record(f"r1._domainkey.{domain}", KEY), *self.more)

    async def rotate(self, domain: str) -> tuple[Record, ...]:
        self.more = self.more or (Record(f"r2._domainkey.{domain}", KEY.replace("MIIB", "MIIC"), "waits"),)
        return await self.records(domain)

    async def saw(self, domain: str, names: Iterable[str]) -> None:
        self.noted.append(("saw", tuple(names)))

    async def clear(self, domain: str, names: Iterable[str]) -> None:
        self.noted.append(("clear", tuple(names)))


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
        self.keys = FakeKeys()
        self.clock_is_kept: bool | None = None
        self.off: float | None = None
        self.asked: list[str] = []
        self.forgotten = 0

    def desk(self, zone: str = "", config: Config = CONFIG, own: tuple[str, ...] = ("192.0.2.90",)) -> NamesDesk:
        def forget() -> None:
            self.forgotten += 1

        directory = FakeDirectory({"home.test": None}, [])
        dns = FakeDns(zone)
        return NamesDesk(
            lambda: config, directory, self.keys, self.keeper, dns, self.clock, lambda: frozenset(own), forget,
            clock_is_kept=lambda: self.clock_is_kept,
            time_of_day=self,
        )  # fmt: skip

    async def ahead(self, host: str) -> float | None:
        """Here the desk asks for the time."""
        self.asked.append(host)
        return self.off

    def published(self, **options: Any) -> str:
        """What `dns records --zone` says."""
        lines = self.do(self.desk(**options), "dns records", domain="home.test", zone=True).lines
        return "\n".join(lines).replace(" IN ", " ") + "\n"

    def test_records(self) -> None:
        """Musts first, each value alone on its line; a long key also in pieces."""
        result = self.do(self.desk(), "dns records", domain="home.test")
        lines = [line.strip() for line in result.lines]
        self.assertLess(
            lines.index("1. MX home.test"), lines.index("in a form: name @, priority 10, value mx.home.test")
        )
        for said in (
            "in a form: name mx, the value as it stands",
            "in a form: name _dmarc, the value as it stands",
            "not in the domain's form: set where you got 192.0.2.90, as its reverse name (reverse DNS)",
            "in a form: name @, service _imaps, protocol _tcp, priority 0, weight 1, port 993, target mx.home.test",
            "in a form: name @, flags 0, tag issue, value letsencrypt.org",
        ):
            self.assertIn(said, lines)
        for value in ("10 mx.home.test.", "192.0.2.90", "v=spf1 mx -all", KEY, "v=DMARC1; p=quarantine"):
            self.assertTrue(any(line.startswith(value) for line in lines), value)
        self.assertEqual(sum(line.startswith('"v=DKIM1') for line in lines), 1)
        heads = [line.split()[0] for line in lines if line.startswith(("MUST", "SHOULD", "MAY"))]
        self.assertEqual(heads, ["MUST", "SHOULD", "MAY"])
        self.assertEqual([one["tier"] for one in result.data][:6], ["must"] * 5 + ["should"])
        self.assertIn('0 issue "letsencrypt.org"', lines)

    def test_below_a_registered_name(self) -> None:
        """The form is that of the registered name, and what it adds is that name."""
        self.assertEqual(
            [form_zone(one) for one in ("example.org", "club.example.org", "a.b.example.co.uk", "example.co.uk")],
            ["example.org", "example.org", "example.co.uk", "example.co.uk"],
        )

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

    def test_what_it_finds(self) -> None:
        """Each of the usual mistakes, one at a time in an otherwise right zone."""
        right = self.published()
        config = dataclasses.replace(CONFIG, checks=Checks(dnsbl=("bl.test",)))
        deep = "".join(f'inc{n}.test. TXT "v=spf1 a:h{n}.test -all"\nh{n}.test. A 198.51.100.9\n' for n in range(11))
        includes = " ".join(f"include:inc{n}.test" for n in range(11))

        def without(mark: str) -> str:
            return "\n".join(line for line in right.splitlines() if mark not in line) + "\n"

        for words, zone in (
            ("p=drop means nothing", right.replace("p=quarantine", "p=drop")),
            ("there are 2 SPF records", right + 'home.test. TXT "v=spf1 a -all"\n'),
            ("more than ten look-ups", right.replace('"v=spf1 mx -all"', f'"v=spf1 {includes} -all"') + deep),
            ("has no name; many refuse", without(" PTR ")),
            ("this machine says mx.home.test in HELO", right.replace("PTR mx.home.test.", "PTR other.test.")),
            ("is listed", right + "90.2.0.192.bl.test. A 127.0.0.2\n"),
            (
                "which is an alias (CNAME)",
                right.replace("MX 10 mx.home.test.", "MX 10 m.home.test.") + "m.home.test. CNAME mx.home.test.\n",
            ),
        ):
            result = self.do(self.desk(zone, config), "dns check", domain="home.test")
            found = [one for one in result.data["records"] if one["state"] == "wrong" or "no name" in one["words"]]
            said = "; ".join(one["words"] for one in found)
            if words == "is listed":
                self.assertEqual([one["type"] for one in found], ["DNSBL"], said)
            else:
                self.assertIn(words, said)
            self.assertEqual(result.code, 1, words)
            self.assertTrue(all(one["remedy"] for one in found), words)

    def test_certificates_and_clocks(self) -> None:
        """Ended, near its end, in the future; and a clock that nobody sets."""
        now = self.clock.seconds()
        for begins, ends, words in (
            (0.0, now - 5, "ended"),
            (0.0, now + 86_400 * 5, "ends in 5 days"),
            (now + 9000, now + 9e9, "clock is probably wrong"),
        ):
            self.keeper.begins, self.keeper.ends = begins, ends
            result = self.do(self.desk(self.published()), "dns check", domain="home.test")
            (one,) = (one for one in result.data["records"] if one["type"] == "certificate")
            self.assertIn(words, one["words"])
            self.assertEqual(result.code, 1)
        self.keeper.begins, self.keeper.ends = 0.0, now + 9e9
        for kept, wrong in ((True, 0), (None, 0), (False, 1)):
            self.clock_is_kept = kept
            result = self.do(self.desk(self.published()), "dns check", domain="home.test")
            self.assertEqual((sum(one["type"] == "clock" for one in result.data["records"]), result.code), (wrong, 0))

    def test_a_wrong_clock(self) -> None:
        """As the certificate authority has the time: a few minutes are nothing, more is to be mended."""
        for off, words in (
            (299.0, ""),
            (-7300.0, "is 2 h behind"),
            (9e7, "ahead, as acme-v02.api.letsencrypt.org"),
        ):
            self.off, self.clock_is_kept = off, True
            result = self.do(self.desk(self.published()), "dns check", domain="home.test")
            said = [one["words"] for one in result.data["records"] if one["type"] == "clock"]
            self.assertEqual((len(said), result.code), (int(bool(words)), int(bool(words))), off)
            self.assertIn(words, "".join(said))
        self.assertEqual(set(self.asked), {"acme-v02.api.letsencrypt.org"})

    def test_rotation(self) -> None:
        """New keys are shown beside the old; what is seen of them is noted; those that may go are told and not shown."""
        before = self.published()
        for _ in range(2):
            result = self.do(self.desk(), "dns rotate", domain="home.test")
            self.assertIn("TXT r2._domainkey.home.test", result.lines)
        self.assertIn("wait already", result.lines[0])
        self.assertIn("r2._domainkey.home.test.", self.published())
        result = self.do(self.desk(before), "dns check", domain="home.test")
        states = {one["name"]: one["state"] for one in result.data["records"] if "_domainkey" in one["name"]}
        self.assertEqual(states, {"r1._domainkey.home.test": "seen", "r2._domainkey.home.test": "not yet"})
        self.assertEqual(self.keys.noted, [("saw", ("r1._domainkey.home.test",)), ("clear", ())])
        self.assertTrue(any("new keys wait" in line for line in result.lines))
        self.keys.more = (Record("r0._domainkey.home.test", KEY, "removable"),)
        self.assertNotIn("\nr0._domainkey", self.published())
        result = self.do(self.desk(before), "dns check", domain="home.test")
        self.assertTrue(any("r0._domainkey.home.test has had its time" in line for line in result.lines))
        self.assertEqual(self.keys.noted[-1], ("clear", ("r0._domainkey.home.test",)))
        still = before + 'r0._domainkey.home.test. TXT "v=DKIM1; p=x"\n'
        self.do(self.desk(still), "dns check", domain="home.test")
        self.assertEqual(self.keys.noted[-1], ("clear", ()))
