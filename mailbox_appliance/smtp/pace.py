"""How fast newcomers may come: whoever opens connections faster than any mail server needs to waits for his greeting.

A bucket for each network (/24, /64) and each account: it fills by ``per_minute`` a minute and holds as many. An empty
one makes the next ones wait, each longer, up to ``longest`` seconds; nobody is refused for it. A slow-down keeps a
flood from taking turns away from others, while a list host or a phone that reconnects never notices it.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_network

from mailbox_appliance.mail.client import IPAddress

MOST_KEPT = 8192


class Pace:
    """Bounded: the least recently seen are forgotten."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[object, tuple[float, float]] = OrderedDict()  # what is left, when

    def wait(self, who: object, now: float, per_minute: int, longest: float) -> float:
        """Count one arrival of ``who``; the seconds it must wait. ``per_minute`` 0: never."""
        if not per_minute:
            return 0.0
        rate = per_minute / 60
        left, when = self._buckets.get(who, (float(per_minute), now))
        left = min(left + max(now - when, 0.0) * rate, float(per_minute)) - 1
        left = max(left, -longest * rate)
        self._buckets[who] = left, now
        self._buckets.move_to_end(who)
        if len(self._buckets) > MOST_KEPT:
            self._buckets.popitem(last=False)
        return max(-left / rate, 0.0)


_AT_HOME = tuple(
    map(
        ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7", "fe80::/10")
    )
)


def is_at_home(address: IPAddress) -> bool:
    """An address of this machine or of a private network: behind it may be everybody (a container's gateway, a NAT)."""
    return any(address in network for network in _AT_HOME)


def neighbourhood(address: IPAddress) -> object:
    """The /24 of an IPv4 address, the /64 of an IPv6 one."""
    return ("/24", int(address) >> 8) if address.version == 4 else ("/64", int(address) >> 64)
