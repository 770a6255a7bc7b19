"""What a mail exchanger must prove before mail goes to it: by DANE, by MTA-STS, by REQUIRETLS, or nothing.

========================================= ===================================================
the recipient's domain                     the connection
========================================= ===================================================
DANE, usable records                       TLS, the certificate fits a record (RFC 7672 §2.2)
DANE, records of other kinds only          TLS, whoever it is
DANE cannot be looked up                   none: another exchanger, or later
MTA-STS enforce, exchanger not in it       none: another exchanger, or later (RFC 8461 §4.1)
MTA-STS enforce                            TLS, certificate good for the exchanger's name
MTA-STS testing                            as below, and a failure is on record
nothing of these                           TLS if it works (RFC 7435)
========================================= ===================================================

DANE comes first: MTA-STS may not make good what DANE finds wrong (RFC 8461 §2). A message with REQUIRETLS wants a
verified certificate besides, and names which DNSSEC or MTA-STS vouches for (RFC 8689 §4.2.1); one whose header says
``TLS-Required: No`` wants to arrive at any price (§5).
"""

from __future__ import annotations

from mailbox_appliance.mail.header import every
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.mtasts_policy import Policy
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.relay.dane import Dane, DaneTrouble, find_dane
from mailbox_appliance.relay.mtasts import StsPolicies
from mailbox_appliance.relay.mx import Found, Target


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """A policy as a TLS report tells it (RFC 8460 §4.4): ``kind`` "tlsa", "sts" or "no-policy-found"."""

    kind: str = "no-policy-found"
    domain: str = ""
    lines: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """``why`` says in a word who demands it; ``facts`` are for reports; ``testing``: a failure is only told."""

    facts: PolicyFacts = PolicyFacts()
    why: str = ""
    encrypted: bool = False
    verified: bool = False
    testing: bool = False
    dane: Dane | None = None
    fault: str = ""  # what is wrong already, while only testing

    @property
    def key(self) -> str:
        """Connections with one key have proved the same."""
        return f"{self.why} {self.encrypted:d}{self.verified:d}{' '.join(self.dane.texts) if self.dane else ''}"


NOTHING = Demand()


class Unfit(Exception):
    """No mail to this exchanger; str() says why. ``kind`` is the word for reports (RFC 8460 §4.3)."""

    def __init__(self, text: str, demand: Demand, kind: str) -> None:
        super().__init__(text)
        self.demand = demand
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Wishes:
    """What domain and message ask for together, before an exchanger is looked at."""

    domain: str
    policy: Policy | None = None
    authentic: bool = False
    require_tls: bool = False
    at_any_price: bool = False


class Demands:
    """Puts the rows above together."""

    def __init__(self, resolver: Resolver, policies: StsPolicies) -> None:
        self._resolver = resolver
        self._policies = policies

    async def of(self, domain: str, found: Found, shipment: Shipment | None) -> Wishes:
        """For one message (None: for nobody's, as a trial) to ``domain``. Never raises."""
        require = shipment is not None and shipment.envelope.require_tls
        at_any_price = shipment is not None and not require and _tls_not_required(shipment.content.header)
        policy = None if at_any_price else await self._policies.of(domain)
        return Wishes(domain, policy, found.authentic, require, at_any_price)

    async def for_target(self, wishes: Wishes, target: Target) -> Demand:
        """What ``target`` must prove. Raises Unfit."""
        facts = PolicyFacts(domain=wishes.domain)
        if wishes.at_any_price:
            return Demand(facts, why="TLS-Required: No")
        demand = Demand(facts)
        dane = await self._dane(wishes, target) if wishes.authentic else None
        policy = wishes.policy
        if policy is not None:
            facts = PolicyFacts("sts", wishes.domain, policy.lines(), policy.mx)
            enforced = policy.mode == "enforce"
            fault = (
                ""
                if policy.covers(target.host)
                else f"the MTA-STS policy of {wishes.domain} does not name {target.host}"
            )
            demand = Demand(facts, "MTA-STS", enforced, enforced, testing=not enforced, fault=fault)
            if enforced and fault:
                raise Unfit(fault, demand, "validation-failure")
        if dane is not None:
            demand = Demand(_dane_facts(dane, target), "DANE", True, bool(dane.records), dane=dane)
        if wishes.require_tls:
            if not wishes.authentic and (policy is None or not policy.covers(target.host)):
                raise Unfit(
                    f"REQUIRETLS: neither DNSSEC nor MTA-STS vouches for {target.host}", demand, "validation-failure"
                )
            demand = Demand(demand.facts, "REQUIRETLS", True, True, dane=dane)
        return demand

    async def _dane(self, wishes: Wishes, target: Target) -> Dane | None:
        try:
            return await find_dane(self._resolver, wishes.domain, target.host, target.port)
        except DaneTrouble as trouble:
            facts = PolicyFacts("tlsa", target.host)
            raise Unfit(str(trouble), Demand(facts, "DANE"), "dnssec-invalid") from None


def _dane_facts(dane: Dane, target: Target) -> PolicyFacts:
    lines = tuple(f"_{target.port}._tcp.{dane.base}. IN TLSA {text}" for text in dane.texts)
    return PolicyFacts("tlsa", dane.base, lines, (target.host,))


def _tls_not_required(header: bytes) -> bool:
    """RFC 8689 §5."""
    return any(value.strip().lower() == b"no" for value in every(header, "tls-required"))
