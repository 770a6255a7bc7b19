"""What the owner's file says, as frozen values: read at start and at ``reload``, handed to the parts by service.py.

Sizes are octets, times are seconds; 0 means "no limit" where a limit is meant. Paths are absolute.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import field

from mailbox_appliance.mail.values import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen. ``text`` is the whole Twisted endpoint description, fit for ``serverFromString``."""

    text: str
    kind: str  # "tcp", "tcp6", "unix"
    port: int = 0  # 0 = any free port
    interface: str = ""  # "" = all addresses
    path: str = ""  # of a Unix socket
    mode: int = 0o666  # of a Unix socket: who may connect (Twisted's own default)

    @property
    def is_loopback(self) -> bool:
        """Only this machine can reach it."""
        return self.kind == "unix" or (
            self.interface == "localhost"
            or (bool(self.interface) and ipaddress.ip_address(self.interface.partition("%")[0]).is_loopback)
        )


def tcp(port: int, interface: str = "") -> Endpoint:
    """An IPv4 endpoint, as the defaults and local mode name them."""
    return Endpoint(f"tcp:{port}:interface={interface}" if interface else f"tcp:{port}", "tcp", port, interface)


def everywhere(port: int) -> tuple[Endpoint, ...]:
    """All IPv4 and all IPv6 addresses, as two sockets (the service makes the second one IPv6 only)."""
    return tcp(port), Endpoint(f"tcp6:{port}", "tcp6", port)


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host (name in lower case or IP address) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listen:
    """[listen]: endpoints per protocol; an empty tuple is off."""

    smtp: tuple[Endpoint, ...] = everywhere(25)
    submission: tuple[Endpoint, ...] = everywhere(587)
    submissions: tuple[Endpoint, ...] = everywhere(465)
    imap: tuple[Endpoint, ...] = everywhere(143)
    imaps: tuple[Endpoint, ...] = everywhere(993)
    http: tuple[Endpoint, ...] = everywhere(80)
    https: tuple[Endpoint, ...] = ()
    lmtp: tuple[Endpoint, ...] = ()
    managesieve: tuple[Endpoint, ...] = ()
    link: tuple[Endpoint, ...] = ()  # an edge's: everywhere(LINK_PORT) when nothing is said
    submission_from: tuple[Network, ...] = ()  # () = from everywhere
    submission_at: HostPort | None = None  # a store's: where its edge finds its port 587

    def endpoints(self) -> dict[str, tuple[Endpoint, ...]]:
        """Protocol → its endpoints, in the order of the file."""
        return {name: getattr(self, name) for name in PROTOCOLS}


LINK_PORT = 4025  # where an edge waits for its store
PROTOCOLS = ("smtp", "submission", "submissions", "imap", "imaps", "http", "https", "lmtp", "managesieve", "link")


@dataclass(frozen=True, slots=True)
class Networks:
    """[networks]: who is at home."""

    lan: tuple[Network, ...] = ()
    proxies: tuple[Network, ...] = ()  # must speak the PROXY protocol
    xclient: tuple[Network, ...] = ()  # may say XCLIENT


@dataclass(frozen=True, slots=True)
class Device:
    """[devices.NAME]: a scanner or NAS that writes through port 25 without a log-in."""

    address: tuple[Network, ...] = ()
    recipients: tuple[str, ...] = ()  # addresses, or "@domain"
    send_as: str = ""
    per_day: int = 200  # recipients; 0 = as many as it likes


@dataclass(frozen=True, slots=True)
class Scanner:
    """[scanners.NAME]: a program outside that is asked about strangers' mail. ``endpoint``: a path, or where it is."""

    kind: str = ""
    endpoint: HostPort | str | None = None
    when_down: str = "accept"
    weight: float = 5.0
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Tls:
    """[tls]: a certificate from files, and what to run after a new one came."""

    certificate: str = ""
    key: str = ""
    deployed_command: str = ""  # a program and its arguments, run without a shell
    mta_sts: str = "testing"  # enforce, testing, none: the mode of our own policy


@dataclass(frozen=True, slots=True)
class Acme:
    """[acme]: ``wanted`` is True when the file has that section: then certificates are ordered."""

    directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    email: str = ""
    trust_anchor: str = ""
    names: tuple[str, ...] = ()  # () = the hostname alone
    webroot: str = ""
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class NextHost:
    """[relay.domains."…"], [relay.senders."…"]: a host for the mail of one domain, or from one domain."""

    host: HostPort | None = None
    user: str = ""
    password_file: str = ""
    tls: str = "starttls"  # starttls, implicit, none


