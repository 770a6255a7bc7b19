"""The records we ask the owner to publish are what our own checks accept."""

from __future__ import annotations

import functools

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import peer_address
from mailbox_appliance.mailauth import dmarc, spf
from mailbox_appliance.mailauth.publish import MUST, Publication, records, spf_record, split_text, zone_file
from mailbox_appliance.mailauth.sign import load_key, new_key, public_record
from mailbox_appliance.mailauth.signature import RSA, key_of
from mailbox_appliance.ports.dns import Status
from tests.kit.fake_dns import FakeDns
from tests.mailauth.proof import Book

KEY = load_key("home.test", "r1", new_key(RSA))
WHOLE = Publication(
    "home.test",
    "mx.home.test",
    ("192.0.2.90", "2001:db8::90"),
    dkim=(("r1._domainkey.home.test", public_record(KEY)),),
    reports_to="postmaster@home.test",
    mta_sts_id="20251122",
    tlsa=("3 1 1 " + "ab" * 32,),
    caa=("letsencrypt.org",),
)


class PublishTests(SynchronousTestCase):
    """Zone file and table."""

    def test_zone_file_works(self) -> None:
        """A name server reads it; key, SPF and DMARC come out of it sound."""
        dns = FakeDns(zone_file(records(WHOLE)).replace(" IN ", " "))  # the kit's reader wants no class
        key = self.successResultOf(dns.look_up("r1._domainkey.home.test", "TXT"))
        self.assertEqual(key_of(key, RSA).bits, 2048)
        policy = self.successResultOf(dns.look_up("_dmarc.home.test", "TXT"))
        record = dmarc.read_record(policy.records[0])  # type: ignore[arg-type]
        assert record is not None
        self.assertEqual((record.p, record.faults, record.rua), ("quarantine", (), ("mailto:postmaster@home.test",)))
        for question in (
            ("home.test", "MX"),
            ("_imaps._tcp.home.test", "SRV"),
            ("home.test", "CAA"),
            ("90.2.0.192.in-addr.arpa", "PTR"),
        ):
            self.assertIs(self.successResultOf(dns.look_up(*question)).status, Status.OK, question)
        book = Book()
        book.look_up = lambda question: self.successResultOf(dns.look_up(*question))  # type: ignore[method-assign]
        for ip, result in (("192.0.2.90", "pass"), ("2001:db8::90", "pass"), ("192.0.2.91", "fail")):
            check = functools.partial(spf.check_mail_from, peer_address(ip), Address("a", "home.test"), "mx.home.test")
            found = book.settle(check)
            self.assertEqual(found.result, result, ip)

    def test_five_musts(self) -> None:
        """MX, address, SPF, DKIM, DMARC, and nothing else is a must."""
        names = {
            (one.rdtype, one.value.partition(";")[0].partition(" ")[0]) for one in records(WHOLE) if one.tier == MUST
        }
        self.assertEqual(
            names,
            {
                ("MX", "10"),
                ("A", "192.0.2.90"),
                ("AAAA", "2001:db8::90"),
                ("TXT", "v=spf1"),
                ("TXT", "v=DKIM1"),
                ("TXT", "v=DMARC1"),
            },
        )

    def test_texts(self) -> None:
        """Split at 255 octets, quotes escaped; SPF with networks and includes."""
        self.assertEqual(split_text("x" * 300), '"' + "x" * 255 + '" "' + "x" * 45 + '"')
        self.assertEqual(split_text('a"b'), '"a\\"b"')
        self.assertEqual(
            spf_record(["192.0.2.1", "192.0.2.0/24", "2001:db8::/32"], ["spf.isp.test"]),
            "v=spf1 mx ip4:192.0.2.1 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:spf.isp.test -all",
        )


class EdgeTests(SynchronousTestCase):
    """A store's domain: the world meets its edge."""

    def test_edge(self) -> None:
        """MX, PTR and the HELO name are the edge's; both names lead to it; mail programs use the store's."""
        found = records(Publication("example.org", "mail.example.org", ("192.0.2.1",), mail_host="mx.example.org"))
        values = {(one.name, one.rdtype): one.value for one in found}
        self.assertEqual(values["example.org", "MX"], "10 mx.example.org.")
        self.assertEqual(values["1.2.0.192.in-addr.arpa", "PTR"], "mx.example.org.")
        for name in ("mail.example.org", "mx.example.org"):
            self.assertEqual(values[name, "A"], "192.0.2.1")
        self.assertIn(("mx.example.org", "TXT"), values)
        self.assertEqual(values["_imaps._tcp.example.org", "SRV"], "0 1 993 mail.example.org.")
