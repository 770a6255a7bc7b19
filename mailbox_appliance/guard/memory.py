"""What the guard remembers, without I/O: failures per address in a sliding window, bans that grow, known devices.

An IPv6 peer counts as its /64, since that is what one household or one rented machine has. Two tables, both bounded
and least-recently-used first out: strangers' failures can never push out the known devices.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from dataclasses import field

from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.values import dataclass

# What a failure weighs against the limit. A wrong recipient is mostly a stale address book or a careless sender, and
# a session has its own limits for those; a protocol error is rude, not a guess at a password.
WEIGHTS: dict[str, float] = {"password": 1.0, "protocol": 0.5, "recipient": 0.1}
TOKENS_KEPT = 16
DEVICES_AN_ADDRESS = 32
_WAITING = 4  # times the table: more changes are never kept back, what they were about is forgotten anyway
_LOOKED_AT = 8  # with a ban, spared for each newcomer; then one of them goes after all

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """All times in seconds.

    At ``limit`` weights within ``window`` an address is refused for ``first_ban``, the next time within
    ``forget_after`` for twice as long, up to ``longest_ban``. Addresses in ``exempt`` are never counted.
    """

    limit: float = 10.0
    window: float = 60.0
    first_ban: float = 60.0
    longest_ban: float = 3600.0
    forget_after: float = 86400.0
    device_for: float = 30 * 86400.0  # how long after its last log-in a device is known
    same_password_once: bool = True  # a wrong password said again by the same address is no new guess
    same_password_for: float = 3600.0
    longest_delay: float = 2.0
    most_addresses: int = 10_000
    most_devices: int = 2_000
    exempt: tuple[IPNetwork, ...] = ()
    write_every: float = 2.0
    # So much together from one IPv4 /24 or IPv6 /48 shuts the whole of it out, as if it were one address.
    network_limit: float = 60.0
    network_window: float = 600.0
    most_networks: int = 2_000
    # So many different wrong passwords of strangers at one account are looked at; then theirs are not for a while.
    account_limit: float = 50.0
    account_window: float = 3600.0
    account_ban: float = 900.0
    patient_recipients: int = 100  # unknown recipients an hour from one address that are answered at once
    longest_tarpit: float = 5.0


def household(peer: IPAddress) -> IPAddress:
    """The key under which ``peer`` is counted: itself, or the first address of its /64."""
    if isinstance(peer, ipaddress.IPv6Address):
        return ipaddress.IPv6Address(int(peer) >> 64 << 64)
    return peer


def neighbourhood(peer: IPAddress) -> IPNetwork:
    """The network an address is counted with: what one customer of a host often rents, /24 or /48."""
    return ipaddress.ip_network((peer, 24 if peer.version == 4 else 48), strict=False)


def region(peer: IPAddress) -> int:
    """Where a telephone company or a provider has its customers' addresses, roughly: the /16, or IPv6's /32."""
    return int(peer) >> (16 if peer.version == 4 else 96)


def shown(key: IPAddress | IPNetwork) -> str:
    """A key for people: ``192.0.2.1``, ``2001:db8::/64`` or a network."""
    if isinstance(key, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return str(key)
    return f"{key}/64" if key.version == 6 else str(key)


@dataclass(slots=True)
class Failures:
    """A sliding window of weighed failures and the ban that came of it. All times are epoch seconds."""

    recent: deque[tuple[float, float]] = field(default_factory=deque)  # (time, weight), at most limit / least weight
    banned_until: float = 0.0
    bans: int = 0
    last: float = 0.0
    service: str = ""
    account: str = ""
    tokens: OrderedDict[bytes, float] = field(default_factory=OrderedDict)

    def weight(self, now: float, window: float) -> float:
        """What has gathered within ``window`` before ``now``; other failures, a later clock's too, are dropped."""
        while self.recent and not now - window < self.recent[0][0] <= now:
            self.recent.popleft()
        return sum(weight for _, weight in self.recent)

    def banned(self, now: float, longest: float) -> bool:
        """Is the ban still running? One from a clock that was far ahead does not count."""
        return now < self.banned_until <= now + longest

    def add(self, now: float, weight: float, settings: GuardSettings) -> float:
        """Count a failure; returns the seconds of the ban that begins now, or 0."""
        if abs(now - self.last) > settings.forget_after:
            self.bans = 0
        self.last = now
        self.recent.append((now, weight))
        # A little less than the limit, since tenths do not add up exactly.
        if self.weight(now, settings.window) < settings.limit - 1e-6:
            return 0.0
        seconds = min(settings.first_ban * 2.0 ** min(self.bans, 30), settings.longest_ban)
        self.bans += 1
        self.banned_until = now + seconds
        self.recent.clear()
        return seconds

    def repeats(self, token: bytes, now: float, settings: GuardSettings) -> bool:
        """Was this very password said here before, not long ago? Remembers it."""
        said = self.tokens.pop(token, None)
        self.tokens[token] = now
        while len(self.tokens) > TOKENS_KEPT:
            self.tokens.popitem(last=False)
        return said is not None and now - settings.same_password_for < said <= now