@dataclass(frozen=True, slots=True)
class Relay:
    """[relay]: how mail leaves. ``domains`` and ``senders`` are hosts by recipient's and by sender's domain."""

    smarthost: HostPort | None = None
    user: str = ""
    password_file: str = ""
    tls: str = "starttls"  # starttls, implicit, none
    trust_anchor: str = ""
    direct: bool | None = None  # None: not said
    mx_port: int = 25
    allow_loopback: bool = False
    first_retry: float = 300.0
    fallback_after: int | None = None  # None: not said; 0: only where a provider refuses our address
    socks: HostPort | None = None
    socks_user: str = ""
    socks_password_file: str = ""
    tls_reports: bool = False
    domains: Mapping[str, NextHost] = field(default_factory=dict)
    senders: Mapping[str, NextHost] = field(default_factory=dict)

    @property
    def route(self) -> str:
        """ "smarthost", "direct" (to each domain's MX), or "none" (``direct = false`` and no smarthost)."""
        if self.smarthost is not None and not self.direct:
            return "smarthost"
        return "none" if self.direct is False else "direct"


@dataclass(frozen=True, slots=True)
class Dns:
    """[dns]: name servers; () = those of /etc/resolv.conf."""

    servers: tuple[HostPort, ...] = ()
    rotate_days: int = 365


@dataclass(frozen=True, slots=True)
class Limits:
    """[limits]: 0 = none."""

    message_size: int = 50 * 1024 * 1024
    quota: int = 0
    connections_per_address: int = 50
    outgoing_per_day: int = 0
    new_recipients_per_day: int = 0
    smtp_idle: float = 300.0
    imap_messages: int = 0
    imap_idle: float = 1800.0


@dataclass(frozen=True, slots=True)
class Sendmail:
    """[sendmail]: mail of programs on this machine."""

    drop: str = ""  # "": STATE/drop
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Store:
    """[store]: how mail is kept."""

    flush: str = "fsync"  # fsync, syncfs
    word_index: bool = True
    undelete_days: int = 14
    undelete_size: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Checks:
    """[checks]: evidence about strangers' mail. ``dnsbl`` entries are "zone" or "zone=weight"."""

    enabled: bool = False
    dnsbl: tuple[str, ...] = ()
    domain_lists: tuple[str, ...] = ()
    forwarders: tuple[Network, ...] = ()
    sealers: tuple[str, ...] = ()
    mailing_lists: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)
    switched_off: tuple[str, ...] = ()
    greylist: bool = False
    dmarc_reports: bool = False


@dataclass(frozen=True, slots=True)
class Guard:
    """[guard]: networks that are never shut out; how long passwords are guessed at each night (0 = not at all)."""

    exempt: tuple[Network, ...] = ()
    password_audit: float = 600.0


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. ``path`` names it ("" in local mode); ``stated`` holds the key paths it really contains."""

    hostname: str
    state: str = "/var/lib/mailappliance"
    role: str = "all"
    listen: Listen = field(default_factory=Listen)
    networks: Networks = field(default_factory=Networks)
    tls: Tls = field(default_factory=Tls)
    acme: Acme = field(default_factory=Acme)
    relay: Relay = field(default_factory=Relay)
    dns: Dns = field(default_factory=Dns)
    limits: Limits = field(default_factory=Limits)
    store: Store = field(default_factory=Store)
    sendmail: Sendmail = field(default_factory=Sendmail)
    checks: Checks = field(default_factory=Checks)
    guard: Guard = field(default_factory=Guard)
    devices: Mapping[str, Device] = field(default_factory=dict)
    scanners: Mapping[str, Scanner] = field(default_factory=dict)
    path: str = ""
    local: bool = False  # local mode: loopback only, nothing leaves, mail to outside is captured
    stated: frozenset[str] = frozenset()

    @property
    def sends_by_edge(self) -> bool:
        """A store sends through its edge, unless the owner names another way."""
        stated = {"relay.smarthost", "relay.direct"} & self.stated
        return self.role == "store" and not stated

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """The names an ordered or self-made certificate must carry."""
        return self.acme.names or (self.hostname,)


SECTIONS: dict[str, type] = {
    "listen": Listen,
    "networks": Networks,
    "tls": Tls,
    "acme": Acme,
    "relay": Relay,
    "dns": Dns,
    "limits": Limits,
    "store": Store,
    "sendmail": Sendmail,
    "checks": Checks,
    "guard": Guard,
}
