"""Has this machine a way to IPv6 hosts, and a name there? Large providers refuse IPv6 mail from nameless addresses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Protocol

from mailbox_appliance.journal.events.relay import Ipv6Nameless
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Resolver, Status
from mailbox_appliance.ports.journal import Journal

_REMEMBERED = 30.0
_NAMED = 600.0  # how long an answer about our name counts, also when the reverse zone is silent
_TOLD = 86_400.0


def own_ipv6() -> str:
    """The global address that a global IPv6 destination would see; "" for none. Sends nothing: the kernel knows."""
    if not socket.has_ipv6:
        return ""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2000::1", 53))
            address = ipaddress.ip_address(probe.getsockname()[0].partition("%")[0])
    except OSError:
        return ""
    return str(address) if address.is_global else ""


class Ipv6(Protocol):
    """What the look-up of exchangers asks."""

    def exists(self) -> bool:
        """Is there a way to IPv6 hosts?"""

    async def is_named(self) -> bool:
        """Is there one, with a PTR of ours that leads back?"""


class Ipv6Way:
    """``ask`` tells our address; asked at most every half minute, since routes change rarely and messages are many."""

    def __init__(self, resolver: Resolver, clock: Clock, journal: Journal, ask: Callable[[], str] = own_ipv6) -> None:
        self._resolver = resolver
        self._clock = clock
        self._journal = journal
        self._ask = ask
        self._known: tuple[float, str] | None = None
        self._named: tuple[float, str, bool] | None = None
        self._told = float("-inf")

    def _own(self) -> str:
        now = self._clock.seconds()
        if self._known is None or not 0 <= now - self._known[0] < _REMEMBERED:
            self._known = (now, self._ask())
        return self._known[1]

    def exists(self) -> bool:
        """Is there a way to IPv6 hosts?"""
        return bool(self._own())

    async def is_named(self) -> bool:
        """Is there one, with a PTR of ours that leads back? A name server that is silent counts as no."""
        own, now = self._own(), self._clock.seconds()
        if not own:
            return False
        if self._named is not None and self._named[1] == own and 0 <= now - self._named[0] < _NAMED:
            return self._named[2]
        reason = await self._lacks(own)
        self._named = (now, own, not reason)
        if reason and not 0 <= now - self._told < _TOLD:
            self._told = now
            self._journal.tell(Ipv6Nameless(address=own, reason=reason))
        return not reason

    async def _lacks(self, own: str) -> str:
        found = await self._resolver.look_up(ipaddress.ip_address(own).reverse_pointer, "PTR")
        if found.status is not Status.OK or not found.records:
            return "it has no PTR record" if found.status is not Status.TEMPERROR else found.reason
        names = [str(record) for record in found.records[:3]]
        for name in names:
            forward = await self._resolver.look_up(name, "AAAA")
            if own in [str(ipaddress.ip_address(str(record))) for record in forward.records]:
                return ""
        return f"its name {names[0]} does not lead back to it"
