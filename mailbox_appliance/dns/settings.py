"""The resolver's figures, all in one place; times are seconds."""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """``servers`` such as ("127.0.0.1:5353",); empty means those of ``resolv_conf``."""

    servers: tuple[str, ...] = ()
    resolv_conf: str = "/etc/resolv.conf"
    try_seconds: float = 3.0
    rounds: int = 2
    budget_seconds: float = 20.0
    shortest_ttl: int = 5
    longest_ttl: int = 86_400
    longest_negative_ttl: int = 3600
    trouble_ttl: int = 5  # RFC 2308 §7: failures are remembered shortly
    most_entries: int = 5000
    most_at_once: int = 100
    most_waiting: int = 1000
    complain_every: float = 600.0
