"""The listeners of all services together: who may come in, who is there, and the way down.

Limits of connections count over all ports; an address is an IPv4 address or an IPv6 /64.
"""

from __future__ import annotations

from collections import Counter

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from mailbox_appliance.mail.client import network_of
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.certificates import Certificates
from mailbox_appliance.smtp.door import Door
from mailbox_appliance.smtp.limits import is_in
from mailbox_appliance.smtp.parts import Parts
from mailbox_appliance.smtp.replies import BANNED, STOPPING
from mailbox_appliance.wire.smtp.terms import SERVICES

TOO_MANY = Reply(421, "4.7.0", "Too many connections, try again later")
TOO_MANY_OF_YOU = Reply(421, "4.7.0", "Too many connections from your address, try again later")
NOT_FOR_YOU = Reply(554, "5.7.1", "This service is not open to your address")

NEIGHBOURS = frozenset({"lmtp", "link"})  # no strangers: neither guard nor limits for an address are for them


class DoorFactory(Factory):
    """Makes Doors of one service."""

    noisy = False

    def __init__(self, station: SmtpStation, service: str) -> None:
        self._station = station
        self._name = service

    def buildProtocol(self, addr: IAddress | None) -> Door:
        return Door(self._station, self._name)


class SmtpStation:
    """All doors together: ``factory("smtp")`` and its siblings share limits, memory budget and the way down."""

    def __init__(self, parts: Parts, certificates: Certificates | None) -> None:
        self.parts = parts  # replaced on reload; sessions keep what they began with
        self.certificates = certificates
        self.stopping = False
        self._doors: set[Door] = set()
        self._by_network: Counter[object] = Counter()
        self._drained: Deferred[None] | None = None

    def factory(self, service: str) -> DoorFactory:
        """The factory for an endpoint: "smtp", "submission", "submissions", "lmtp" (TLS is begun here)."""
        if SERVICES[service].implicit_tls and self.certificates is None:
            raise ValueError(f"{service} needs a certificate")
        return DoorFactory(self, service)

    def __len__(self) -> int:
        return len(self._doors)

    def admit(self, door: Door, service: str) -> tuple[Reply, str] | None:
        """Count a new connection, or say why not: (reply, reason)."""
        settings = self.parts.settings
        limits = settings.limits
        submission = SERVICES[service].needs_auth
        if self.stopping:
            return STOPPING, "stopping"
        if submission and settings.submission_from and not is_in(door.address, settings.submission_from):
            return NOT_FOR_YOU, "not in submission_from"
        if service not in NEIGHBOURS and self.parts.guard.refuses(door.address, service, "" if submission else None):
            return BANNED, "banned"
        if limits.connections and len(self._doors) >= limits.connections - self._kept_from(door, submission):
            return TOO_MANY, "too many connections"
        network = network_of(door.address)
        if (
            service not in NEIGHBOURS
            and limits.connections_per_address
            and self._by_network[network] >= limits.connections_per_address
        ):
            return TOO_MANY_OF_YOU, "too many connections from this address"
        self._doors.add(door)
        self._by_network[network] += 1
        return None

    def _kept_from(self, door: Door, submission: bool) -> int:
        """How many places are not for this one: all of the reserve on 25, half of it for strangers on 587 and 465."""
        reserve = self.parts.settings.limits.reserve
        if not submission:
            return reserve
        return 0 if self.parts.guard.knows(door.address) else reserve // 2

    def forget(self, door: Door) -> None:
        """The connection and its conversation are both over."""
        if door not in self._doors:
            return
        self._doors.remove(door)
        network = network_of(door.address)
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]
        if not self._doors and self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def drain(self) -> Deferred[None]:
        """Say 421 everywhere; content on its way may finish for ``limits.drain`` seconds. Fires when all is over."""
        self.stopping = True
        drained: Deferred[None] = Deferred()
        if not self._doors:
            drained.callback(None)
            return drained
        self._drained = drained
        cut = self.parts.clock.callLater(self.parts.settings.limits.drain, self._cut)
        drained.addBoth(lambda result: cut.cancel() if cut.active() else None)
        for door in list(self._doors):
            door.stop()
        return drained

    def _cut(self) -> None:
        for door in list(self._doors):
            door.abort()
