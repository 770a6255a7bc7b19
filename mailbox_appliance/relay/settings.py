"""The relay's figures and routes, all in one place; times are seconds."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass


class Security(enum.Enum):
    """How the connection to a configured host is protected; the values are those of ``[relay] tls``."""

    STARTTLS = "starttls"  # required and verified
    IMPLICIT = "implicit"  # TLS from the first octet, verified (RFC 8314 §3.3)
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Host:
    """A configured next host: the smarthost, or where the mail of one domain goes."""

    host: str
    port: int = 587
    security: Security = Security.STARTTLS
    user: str = ""
    password_file: str = ""
    pins: tuple[str, ...] = ()  # SHA-256 of keys (SPKI), hex: one of them, and neither roots nor name, is the proof

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A SOCKS5 proxy through which connections go out (RFC 1928, RFC 1929)."""

    host: str
    port: int = 1080
    user: str = ""
    password_file: str = ""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """RFC 5321 §4.5.3.2; ``scale`` shortens or stretches them all (but ``connect``)."""

    connect: float = 30.0
    greeting: float = 300.0
    hello: float = 300.0
    handshake: float = 60.0
    auth: float = 120.0
    envelope: float = 300.0
    data: float = 120.0
    block: float = 180.0
    final: float = 600.0
    quit: float = 5.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """``hostname`` is what we say in EHLO. Without ``smarthost`` and ``direct`` nothing leaves, and the reason says so.

    ``routes``: recipient domain → host, before all else; ``senders``: sender's domain → its smarthost. With
    ``smarthost`` and ``direct`` both, mail goes direct, and by the smarthost where a provider refuses our address, or
    after ``fallback_after`` failed attempts (0: never for that). ``own_names`` and ``own_addresses``: an MX that leads
    there is a loop. ``trust_anchor``: PEM file of roots beside the system's. ``dead_for``: how long an address that
    could not be reached is passed over (keep it below the first retry).
    """

    hostname: str
    smarthost: Host | None = None
    direct: bool = False
    routes: Mapping[str, Host] = field(default_factory=lambda: MappingProxyType({}))
    senders: Mapping[str, Host] = field(default_factory=lambda: MappingProxyType({}))
    fallback_after: int = 0
    socks: Proxy | None = None
    mx_port: int = 25
    allow_loopback: bool = False
    own_names: frozenset[str] = frozenset()
    own_addresses: frozenset[str] = frozenset()
    trust_anchor: str = ""
    probe_sender: Address | None = None
    timeouts: Timeouts = Timeouts()
    carry_seconds: float = 3600.0
    most_exchangers: int = 10
    most_addresses: int = 10
    prefer_ipv6: bool = False  # IPv4 first: hosts without PTR for IPv6 are refused by the large providers
    idle_seconds: float = 15.0
    most_idle: int = 50
    most_idle_per_host: int = 5
    messages_per_connection: int = 100
    dead_for: float = 60.0
    learned_for: float = 7 * 86_400.0  # how long a provider that refuses our address gets its mail by the smarthost
