"""From a domain to addresses: mail exchangers in order, or why there are none (RFC 5321 §5.1, RFC 7505, RFC 3974)."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from dataclasses import replace

from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.dns import Resolver, Status
from mailbox_appliance.relay.ipv6 import Ipv6
from mailbox_appliance.relay.settings import Host, RelaySettings


@dataclass(frozen=True, slots=True)
class Target:
    """One address to try; ``host`` is the name its certificate should have."""

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        literal = f"[IPv6:{self.address}]" if ":" in self.address else f"[{self.address}]"
        return literal if self.host == self.address else f"{self.host} {literal}"


@dataclass(frozen=True, slots=True)
class Found:
    """Addresses in the order to try them; ``exchangers`` as DNS gave them, for people.

    ``authentic``: DNSSEC vouches for the exchangers' names.
    """

    targets: tuple[Target, ...]
    exchangers: tuple[tuple[int, str], ...] = ()
    authentic: bool = False


class Exchangers:
    """Looks up; ``ipv6`` tells whether this machine has a way to IPv6 hosts, ``rng`` shuffles equal preferences.

    ``own_addresses`` are ours of this hour, beside those of the settings.
    """

    def __init__(
        self,
        resolver: Resolver,
        settings: RelaySettings,
        rng: random.Random,
        ipv6: Ipv6,
        own_addresses: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._resolver = resolver
        self._settings = settings
        self._rng = rng
        self._ipv6 = ipv6
        self._own_addresses = own_addresses

    async def of_domain(self, domain: str) -> Found | Outcome:
        """The addresses of the domain's mail exchangers, lowest preference first."""
        settings = self._settings
        if domain.startswith("["):
            return self._of_literal(domain)
        answer = await self._resolver.look_up(domain, "MX")
        if answer.status is Status.TEMPERROR:
            return _names_fail(domain, answer.reason)
        if answer.status is Status.NXDOMAIN:
            text = f"the domain {domain} does not exist"
            return _failed(550, "5.1.2", text, f"{text}: is the address spelled correctly?")
        listed = [record for record in answer.records if isinstance(record, tuple) and len(record) == 2]
        exchangers = sorted((int(preference), str(host)) for preference, host in listed if host)
        if listed and not exchangers:
            # RFC 7505 §3: MX 0 . means that the domain takes no mail, and nobody shall look for its A.
            text = f"the domain {domain} takes no mail (null MX)"
            return _failed(556, "5.1.10", text, f"{text}: is the address spelled correctly?")
        exchangers = exchangers or [(0, domain)]
        before = [(preference, host) for preference, host in exchangers if host in settings.own_names]
        if before:
            # RFC 5321 §5.1: we are in the list ourselves, so only better ones may be tried.
            exchangers = [pair for pair in exchangers if pair[0] < before[0][0]]
            if not exchangers:
                return _loop(domain, before[0][1])
        found = await self._addresses(domain, self._shuffled(exchangers)[: settings.most_exchangers])
        return replace(found, authentic=answer.authentic) if isinstance(found, Found) else found

    async def of_host(self, host: Host) -> Found | Outcome:
        """The addresses of a configured host; loopback is allowed here, the owner has said so."""
        try:
            return Found((Target(host.host, str(ipaddress.ip_address(host.host)), host.port),))
        except ValueError:
            pass
        addresses, trouble = await self._look_up(host.host, ipv6=self._ipv6.exists())
        if not addresses:
            reason = trouble or "the name does not exist or has no address"
            text = f"the address of {host.host} cannot be found"
            remedy = f"{text} ({reason}): check the name in [relay] and `mailappliance status` for the name servers"
            return Outcome(Result.TRY_AGAIN, Reply(451, "4.4.3", text), reason=remedy)
        return Found(tuple(Target(host.host, a, host.port) for a in addresses[: self._settings.most_addresses]))

    def _of_literal(self, domain: str) -> Found | Outcome:
        """``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (RFC 5321 §4.1.3)."""
        text = domain[1:-1]
        try:
            address = str(ipaddress.ip_address(text[5:] if text[:5].lower() == "ipv6:" else text))
        except ValueError:
            return _failed(550, "5.1.2", f"{domain} is no IP address", f"{domain} is no IP address")
        refusal = self._forbidden(address)
        if refusal:
            return _loop(domain, f"{address}, {refusal}")
        return Found((Target(address, address, self._settings.mx_port),))

    def _shuffled(self, exchangers: list[tuple[int, str]]) -> list[tuple[int, str]]:
        keyed = [(preference, self._rng.random(), host) for preference, host in exchangers]
        return [(preference, host) for preference, _, host in sorted(keyed)]

    async def _addresses(self, domain: str, exchangers: list[tuple[int, str]]) -> Found | Outcome:
        settings = self._settings
        targets: list[Target] = []
        troubles: list[str] = []
        forbidden = ""
        own: int | None = None
        # A proxy's own address is not known, and so not its name.
        ipv6 = settings.socks is None and await self._ipv6.is_named()
        for preference, host in exchangers:
            if (own is not None and preference >= own) or len(targets) >= settings.most_addresses:
                break
            addresses, trouble = await self._look_up(host, ipv6=ipv6)
            if trouble:
                troubles.append(f"{host}: {trouble}")
            for address in addresses:
                refusal = self._forbidden(address)
                if not refusal:
                    targets.append(Target(host, address, settings.mx_port))
                    continue
                forbidden = f"{host} has the address {address}, {refusal}"
                if refusal == _OURS:
                    own = preference
        if own is not None:
            # RFC 5321 §5.1 again: addresses of ours beside equal ones.
            equal = {host for preference, host in exchangers if preference >= own}
            targets = [target for target in targets if target.host not in equal]
        if targets:
            return Found(tuple(targets[: settings.most_addresses]), tuple(exchangers))
        if troubles:
            return _names_fail(domain, "; ".join(troubles))
        if forbidden:
            return _loop(domain, forbidden)
        names = ", ".join(host for _, host in exchangers)
        text = f"no mail exchanger of {domain} has an address"
        return _failed(550, "5.4.4", text, f"{text} that can be reached from here ({names})")

    async def _look_up(self, host: str, *, ipv6: bool) -> tuple[list[str], str]:
        """Addresses in the order to try, and the trouble if there may be more."""
        kinds = ["A", "AAAA"] if ipv6 or self._settings.allow_loopback else ["A"]
        asked = [self._resolver.look_up(host, kind) for kind in kinds]
        found: dict[str, list[str]] = {}
        trouble = ""
        for kind, question in zip(kinds, asked, strict=True):
            answer = await question
            if answer.status is Status.TEMPERROR:
                trouble = answer.reason or "no answer from the name servers"
            found[kind] = [str(record) for record in answer.records]
        if not ipv6:
            found["AAAA"] = [a for a in found.get("AAAA", ()) if ipaddress.ip_address(a).is_loopback]
        first, second = ("AAAA", "A") if self._settings.prefer_ipv6 else ("A", "AAAA")
        return found.get(first, []) + found.get(second, []), trouble

    def _forbidden(self, text: str) -> str:
        """Why mail may not be sent to this address by MX; "" when it may."""
        address = ipaddress.ip_address(text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if address.is_loopback:
            return "" if self._settings.allow_loopback else "the loopback of this machine"
        if address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved:
            return "which is no address of a host"
        return _OURS if text in self._settings.own_addresses or text in self._own_addresses() else ""


_OURS = "this machine's own"


def _failed(code: int, enhanced: str, text: str, reason: str) -> Outcome:
    return Outcome(Result.FAILED, Reply(code, enhanced, text), reason=reason)


def _names_fail(domain: str, reason: str) -> Outcome:
    text = f"the mail exchangers of {domain} cannot be looked up now"
    return Outcome(Result.TRY_AGAIN, Reply(451, "4.4.3", text), reason=f"{text}: {reason}")


def _loop(domain: str, where: str) -> Outcome:
    text = f"mail for {domain} leads back to this machine"
    reason = (
        f"{text} ({where}): if the domain is ours, add it with `mailappliance domain add {domain}`; if not, its owner "
        "must correct the MX record"
    )
    return _failed(554, "5.4.6", text, reason)
