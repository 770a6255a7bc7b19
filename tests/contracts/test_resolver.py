"""What every Resolver promises: the fake out of zone text and the real one over sockets on loopback."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.ports.dns import Resolver, Status
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal
from tests.kit.zone_server import respond, serve
from tests.kit.zones import Zone

ZONE = """
example.org.       300 MX 20 b.example.org.
example.org.       300 MX 10 A.Example.org.
a.example.org.     300 A 192.0.2.1
a.example.org.     300 AAAA 2001:db8::1
www.example.org.   300 CNAME a.example.org.
null.example.org.  300 MX 0 .
text.example.org.  300 TXT "v=spf1 " "-all"
*.wild.example.org. 300 A 192.0.2.7
1.2.0.192.in-addr.arpa. 300 PTR a.example.org.
caa.example.org.   300 CAA 0 issue "ca.example"
;! servfail broken.example.org.
""" + "".join(f'large.example.org. TXT "{n:03} {"x" * 100}"\n' for n in range(50))  # fmt: skip

ROWS: list[tuple[str, str, Status, set[object]]] = [
    ("example.org", "MX", Status.OK, {(10, "a.example.org"), (20, "b.example.org")}),
    ("Example.ORG.", "MX", Status.OK, {(10, "a.example.org"), (20, "b.example.org")}),
    ("a.example.org", "A", Status.OK, {"192.0.2.1"}),
    ("a.example.org", "AAAA", Status.OK, {"2001:db8::1"}),
    ("www.example.org", "A", Status.OK, {"192.0.2.1"}),
    ("www.example.org", "CNAME", Status.OK, {"a.example.org"}),
    ("www.example.org", "TXT", Status.NODATA, set()),
    ("null.example.org", "MX", Status.OK, {(0, "")}),
    ("text.example.org", "TXT", Status.OK, {b"v=spf1 -all"}),
    ("x.wild.example.org", "A", Status.OK, {"192.0.2.7"}),
    ("wild.example.org", "A", Status.NODATA, set()),
    ("1.2.0.192.in-addr.arpa", "PTR", Status.OK, {"a.example.org"}),
    ("caa.example.org", "CAA", Status.OK, {'0 issue "ca.example"'}),
    ("missing.example.org", "A", Status.NXDOMAIN, set()),
    ("broken.example.org", "A", Status.TEMPERROR, set()),
    ("not..a.name", "A", Status.NXDOMAIN, set()),
    ("localhost", "A", Status.OK, {"127.0.0.1"}),
    ("localhost", "AAAA", Status.OK, {"::1"}),
    ("localhost", "MX", Status.NODATA, set()),
]


class Contract:
    """The promises; a subclass says who makes them."""

    def resolver(self) -> Resolver:
        raise NotImplementedError

    async def check(self, case: Any) -> None:
        resolver = self.resolver()
        for _ in range(2):  # the second time out of the cache, if there is one
            for name, kind, status, records in ROWS:
                answer = await resolver.look_up(name, kind)
                case.assertEqual((answer.status, set(answer.records)), (status, records), f"{name} {kind} {answer}")
                case.assertGreaterEqual(answer.ttl, 0)
                if status is not Status.OK:
                    case.assertTrue(answer.reason, name)
        case.assertEqual(len((await resolver.look_up("large.example.org", "TXT")).records), 50)

    def test_promises(self) -> Deferred[None]:
        """Every row, twice."""
        return Deferred.fromCoroutine(self.check(self))


class FakeTests(Contract, TestCase):
    def resolver(self) -> Resolver:
        return FakeDns(ZONE)


class RealTests(Contract, TestCase):
    def resolver(self) -> Resolver:
        from twisted.internet import reactor

        zone = Zone(ZONE)

        class Text:
            def respond(self, wire: bytes, most: int | None) -> bytes | None:
                return respond(zone, wire, most)

        port, listening = serve(reactor, Text())
        for one in listening:
            self.addCleanup(one.stopListening)
        settings = DnsSettings(servers=(f"127.0.0.1:{port}",))
        return DnsResolver(reactor, RememberedJournal(), settings)  # type: ignore[arg-type]
