"""A small world for the checks: a victim with p=reject, a bank with p=quarantine, an attacker with everything valid, us.

``Scene().examine(message, …)`` judges one message; keys of every domain are at hand to sign with.
"""

from __future__ import annotations

import functools
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.reputation import Reputation
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.stages import StrangerChecks
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Client, Origin, peer_address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.verdict import Verdict
from mailbox_appliance.mailauth import arc
from mailbox_appliance.mailauth.canonical import RELAXED, BodyHash, HeaderBlock
from mailbox_appliance.mailauth.sign import SigningKey, dkim_field, load_key, new_key, public_record, seal_fields
from mailbox_appliance.mailauth.signature import ED25519, RSA
from mailbox_appliance.ports.delivery import Parcel
from tests.kit.fake_directory import FakeDirectory
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers
from tests.mailauth.proof import split

NOW = 1_763_800_000.0
VICTIM_IP, ATTACKER_IP, SEALER_IP, NOBODY_IP = "192.0.2.10", "198.51.100.66", "192.0.2.77", "203.0.113.99"

ZONE = """
victim.test.                A    192.0.2.10
victim.test.                MX   10 mx.victim.test.
victim.test.                TXT  "v=spf1 ip4:192.0.2.10 -all"
_dmarc.victim.test.         TXT  "v=DMARC1; p=reject"
mx.victim.test.             A    192.0.2.10
news.victim.test.           TXT  "v=spf1 ip4:192.0.2.10 -all"
10.2.0.192.in-addr.arpa.    PTR  mx.victim.test.

bank.test.                  TXT  "v=spf1 ip4:192.0.2.20 -all"
_dmarc.bank.test.           TXT  "v=DMARC1; p=quarantine; adkim=s; aspf=s"
shop.test.                  TXT  "v=spf1 ip4:192.0.2.30 ~all"
_dmarc.shop.test.           TXT  "v=DMARC1; p=none; sp=reject; np=reject"
here.shop.test.             A    192.0.2.30
drop.test.                  TXT  "v=spf1 ip4:192.0.2.40 -all"
_dmarc.drop.test.           TXT  "v=DMARC1; p=drop"
plain.test.                 A    192.0.2.50

attacker.test.              A    198.51.100.66
attacker.test.              TXT  "v=spf1 ip4:198.51.100.66 -all"
_dmarc.attacker.test.       TXT  "v=DMARC1; p=reject"
66.100.51.198.in-addr.arpa. PTR  attacker.test.
xn--vctim-dqa.test.         TXT  "v=spf1 ip4:198.51.100.66 -all"

sealer.test.                A    192.0.2.77
sealer.test.                TXT  "v=spf1 ip4:192.0.2.77 -all"
77.2.0.192.in-addr.arpa.    PTR  sealer.test.
lists.test.                 A    192.0.2.78
lists.test.                 TXT  "v=spf1 ip4:192.0.2.78 -all"

home.test.                  TXT  "v=spf1 ip4:192.0.2.90 -all"
;! servfail broken.test.
;! silent dark.test.
"""


@functools.cache
def key(domain: str, algorithm: str = RSA) -> SigningKey:
    """A key of that domain; made once for all tests."""
    return load_key(domain, "k1" if algorithm == RSA else "e1", _pem(algorithm))


@functools.cache
def _pem(algorithm: str) -> bytes:
    return new_key(algorithm)


def letter(author: str, body: str = "Please pay at once.\n", **fields: str) -> bytes:
    """A message with LF line ends; ``author`` is the whole value of From (or several fields, after a line end)."""
    lines = [f"From: {author}"]
    rest = {"To": "ann@home.test", "Subject": "An invoice", "Date": "Sat, 22 Nov 2025 08:26:40 +0000"}
    rest["Message-ID"] = "<1@mail.test>"
    rest.update({name.replace("_", "-"): value for name, value in fields.items()})
    lines += [f"{name}: {value}" for name, value in rest.items() if value]
    return ("\n".join(lines) + "\n\n" + body).encode("utf-8", "surrogateescape")


def signed(message: bytes, domain: str, algorithm: str = RSA, now: float = NOW) -> bytes:
    """The message with a signature of ``domain`` on top."""
    header, body = split(message)
    hashed = BodyHash(RELAXED)
    hashed.update(body)
    return dkim_field(HeaderBlock(header), hashed.finish(), key(domain, algorithm), now) + message


def sealed(message: bytes, domain: str, results: str, found: str = "none", now: float = NOW) -> bytes:
    """The message with an ARC set of ``domain`` on top that says ``results``."""
    header, body = split(message)
    block = HeaderBlock(header)
    hashed = BodyHash(RELAXED)
    hashed.update(body)
    chain = arc.read_chain(block, now)
    return seal_fields(block, hashed.finish(), chain, found, key(domain), results=results, now=now) + message


class Scene:
    """Our house at home.test, checking what comes."""

    def __init__(
        self,
        zone: str = "",
        keys: tuple[str, ...] = ("victim.test", "attacker.test", "sealer.test"),
        reputation: Reputation | None = None,
        **settings: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOW
        records = "".join(
            f'{one.selector}._domainkey.{domain}. TXT "{text[:200]}" "{text[200:]}"\n'
            for domain in keys
            for one in (key(domain), key(domain, ED25519))
            for text in (public_record(one),)
        )
        self.dns = FakeDns(ZONE + records + zone)
        self.journal = RememberedJournal()
        self.directory = FakeDirectory({"home.test": "ann@home.test"}, ["ann@home.test"])
        self.settings = ChecksSettings("mx.home.test", **settings)
        self.workers = InlineWorkers()
        self.checks = StrangerChecks(
            self.settings,
            self.clock,
            self.workers,
            self.journal,
            self.dns,
            self.directory,
            reputation=reputation,
        )

    def ask(
        self,
        message: bytes,
        *,
        ip: str = ATTACKER_IP,
        helo: str = "attacker.test",
        sender: str = "crook@attacker.test",
        body: SpooledBody | None = None,
    ) -> Deferred[Verdict]:
        """Begin to judge."""
        header, octets = split(message)
        content = Content(header, body or octets, message.count(b"\n"))
        envelope = Envelope(Address.parse(sender) if sender else None, (Recipient(Address("ann", "home.test")),))
        client = Client(peer_address(ip), 40000, "smtp", helo, True)
        parcel = Parcel("trace", Origin.WAN, envelope, content, client=client)
        return Deferred.fromCoroutine(_awaited(self.checks.examine(parcel)))

    def examine(self, message: bytes, **peer: Any) -> Verdict:
        """Judge; everything answers at once."""
        asked = self.ask(message, **peer)
        for _ in range(2000):
            if asked.called:
                break
            self.clock.advance(0)
        assert not self.journal.failures, self.journal.failures
        return SynchronousTestCase().successResultOf(asked)


async def _awaited(verdict: Any) -> Verdict:
    return await verdict  # type: ignore[no-any-return]


def found(verdict: Verdict, check: str) -> list[str]:
    """The results of one check."""
    return [one.result for one in verdict.evidence if one.check == check]
