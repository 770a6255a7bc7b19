"""Name look-ups."""

from __future__ import annotations

from typing import Any

from mailbox_appliance.config.model import Config
from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.journal.journal import Journal


def make_resolver(config: Config, reactor: Any, journal: Journal) -> DnsResolver:
    """[dns] servers, or those of /etc/resolv.conf."""
    return DnsResolver(reactor, journal, DnsSettings(servers=tuple(map(str, config.dns.servers))))