@dataclass(slots=True)
class Device:
    """Somebody who has logged in to an account from an address: ``seen`` is when last."""

    seen: float
    failures: Failures = field(default_factory=Failures)


class Memory:
    """The two tables. ``changed_*`` collect the keys to be written (those no longer in a table are to be deleted)."""

    def __init__(self) -> None:
        self.strangers: OrderedDict[IPAddress, Failures] = OrderedDict()
        self.devices: OrderedDict[IPAddress, dict[str, Device]] = OrderedDict()
        self.networks: OrderedDict[IPNetwork, Failures] = OrderedDict()  # not kept over restarts
        self.changed_strangers: set[IPAddress] = set()
        self.changed_devices: set[IPAddress] = set()

    def failures(self, key: IPAddress, most: int) -> Failures:
        """The record of ``key``, made when missing, as the one used last."""
        record = self.strangers.get(key)
        if record is None:
            record = self.strangers[key] = Failures()
            self._make_room(most)
        else:
            self.strangers.move_to_end(key)
        self.changed_strangers.add(key)
        return record

    def _make_room(self, most: int) -> None:
        """The least recently used go, but for those with a ban behind them as long as others are found: a flood of
        addresses that fail once each must not buy back who failed often."""
        looked = 0
        while len(self.strangers) > most:
            gone, record = self.strangers.popitem(last=False)
            if record.bans and looked < _LOOKED_AT:
                looked += 1
                self.strangers[gone] = record
                continue
            self.changed_strangers.add(gone)
        if len(self.changed_strangers) > _WAITING * most:  # a flood while the disk is away
            self.changed_strangers.intersection_update(self.strangers)

    def network(self, key: IPAddress, most: int) -> Failures:
        """The record of the network around ``key``, made when missing."""
        network = neighbourhood(key)
        record = self.networks.setdefault(network, Failures())
        self.networks.move_to_end(network)
        while len(self.networks) > most:
            self.networks.popitem(last=False)
        return record

    def device(self, key: IPAddress, account: str, since: float) -> Device | None:
        """The device that logged in to ``account`` (whole, or its local part as typed) from ``key`` after ``since``."""
        devices = self.devices.get(key)
        if not devices or not account:
            return None
        name = account.strip().lower()
        found = devices.get(name)
        if found is None and "@" not in name:
            found = next((one for address, one in devices.items() if address.partition("@")[0] == name), None)
        return found if found is not None and found.seen > since else None

    def knows(self, key: IPAddress, since: float) -> bool:
        """Has anybody logged in from ``key`` after ``since``?"""
        return any(one.seen > since for one in self.devices.get(key, {}).values())

    def near(self, key: IPAddress, account: str, since: float) -> bool:
        """Has somebody logged in to ``account`` after ``since`` from an address like this one?"""
        wanted = region(key)
        return any(
            known.version == key.version and region(known) == wanted and self.device(known, account, since) is not None
            for known in self.devices
        )

    def welcome(self, key: IPAddress, account: str, now: float, most: int) -> None:
        """``account`` logged in from ``key``."""
        devices = self.devices.setdefault(key, {})
        self.devices.move_to_end(key)
        name = account.strip().lower()
        device = devices.get(name)
        if device is None:
            devices[name] = Device(now)
        else:
            device.seen = now
        while len(devices) > DEVICES_AN_ADDRESS:
            del devices[min(devices, key=lambda one: devices[one].seen)]
        self.changed_devices.add(key)
        while len(self.devices) > most:
            gone, _ = self.devices.popitem(last=False)
            self.changed_devices.add(gone)

    def sweep(self, now: float, settings: GuardSettings) -> None:
        """Forget what no longer matters."""
        oldest = now - settings.forget_after
        for key in [key for key, one in self.strangers.items() if one.last <= oldest and one.banned_until <= now]:
            del self.strangers[key]
            self.changed_strangers.add(key)
        for key, devices in list(self.devices.items()):
            for name in [name for name, one in devices.items() if one.seen <= now - settings.device_for]:
                del devices[name]
                self.changed_devices.add(key)
            if not devices:
                del self.devices[key]
