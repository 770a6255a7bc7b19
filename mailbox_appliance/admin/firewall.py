"""Rules for the kernel's packet filter: `firewall` opens what the config listens on, `guard nft` shuts out the banned.

Both print text for nft(8) and change nothing themselves: a rule set that a mail server loads behind the owner's back
could lock the owner out.
"""

from __future__ import annotations

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
}


def nft_table(banned: Iterable[tuple[str, float]]) -> tuple[str, ...]:
    """A table of its own, loaded whole: ``mailappliance guard nft | nft -f -``. Times in seconds."""
    rows: dict[str, list[str]] = {"ipv4_addr": [], "ipv6_addr": []}
    for address, seconds in banned:
        kind = "ipv6_addr" if ":" in address else "ipv4_addr"
        rows[kind].append(f"{address} timeout {max(round(seconds), 1)}s")
    lines = [
        "# load it with: mailappliance guard nft | nft -f -",
        "table inet mailappliance_guard",
        "delete table inet mailappliance_guard",
        "table inet mailappliance_guard {",
    ]
    for name, kind in (("banned4", "ipv4_addr"), ("banned6", "ipv6_addr")):
        lines += [f"  set {name} {{", f"    type {kind}", "    flags interval, timeout"]
        if rows[kind]:
            lines.append(f"    elements = {{ {', '.join(rows[kind])} }}")
        lines.append("  }")
    lines += [
        "  chain input {",
        "    type filter hook input priority -10; policy accept;",
        "    ip saddr @banned4 drop",
        "    ip6 saddr @banned6 drop",
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
