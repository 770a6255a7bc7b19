"""What the owner decides about checks: which, how heavy, whom to believe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from ipaddress import IPv4Network, IPv6Network

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class DnsList:
    """A list of addresses in the DNS (RFC 5782). Positive ``weight`` for lists of bad ones, negative for good ones."""

    zone: str
    weight: float = 6.0


@dataclass(frozen=True, slots=True)
class ChecksSettings:
    """``authserv_id`` is who speaks in Authentication-Results: the host name.

    ``weights`` and ``actions`` replace rows of checks/verdict.py, by "check result" such as "spf fail";
    ``switched_off`` names checks that are not made at all (ports.checks.CHECK_NAMES).
    """

    authserv_id: str
    lists: tuple[DnsList, ...] = ()
    domain_lists: tuple[DnsList, ...] = ()  # of domains: From, Reply-To, the reverse path, links in the text
    people: tuple[str, ...] = ()  # whom forgers imitate, beside accounts that are named like people
    switched_off: frozenset[str] = frozenset()
    weights: Mapping[str, float] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    junk_at: float = 5.0
    reject_at: float = 10.0
    enabled: bool = (
        True  # False: strangers' mail is judged by what each recipient has said and taught, and nothing else
    )
    greylist: bool = False
    suspicious_at: float = 2.0  # points from which a first-time sender is asked to come again, with ``greylist``
    least_lessons: int = 5  # of a person, before his filter is heard where checks are off
    look_up_seconds: float = 20.0  # all look-ups of one message together
    # Whom the owner believes although DMARC fails: hosts that forward to us, sealers (ARC), domains of mailing lists.
    forwarders: tuple[Network, ...] = ()
    trusted_sealers: frozenset[str] = frozenset()
    trusted_lists: frozenset[str] = frozenset()


def dns_lists(zones: tuple[str, ...], weight: float = 6.0) -> tuple[DnsList, ...]:
    """``[checks] dnsbl`` as the owner writes it: zones, each with "=figure" behind it if it shall weigh otherwise.

    Raises ValueError for a figure that is none.
    """
    found = []
    for text in zones:
        zone, equals, figure = text.partition("=")
        found.append(DnsList(zone.strip().lower().strip("."), float(figure) if equals else weight))
    return tuple(found)
