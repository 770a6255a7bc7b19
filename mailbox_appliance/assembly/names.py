"""Name look-ups, and the checks that stand on them."""

from __future__ import annotations

from typing import Any

from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.settings import checks_settings
from mailbox_appliance.checks.stages import StrangerChecks
from mailbox_appliance.config.model import Config
from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.workers import ThreadedWorkers


def make_resolver(config: Config, reactor: Any, journal: Journal) -> DnsResolver:
    """[dns] servers, or those of /etc/resolv.conf."""
    return DnsResolver(reactor, journal, DnsSettings(servers=tuple(map(str, config.dns.servers))))


def make_checks(
    config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal, names: Names, directory: Directory
) -> StrangerChecks | None:
    """[checks]; None when they are off, and in local mode, where nobody is asked for names."""
    if not config.checks.enabled or config.local:
        return None
    return StrangerChecks(checks_settings(config), reactor, workers, journal, names, directory)
