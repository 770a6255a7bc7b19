"""Has this machine a way to IPv6 hosts? Asked of the kernel's routing table; no packet is sent."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from mailbox_appliance.ports.clock import Clock

_REMEMBERED = 30.0


def has_ipv6() -> bool:
    """True when a global IPv6 destination would be left by a global address of ours."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2000::1", 53))
            return ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]).is_global
    except OSError:
        return False


def remembered(ask: Callable[[], bool], clock: Clock) -> Callable[[], bool]:
    """``ask``, but at most every half minute: routes change rarely, and messages are many."""
    known: tuple[float, bool] | None = None

    def answer() -> bool:
        nonlocal known
        now = clock.seconds()
        if known is None or not 0 <= now - known[0] < _REMEMBERED:
            known = (now, ask())
        return known[1]

    return answer
