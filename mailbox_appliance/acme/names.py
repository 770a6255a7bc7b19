"""Which of the names can be proven to be ours: an order with one wrong name fails as a whole (RFC 8555 §7.4)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from mailbox_appliance.ports.dns import Resolver, Status


async def split_names(
    names: Sequence[str], resolver: Resolver, own: frozenset[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The names worth ordering, and why the others are not.

    ``own`` are our public addresses; empty when we cannot know them (behind NAT): then a name only needs to have an
    address. A name server's temporary failure leaves a name in: the authority has a resolver of its own.
    """
    good: list[str] = []
    left_out: dict[str, str] = {}
    for name in names:
        reason = await _reason_against(name, resolver, own)
        if reason:
            left_out[name] = reason
        else:
            good.append(name)
    return tuple(good), left_out


async def _reason_against(name: str, resolver: Resolver, own: frozenset[str]) -> str:
    addresses: list[str] = []
    unsure = False
    for rdtype in ("A", "AAAA"):
        answer = await resolver.look_up(name, rdtype)
        unsure = unsure or answer.status is Status.TEMPERROR
        if answer.status is Status.OK:
            addresses += [str(ipaddress.ip_address(str(record))) for record in answer.records]
    if not addresses:
        return "" if unsure else "it has no address in the DNS"
    if own and not own & set(addresses):
        return f"it points to {', '.join(addresses[:3])}, which is not this machine"
    return ""


def public_addresses() -> frozenset[str]:
    """The public addresses this machine sends from; empty behind NAT. Sends nothing, waits for nothing."""
    found = set()
    # Addresses set aside for documentation (RFC 5737, RFC 3849): a UDP socket's connect only asks the routing table.
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))
                address = ipaddress.ip_address(probe.getsockname()[0].partition("%")[0])
        except OSError:
            continue
        if address.is_global:
            found.add(str(address))
    return frozenset(found)
