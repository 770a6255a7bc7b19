"""What the world sees of a domain: each way in which owners get their records wrong, and the remedy that is said."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mailauth.publish import MAY, MUST, Publication, records, zone_file
from mailbox_appliance.mailauth.published import NOT_YET, SEEN, UNKNOWN, WRONG, Finding, Subject, compare
from tests.kit.fake_dns import FakeDns
from tests.mailauth.proof import Book

KEY = "v=DKIM1; k=rsa; p=" + "MIIBIjANBgkq" * 30
WHOLE = Publication(
    "home.test",
    "mx.home.test",
    ("192.0.2.90", "2001:db8::90"),
    dkim=(("r1._domainkey.home.test", KEY),),
    reports_to="postmaster@home.test",
    tlsa=("3 1 1 " + "ab" * 32,),
    caa=("letsencrypt.org",),
)
ZONE = zone_file(records(WHOLE)).replace(" IN ", " ")
PTR = "90.2.0.192.in-addr.arpa"


class PublishedTests(SynchronousTestCase):
    """A zone that is right, changed in one place."""

    def look(self, zone: str, publication: Publication = WHOLE, *, sends: bool = True) -> dict[str, Finding]:
        dns, book = FakeDns(zone), Book()
        book.look_up = lambda question: self.successResultOf(dns.look_up(*question))  # type: ignore[method-assign]
        findings = book.settle(lambda answers: compare(Subject(publication, sends=sends), answers))
        for one in findings:
            self.assertEqual(one.state == SEEN, not one.remedy, one)
            self.assertNotIn("\n", one.remedy)
        return {f"{one.rdtype} {one.name}": one for one in findings}

    def changed(self, name: str, rdtype: str, *values: str) -> str:
        """The zone with other records at one place."""
        kept = [line for line in ZONE.splitlines() if line.split()[0:3:2] != [f"{name}.", rdtype]]
        self.assertLess(len(kept), len(ZONE.splitlines()), (name, rdtype))
        return "\n".join([*kept, *(f"{name}. 3600 {rdtype} {value}" for value in values)]) + "\n"

    def one(self, name: str, rdtype: str, *values: str, more: str = "") -> Finding:
        key = f"{rdtype if rdtype != 'AAAA' else 'A'} {name}"
        return self.look(self.changed(name, rdtype, *values) + more)[key]

    def test_all_seen(self) -> None:
        """What `dns records` prints is what `dns check` wants."""
        found = self.look(ZONE)
        self.assertEqual({one.state for one in found.values()}, {SEEN}, found)
        self.assertEqual([one.tier for one in found.values()][:5], [MUST] * 5)
        self.assertEqual(sum(one.tier == MUST for one in found.values()), 5)

    def test_nothing_there(self) -> None:
        """An empty world: all is missing, nothing is called wrong."""
        self.assertEqual({one.state for one in self.look("").values()}, {NOT_YET})

    def test_nobody_answers(self) -> None:
        """Name servers in trouble are no reason to call a record missing."""
        zone = ";! servfail test.\n;! servfail arpa.\n"
        self.assertEqual({one.state for one in self.look(zone).values()}, {UNKNOWN})

    def test_wrong(self) -> None:
        """The table: place, what stands there, what is said of it, what the remedy names."""
        eleven = " ".join(f"include:s{number}.test" for number in range(11))
        spf_less = "".join(f's{number}.test. TXT "v=spf1 ip4:198.51.100.{number} -all"\n' for number in range(11))
        for name, rdtype, values, more, words, remedy in (
            (
                "home.test",
                "MX",
                ["10 www.test."],
                "www.test. CNAME mx.home.test.\n",
                "alias (CNAME)",
                "10 mx.home.test",
            ),
            ("home.test", "MX", ["10 old.test."], "", "not to this machine", "10 mx.home.test"),
            ("home.test", "MX", ["0 ."], "", "takes no mail", "mx.home.test"),
            ("home.test", "MX", ["20 mx.home.test.", "10 old.test."], "", "before this machine", "lowest"),
            (
                "home.test",
                "TXT",
                ['"v=spf1 mx -all"', '"v=spf1 a -all"'],
                "",
                "2 SPF records",
                "leave only one: v=spf1 mx a -all",
            ),
            (
                "home.test",
                "TXT",
                ['"v=spf1 ip4:198.51.100.1 ~all"'],
                "",
                "192.0.2.90",
                "v=spf1 mx ip4:198.51.100.1 ~all",
            ),
            ("home.test", "TXT", ['"v=spf1 mx +all"'], "", "whole world", "v=spf1 mx -all"),
            ("home.test", "TXT", [f'"v=spf1 mx {eleven} -all"'], spf_less, "more than ten look-ups", "v=spf1 mx -all"),
            ("home.test", "TXT", ['"v=spf1 mx ipv4:1.2.3.4 -all"'], "", "broken", "v=spf1 mx -all"),
            ("_dmarc.home.test", "TXT", ['"v=DMARC1; p=drop"'], "", "p=drop", "p=quarantine"),
            ("_dmarc.home.test", "TXT", ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], "", "2 DMARC", "only one"),
            ("_dmarc.home.test", "TXT", ['"p=reject"'], "", "no DMARC record", "v=DMARC1"),
            ("r1._domainkey.home.test", "TXT", [f'"{KEY[:200]}"'], "", "cut after", "split"),
            ("r1._domainkey.home.test", "TXT", ['"v=DKIM1; k=rsa; p=AAAA"'], "", "another key", "again"),
            ("r1._domainkey.home.test", "TXT", ['"v=DKIM1; p="'], "", "no key", "again"),
            (PTR, "PTR", ["dyn-90.isp.test."], "", "HELO", "mx.home.test"),
            ("mx.home.test", "A", ["192.0.2.91"], "", "192.0.2.91", "take 192.0.2.91 out"),
            ("_25._tcp.mx.home.test", "TLSA", ["3 1 1 " + "cd" * 32], "", "another key", "3 1 1"),
            ("home.test", "CAA", ['0 issue "other.test"'], "", "not allowed", "letsencrypt.org"),
            ("_imaps._tcp.home.test", "SRV", ["0 1 993 old.test."], "", "old.test", "993 mx.home.test"),
            ("mx.home.test", "TXT", ['"v=spf1 -all"'], "", "not allowed", "v=spf1 a -all"),
            ("home.test", "MX", ["10 192.0.2.90."], "", "an MX names a host", "10 mx.home.test"),
            ("home.test", "MX", ["10 mx.home.test.home.test."], "", "home.test.home.test", "with the dot at its end"),
            ("_imaps._tcp.home.test", "SRV", ["0 1 993 mx.home.test.home.test."], "", "leads to", "mx.home.test. with"),
            ("home.test", "TXT", ['"\\"v=spf1 mx -all\\""'], "", "quotes and all", "leave the quotes out"),
            (
                "_dmarc.home.test",
                "TXT",
                ['"\\226\\128\\156v=DMARC1; p=reject\\226\\128\\157"'],
                "",
                "“v=DMARC1",
                "quotes out",
            ),
            ("_dmarc.home.test", "TXT", ['"v=DMARC1; p=reject; rua=me@home.test"'], "", "mailto:", "rua=mailto:"),
            (
                "_dmarc.home.test",
                "TXT",
                ['"v=DMARC1; p=reject; rua=mailto:x@far.test"'],
                "",
                "far.test",
                "._report._dmarc.far",
            ),
            (
                "_dmarc.home.test",
                "TXT",
                [],
                '_dmarc.home.test.home.test. TXT "v=DMARC1; p=reject"\n',
                "once more",
                "type _dmarc",
            ),
            (
                "r1._domainkey.home.test",
                "TXT",
                [],
                "r1._domainkey.home.test.home.test. TXT x\n",
                "once more",
                "type r1._domainkey",
            ),
            (
                "_imaps._tcp.home.test",
                "SRV",
                [],
                "_imaps._tcp.home.test.home.test. SRV 0 1 993 x.\n",
                "once more",
                "_imaps._tcp as",
            ),
        ):
            found = self.one(name, rdtype, *values, more=more)
            self.assertEqual(found.state, WRONG, (name, values, found))
            self.assertIn(words, found.words, values)
            self.assertIn(remedy, found.remedy, values)

    def test_seen_otherwise(self) -> None:
        """What the owner may well have written differently."""
        for name, rdtype, values, more in (
            ("home.test", "MX", ["10 mx.home.test.", "20 backup.test."], ""),
            ("home.test", "TXT", ['"v=spf1 ip4:192.0.2.90 ip6:2001:db8::90 ?all"', '"other=1"'], ""),
            ("_dmarc.home.test", "TXT", ['"v=DMARC1; p=reject; adkim=s"'], ""),
            ("_dmarc.home.test", "TXT", ['"v=DMARC1; p=none"'], ""),
            ("home.test", "CAA", ['0 issue "letsencrypt.org; validationmethods=http-01"', '0 issue "x.test"'], ""),
            ("_smtp._tls.home.test", "TXT", ['"v=TLSRPTv1; rua=mailto:tls@other.test"'], ""),
            (PTR, "PTR", ["other.test.", "MX.home.test."], ""),
            (
                "_dmarc.home.test",
                "TXT",
                ['"v=DMARC1; p=reject; rua=mailto:x@far.test,mailto:d@home.test"'],
                '*._report._dmarc.far.test. TXT "v=DMARC1"\n',
            ),
        ):
            found = self.one(name, rdtype, *values, more=more)
            self.assertEqual(found.state, SEEN, found)

    def test_the_host_is_an_alias(self) -> None:
        """A mail host must have addresses of its own."""
        lines = [line for line in ZONE.splitlines() if not line.startswith("mx.home.test.")]
        zone = "\n".join(lines) + "\nmx.home.test. CNAME web.test.\nweb.test. A 192.0.2.90\n"
        found = self.look(zone)["A mx.home.test"]
        self.assertEqual((found.state, found.tier), (WRONG, MUST))
        self.assertIn("CNAME", found.remedy)

    def test_an_address_is_missing(self) -> None:
        """Mail leaves by IPv6 too, and the name says nothing of it."""
        found = self.one("mx.home.test", "AAAA")
        self.assertEqual(found.state, NOT_YET)
        self.assertIn("2001:db8::90", found.remedy)

    def test_a_right_text_that_leads_nowhere_yet(self) -> None:
        """SPF with a wrong MX beside it: what is mended is the MX, and nobody is told to write what he has written."""
        for name, rdtype, values in (("home.test", "MX", ["10 old.test."]), ("mx.home.test", "A", [])):
            found = self.look(self.changed(name, rdtype, *values))["TXT home.test"]
            self.assertEqual((found.state, found.remedy[:18]), (NOT_YET, "nothing to do here"), found)

    def test_below_a_registered_name(self) -> None:
        """What the form adds is the registered name."""
        publication = dataclasses.replace(WHOLE, form_zone="test")
        zone = self.changed("_dmarc.home.test", "TXT") + '_dmarc.home.test.test. TXT "v=DMARC1; p=reject"\n'
        self.assertEqual(
            self.look(zone, publication)["TXT _dmarc.home.test"].remedy, "type _dmarc.home as its name in the form"
        )

    def test_wrong_tlsa_is_a_must(self) -> None:
        """A TLSA record may be missing, but not wrong."""
        self.assertEqual(self.one("_25._tcp.mx.home.test", "TLSA").tier, MAY)
        self.assertEqual(self.one("_25._tcp.mx.home.test", "TLSA", "3 1 1 " + "cd" * 32).tier, MUST)

    def test_behind_a_smarthost(self) -> None:
        """The provider sends: his SPF must be included, and our own address needs neither SPF nor a name."""
        publication = dataclasses.replace(WHOLE, spf_includes=("isp.test",))
        isp = 'isp.test. TXT "v=spf1 ip4:198.51.100.9 -all"\n'
        zone = self.changed("home.test", "TXT", '"v=spf1 include:isp.test -all"') + isp
        self.assertIs(self.look(zone, publication, sends=False)["TXT home.test"].state, SEEN)
        found = self.look(ZONE + isp, publication, sends=False)["TXT home.test"]
        self.assertEqual((found.state, "include:isp.test" in found.remedy), (WRONG, True))
        self.assertEqual(self.look("", publication, sends=False)[f"PTR {PTR}"].tier, MAY)
