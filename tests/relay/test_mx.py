"""From a domain to addresses: a table of zones and what is tried, in order."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.relay.ipv6 import own_ipv6
from mailbox_appliance.relay.mx import Exchangers, Found
from mailbox_appliance.relay.passwords import PasswordTrouble, read_password
from mailbox_appliance.relay.refusals import TABLE, meaning, remedy
from mailbox_appliance.relay.routes import ToDomain, ToHost, route_for
from mailbox_appliance.relay.settings import Host, RelaySettings
from mailbox_appliance.wire.smtp.client_events import Trouble
from tests.kit.fake_dns import FakeDns

ZONE = """
one.test.      MX 10 a.test.
two.test.      MX 20 b.test.
two.test.      MX 10 a.test.
equal.test.    MX 10 a.test.
equal.test.    MX 10 b.test.
equal.test.    MX 10 c.test.
bare.test.     A 192.0.2.40
bare6.test.    AAAA 2001:db8::40
none.test.     TXT "nothing here"
null.test.     MX 0 .
mixed.test.    MX 0 .
mixed.test.    MX 10 a.test.
dead.test.     MX 10 gone.test.
half.test.     MX 10 gone.test.
half.test.     MX 20 a.test.
blind.test.    MX 10 fail.test.
halfblind.test. MX 10 fail.test.
halfblind.test. MX 20 a.test.
ours.test.     MX 10 us.test.
backup.test.   MX 10 a.test.
backup.test.   MX 20 us.test.
backup.test.   MX 30 b.test.
byaddr.test.   MX 10 a.test.
byaddr.test.   MX 20 ourselves.test.
byaddr.test.   MX 20 b.test.
byaddr.test.   MX 30 c.test.
loop.test.     MX 10 home.test.
zero.test.     MX 10 zero0.test.
dual.test.     MX 10 dualhost.test.
many.test.     MX 10 manyhost.test.
alias.test.    CNAME two.test.
mxalias.test.  MX 10 cname.test.
cname.test.    CNAME a.test.
a.test.        A 192.0.2.1
b.test.        A 192.0.2.2
c.test.        A 192.0.2.3
us.test.       A 192.0.2.99
ourselves.test. A 192.0.2.99
home.test.     A 127.0.0.1
home.test.     AAAA ::1
zero0.test.    A 0.0.0.0
dualhost.test. A 192.0.2.50
dualhost.test. AAAA 2001:db8::50
""" + "".join(f"manyhost.test. A 192.0.2.{n}\n" for n in range(100, 130)) + "\n;! servfail fail.test.\n"  # fmt: skip

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"

# domain, settings → addresses in order, or the reply's beginning
TABLE_OF_DOMAINS: list[tuple[str, dict[str, Any], list[str] | str]] = [
    ("one.test", {}, [A]),
    ("two.test", {}, [A, B]),
    ("alias.test", {}, [A, B]),
    ("mxalias.test", {}, [A]),
    ("bare.test", {}, ["192.0.2.40"]),
    ("bare6.test", {"ipv6": True}, ["2001:db8::40"]),
    ("bare6.test", {}, "550 5.4.4"),
    ("none.test", {}, "550 5.4.4"),
    ("null.test", {}, "556 5.1.10"),
    ("mixed.test", {}, [A]),
    ("missing.test", {}, "550 5.1.2"),
    ("fail.test", {}, "451 4.4.3"),
    ("dead.test", {}, "550 5.4.4"),
    ("half.test", {}, [A]),
    ("blind.test", {}, "451 4.4.3"),
    ("halfblind.test", {}, [A]),
    ("ours.test", {}, "554 5.4.6"),
    ("backup.test", {}, [A]),
    ("byaddr.test", {}, [A]),
    ("loop.test", {}, "554 5.4.6"),
    ("loop.test", {"allow_loopback": True}, ["127.0.0.1", "::1"]),
    ("loop.test", {"allow_loopback": True, "own_addresses": frozenset({"127.0.0.1"})}, ["127.0.0.1", "::1"]),
    ("zero.test", {"allow_loopback": True}, "554 5.4.6"),
    ("dual.test", {}, ["192.0.2.50"]),
    ("dual.test", {"ipv6": True}, ["192.0.2.50", "2001:db8::50"]),
    ("dual.test", {"ipv6": True, "prefer_ipv6": True}, ["2001:db8::50", "192.0.2.50"]),
    ("dual.test", {"allow_loopback": True}, ["192.0.2.50"]),
    ("[192.0.2.7]", {}, ["192.0.2.7"]),
    ("[IPv6:2001:db8::7]", {}, ["2001:db8::7"]),
    ("[127.0.0.1]", {}, "554 5.4.6"),
    ("[IPv6:::ffff:127.0.0.1]", {}, "554 5.4.6"),
    ("[127.0.0.1]", {"allow_loopback": True}, ["127.0.0.1"]),
    ("[192.0.2.99]", {}, "554 5.4.6"),
    ("[nonsense]", {}, "550 5.1.2"),
]


class Ipv6:
    def __init__(self, there: bool) -> None:
        self.there = there

    def exists(self) -> bool:
        return self.there

    async def is_named(self) -> bool:
        return self.there


def found(domain: str, seed: int = 1, *, ipv6: bool = False, **settings: Any) -> Found | Outcome:
    settings.setdefault("own_addresses", frozenset({"192.0.2.99"}))
    how = RelaySettings("us.test", own_names=frozenset({"us.test"}), **settings)
    out: list[Found | Outcome] = []
    exchangers = Exchangers(FakeDns(ZONE), how, random.Random(seed), Ipv6(ipv6))
    Deferred.fromCoroutine(exchangers.of_domain(domain)).addCallback(out.append)
    return out[0]


class ExchangerTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Each row of the table."""
        for domain, settings, expected in TABLE_OF_DOMAINS:
            result = found(domain, **settings)
            where = f"{domain} {settings}: {result}"
            if isinstance(expected, str):
                assert isinstance(result, Outcome), where
                self.assertEqual(str(result.reply)[: len(expected)], expected, where)
                self.assertTrue(result.reason)
            else:
                assert isinstance(result, Found), where
                self.assertEqual([target.address for target in result.targets], expected, where)

    def test_equal_preferences_are_shuffled(self) -> None:
        """RFC 5321 §5.1: equal ones in random order, all of them."""
        orders = set()
        for seed in range(30):
            result = found("equal.test", seed)
            assert isinstance(result, Found)
            orders.add(tuple(target.address for target in result.targets))
        self.assertGreater(len(orders), 3)
        self.assertEqual({frozenset(order) for order in orders}, {frozenset({A, B, C})})

    def test_bounded(self) -> None:
        """A domain with very many addresses costs few tries."""
        result = found("many.test")
        assert isinstance(result, Found)
        self.assertEqual(len(result.targets), 10)

    def test_target_text(self) -> None:
        """Hosts as people read them."""
        for domain, text in (("one.test", "a.test [192.0.2.1]"), ("[IPv6:2001:db8::7]", "[IPv6:2001:db8::7]")):
            result = found(domain)
            assert isinstance(result, Found)
            self.assertEqual(str(result.targets[0]), text)

    def test_has_ipv6_answers(self) -> None:
        """Asking the kernel works on any machine."""
        self.assertIn(":" in own_ipv6() or own_ipv6() == "", (True,))


class RouteTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """The table of routes, read aloud."""
        smart, internal = Host("smart.test"), Host("store.lan", 25)
        routes = {"ours.test": internal}
        senders = {"club.test": Host("club.isp.test", 465, user="club")}
        ann, club = Address("ann", "a.test"), Address("chair", "club.test")
        for settings, sender, domain, key in (
            (RelaySettings("us", smarthost=smart, routes=routes), ann, "ours.test", "route store.lan:25"),
            (RelaySettings("us", smarthost=smart, routes=routes), ann, "x.test", "smarthost smart.test:587"),
            (RelaySettings("us", smarthost=smart, senders=senders), ann, "x.test", "smarthost smart.test:587"),
            (RelaySettings("us", smarthost=smart, senders=senders), None, "x.test", "smarthost smart.test:587"),
            (RelaySettings("us", smarthost=smart, senders=senders), club, "x.test", "sender club club.isp.test:465"),
            (RelaySettings("us", direct=True, senders=senders), club, "x.test", "sender club club.isp.test:465"),
            (RelaySettings("us", routes=routes, senders=senders), club, "ours.test", "route store.lan:25"),
            (RelaySettings("us", smarthost=smart, direct=True), ann, "x.test", "x.test"),
            (RelaySettings("us", direct=True, routes=routes), ann, "x.test", "x.test"),
            (RelaySettings("us", routes=routes), ann, "x.test", "nowhere"),
        ):
            self.assertEqual(route_for(settings, sender, Address("bob", domain)).key, key)
        both = route_for(RelaySettings("us", smarthost=smart, direct=True), ann, Address("bob", "x.test"))
        self.assertEqual(both, ToDomain("x.test", ToHost(smart, "smarthost")))


class RefusalTests(SynchronousTestCase):
    def test_known_texts(self) -> None:
        """Real replies of real hosts, and the word that must be in their explanation."""
        for code, enhanced, text, word in (
            (550, "5.7.1", "Service unavailable, Client host [x] blocked using Spamhaus", "block list"),
            (550, "5.7.1", "Unfortunately, messages from [x] weren't sent. (S3140) block list", "block list"),
            (550, "5.7.26", "This mail has been blocked because the sender is unauthenticated", "SPF"),
            (550, "5.7.25", "The IP address sending this message does not have a PTR record", "PTR"),
            (450, "4.7.1", "Client host rejected: cannot find your reverse hostname", "PTR"),
            (451, "4.7.1", "Greylisting in action, please come back later", "greylisting"),
            (450, "4.2.0", "Recipient address rejected: Greylisted", "greylisting"),
            (550, "5.1.1", "The email account that you tried to reach does not exist", "spelled"),
            (550, "", "User unknown", "spelled"),
            (554, "5.7.1", "Relay access denied", "log in"),
            (552, "5.2.2", "The email account is over quota", "full"),
            (552, "5.3.4", "Message size exceeds fixed limit", "large"),
            (421, "4.7.28", "unusual rate of unsolicited mail", "slows"),
            (451, "4.3.0", "Temporary lookup failure", "trouble of its own"),
            (499, "", "zzz", "try again"),
            (599, "", "zzz", "for good"),
        ):
            self.assertIn(word, meaning(Reply(code, enhanced, text)), text)

    def test_every_trouble_has_a_remedy(self) -> None:
        for trouble in Trouble:
            self.assertTrue(remedy(trouble, Reply(421, "", "x"), remote=False))
        self.assertGreater(len(TABLE), 10)


class PasswordTests(SynchronousTestCase):
    def test_first_line(self) -> None:
        """The first line without its end; blanks belong to the password."""
        for octets, password in ((b"a b \n", "a b "), (b"x\r\ny", "x"), ("ü".encode(), "ü")):
            path = self.mktemp()
            with open(path, "wb") as file:
                file.write(octets)
            self.assertEqual(read_password(path)[0], password)
        self.assertRaises(PasswordTrouble, read_password, "")
