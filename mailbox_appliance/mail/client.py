"""Who speaks to us: the peer's address as policy, guard and journal see it."""

from __future__ import annotations

import enum
import ipaddress

from mailbox_appliance.mail.values import dataclass

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def peer_address(text: str) -> IPAddress:
    """Read an IP address; an IPv4 peer on a dual-stack socket (``::ffff:192.0.2.1``) is IPv4 from here on."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network_of(address: IPAddress) -> object:
    """A key for what counts as one address: IPv4, or a /64 of IPv6. (An address object is slow to hash.)"""
    return int(address) if address.version == 4 else ("/64", int(address) >> 64)


class Origin(enum.Enum):
    """Where a transaction comes from: the first column of the policy table."""

    AUTHENTICATED = "authenticated"  # 587/465 after AUTH
    LAN = "lan"  # a configured network
    DEVICE = "device"  # a scanner or NAS that the owner has named
    WAN = "wan"  # everybody else
    PAIRED = "paired"  # the paired edge or store, authenticated
    LOCAL = "local"  # ourselves: DSNs, notices, the sendmail command


@dataclass(frozen=True, slots=True)
class Client:
    """The peer of one session. ``helo`` is what it calls itself (never trusted); ``tls`` such as "TLSv1.3" or ""."""

    address: IPAddress
    port: int
    service: str  # smtp, submission, submissions, imap, imaps, lmtp …
    helo: str = ""
    extended: bool = False  # said EHLO, not HELO
    tls: str = ""
    cipher: str = ""
    account: str = ""  # the account's address after AUTH
    device: str = ""  # the owner's name for a device of the house
