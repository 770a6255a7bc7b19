"""Records as a registrar's form wants them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mailauth.forms import address_of, form_fields, form_line, short_name
from mailbox_appliance.mailauth.publish import MAY, DnsRecord


class FormTests(SynchronousTestCase):
    """Pure."""

    def fields(self, name: str, rdtype: str, value: str) -> dict[str, str]:
        return form_fields(DnsRecord(MAY, name, rdtype, value, "why"), "home.test")

    def test_names(self) -> None:
        """@, a short name, or nothing for what lies elsewhere."""
        for name, short in (
            ("home.test", "@"),
            ("mx.home.test", "mx"),
            ("r1._domainkey.home.test", "r1._domainkey"),
            ("mx.other.test", ""),
            ("myhome.test", ""),
        ):
            self.assertEqual(short_name(name, "home.test"), short)

    def test_fields(self) -> None:
        """Each type has fields of its own; texts stay as they are."""
        for name, rdtype, value, fields in (
            ("home.test", "MX", "10 mx.home.test.", {"name": "@", "priority": "10", "value": "mx.home.test"}),
            ("mx.home.test", "A", "192.0.2.1", {"name": "mx", "value": "192.0.2.1"}),
            ("home.test", "TXT", "v=spf1 mx -all", {"name": "@", "value": "v=spf1 mx -all"}),
            (
                "_imap._tcp.home.test",
                "SRV",
                "0 0 0 .",
                {"name": "@", "service": "_imap", "protocol": "_tcp", "priority": "0", "weight": "0", "port": "0"}
                | {"target": "."},
            ),
            (
                "_25._tcp.mx.home.test",
                "TLSA",
                "3 1 1 abcd",
                {"name": "_25._tcp.mx", "usage": "3", "selector": "1", "matching type": "1", "data": "abcd"},
            ),
            ("home.test", "CAA", '0 issue "ca.test"', {"name": "@", "flags": "0", "tag": "issue", "value": "ca.test"}),
            ("1.2.0.192.in-addr.arpa", "PTR", "mx.home.test.", {}),
            ("mx.other.test", "A", "192.0.2.1", {}),
        ):
            self.assertEqual(self.fields(name, rdtype, value), fields and {"type": rdtype} | fields, (name, rdtype))

    def test_elsewhere(self) -> None:
        """What no form of the domain takes says where it goes."""
        self.assertIn(
            "belongs to another domain", form_line(DnsRecord(MAY, "mx.o.test", "A", "192.0.2.1", ""), "h.test")
        )
        for pointer, address in (
            ("90.2.0.192.in-addr.arpa", "192.0.2.90"),
            ("1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1"),
        ):
            self.assertEqual(address_of(pointer), address)
            self.assertIn(address, form_line(DnsRecord(MAY, pointer, "PTR", "mx.home.test.", ""), "home.test"))
