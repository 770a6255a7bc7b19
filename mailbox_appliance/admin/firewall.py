"""Rules for the kernel's packet filter: `firewall` opens what the config listens on, `guard nft` shuts out the banned.

Both print text for nft(8) and change nothing themselves: a rule set that a mail server loads behind the owner's back
could lock the owner out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence

from mailbox_appliance.admin.result import Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.config.model import Config

WHY = {
    "smtp": "mail from other servers",
    "submission": "mail programs send (STARTTLS)",
    "submissions": "mail programs send (TLS)",
    "imap": "mail programs read (STARTTLS)",
    "imaps": "mail programs read (TLS)",
    "http": "certificates (ACME)",
    "https": "MTA-STS policy",
    "lmtp": "local delivery",
    "managesieve": "filters",
    "link": "the paired store",
}

_SETS = (
    ("places4", "ipv4_addr", "timeout"),
    ("networks4", "ipv4_addr", "interval, timeout"),
    ("places6", "ipv6_addr", "interval, timeout"),
    ("networks6", "ipv6_addr", "interval, timeout"),
    ("kept4", "ipv4_addr", "interval"),
    ("kept6", "ipv6_addr", "interval"),
)
_DROPPED = (("ip", "places4"), ("ip", "networks4"), ("ip6", "places6"), ("ip6", "networks6"))


def nft_table(
    banned: Iterable[tuple[str, float]], kept: Iterable[str] = (), ports: Sequence[int] = ()
) -> tuple[str, ...]:
    """A table of its own, loaded whole: ``mailappliance guard nft | nft -f -``. Times in seconds.

    ``kept`` are networks and addresses that come in all the same (known devices inside a shut-out network); on other
    ports than ``ports`` nobody is refused, SSH least of all. Raises ValueError for what is no address.
    """
    sets: dict[str, list[str]] = {name: [] for name, _, _ in _SETS}
    # Addresses and networks have sets of their own: a network and an address within it may not stand in one.
    for text, seconds in banned:
        network = ipaddress.ip_network(text)
        one_place = network.prefixlen == (32 if network.version == 4 else 64)
        sets[f"{'places' if one_place else 'networks'}{network.version}"].append(
            f"{network if network.num_addresses > 1 else network[0]} timeout {max(round(seconds), 1)}s"
        )
    allowed = [ipaddress.ip_network(text) for text in kept]
    fours = ipaddress.collapse_addresses(one for one in allowed if isinstance(one, ipaddress.IPv4Network))
    sixes = ipaddress.collapse_addresses(one for one in allowed if isinstance(one, ipaddress.IPv6Network))
    sets["kept4"], sets["kept6"] = list(map(str, fours)), list(map(str, sixes))
    lines = [
        "# load it with: mailappliance guard nft | nft -f -",
        "table inet mailappliance_guard",
        "delete table inet mailappliance_guard",
        "table inet mailappliance_guard {",
    ]
    for name, kind, flags in _SETS:
        lines += [f"  set {name} {{", f"    type {kind}", f"    flags {flags}"]
        if sets[name]:
            lines.append(f"    elements = {{ {', '.join(sets[name])} }}")
        lines.append("  }")
    where = f"tcp dport {{ {', '.join(map(str, ports))} }} " if ports else ""
    lines += [
        "  chain input {",
        "    type filter hook input priority -10; policy accept;",
        "    ip saddr @kept4 accept",
        "    ip6 saddr @kept6 accept",
        *(f"    {where}{kind} saddr @{name} drop" for kind, name in _DROPPED),
        "  }",
        "}",
    ]
    return tuple(lines)


class FirewallDesk:
    """``config_now`` is asked each time: ports change with the file."""

    def __init__(self, config_now: Callable[[], Config]) -> None:
        self._config_now = config_now

    async def firewall(self, arguments: Arguments) -> Result:
        """What must be reachable, as a rule set for nftables."""
        ports = open_ports(self._config_now())
        data = [
            {"port": port, "for": why, "from": ", ".join(networks) or "everywhere"} for port, why, networks in ports
        ]
        return Result(rule_set(ports), data=data)


def open_ports(config: Config) -> list[tuple[int, str, tuple[str, ...]]]:
    """(port, what for, networks it is for; none = everywhere), by port, but for what only this machine can reach."""
    found: dict[int, tuple[str, tuple[str, ...]]] = {}
    for protocol, endpoints in config.listen.endpoints().items():
        for endpoint in endpoints:
            if endpoint.kind in ("tcp", "tcp6") and not endpoint.is_loopback:
                # An edge keeps it by itself: its store may come from anywhere, and is always let in.
                kept = protocol.startswith("submission") and config.role != "edge"
                only = config.listen.submission_from if kept else ()
                found[endpoint.port] = (WHY[protocol], tuple(map(str, only)))
    return [(port, *found[port]) for port in sorted(found)]


def rule_set(ports: Sequence[tuple[int, str, tuple[str, ...]]]) -> tuple[str, ...]:
    """Everything closed but ``ports``, SSH, pings and answers to what this machine asked."""
    lines = [
        "# load it with: mailappliance firewall | nft -f -   (or keep it in /etc/nftables.conf)",
        "# mail also leaves this machine: nothing here stops what goes out",
        "table inet mailappliance_ports",
        "delete table inet mailappliance_ports",
        "table inet mailappliance_ports {",
        "  chain input {",
        "    type filter hook input priority 0; policy drop;",
        "    ct state established,related accept",
        "    ct state invalid drop",
        "    iif lo accept",
        "    meta l4proto { icmp, ipv6-icmp } accept",
        "    tcp dport 22 accept  # SSH: yours, lest you lock yourself out",
        "    udp sport 67 udp dport 68 accept  # DHCP",
    ]
    for port, why, networks in ports:
        if not networks:
            lines.append(f"    tcp dport {port} accept  # {why}")
        for network in networks:
            family = "ip6" if ":" in network else "ip"
            lines.append(f"    {family} saddr {network} tcp dport {port} accept  # {why}")
    lines += ["  }", "}"]
    return tuple(lines)
