"""A Guard that counts and remembers, without time."""

from __future__ import annotations

import ipaddress
from collections import Counter

from mailbox_appliance.mail.client import IPAddress


class FakeGuard:
    """Refuses an address after ``limit`` failed passwords; put addresses into ``banned`` to refuse them at once."""

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit
        self.tar = 0.0
        self.besieged: set[str] = set()  # accounts
        self.banned: set[IPAddress] = set()
        self.failures: list[tuple[IPAddress, str, str, str]] = []  # (peer, service, account, what)
        self.successes: list[tuple[IPAddress, str, str]] = []
        self._counts: Counter[object] = Counter()
        self._tokens: set[tuple[object, bytes]] = set()

    @staticmethod
    def _network(peer: IPAddress) -> object:
        return ipaddress.IPv6Network((int(peer) >> 64 << 64, 64)) if peer.version == 6 else peer

    def refuses(self, peer: IPAddress, service: str, account: str | None = None) -> bool:
        return peer in self.banned or self._counts[self._network(peer)] >= self.limit

    def devices_only(self, peer: IPAddress, service: str, account: str) -> bool:
        return account in self.besieged

    def failed(self, peer: IPAddress, service: str, account: str, what: str = "password", token: bytes = b"") -> None:
        self.failures.append((peer, service, account, what))
        network = self._network(peer)
        if what != "password" or (token and (network, token) in self._tokens):
            return
        self._tokens.add((network, token))
        self._counts[network] += 1

    def succeeded(self, peer: IPAddress, service: str, account: str) -> None:
        self.successes.append((peer, service, account))

    def knows(self, peer: IPAddress) -> bool:
        return any(self._network(peer) == self._network(known) for known, _, _ in self.successes)

    def tarpit(self, peer: IPAddress) -> float:
        return self.tar

    def delay(self, peer: IPAddress, service: str) -> float:
        return 0.0
