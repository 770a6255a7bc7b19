"""What both halves of a pair share: mail relays over connections of the link, and the words of ``status``."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.admin.status import Finding
from mailbox_appliance.admin.words import span_words
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.link.facts import Facts, with_facts
from mailbox_appliance.link.keys import LinkFolder
from mailbox_appliance.link.pool import LineAway
from mailbox_appliance.mail.address import show_reverse_path
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.ports.dns import Answer, Status
from mailbox_appliance.ports.link import Pairing
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.queue import schema
from mailbox_appliance.queue.spool import QueueSpool
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.mx import Target
from mailbox_appliance.relay.settings import Host, RelaySettings, Security, Timeouts
from mailbox_appliance.wire.link import Status as LinkStatus
from mailbox_appliance.workers import ThreadedWorkers

# On a line that is watched, patience is not needed.
LINK_TIMES = Timeouts(connect=10.0, greeting=20.0, hello=20.0, envelope=60.0, data=60.0, block=60.0, final=300.0)
_NO_ADDRESS = "192.0.2.1"  # RFC 5737: nobody's; shown when the other side's is not known
_COUNT_EVERY = 5.0

Connect = Callable[[Any, float], Awaitable[Any]]


@implementer(IStreamClientEndpoint)
class _LinkEndpoint:
    """A connection of the link where others dial."""

    def __init__(self, connect: Connect, seconds: float) -> None:
        self._connect = connect
        self._seconds = seconds

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Twisted asks (IStreamClientEndpoint)."""

        async def connect() -> Any:
            try:
                return await self._connect(protocolFactory, self._seconds)
            except LineAway as away:
                raise ConnectError(string=str(away)) from None

        return Deferred.fromCoroutine(connect())


class _OnlyOne:
    """A resolver that knows the other half and nobody else (ports.dns.Resolver)."""

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address

    def glance(self, name: str, rdtype: str) -> Answer | None:
        """Nothing is remembered."""
        return None

    async def look_up(self, name: str, rdtype: str) -> Answer:
        """Where the link's connection comes from or goes to."""
        if rdtype != "A":
            return Answer(Status.NODATA)
        return Answer(Status.OK, (self._address() or _NO_ADDRESS,))


def link_relay(
    config: Config,
    reactor: Any,
    workers: ThreadedWorkers,
    journal: Journal,
    name: str,
    connect: Connect,
    address: Callable[[], str],
    memory: RelayMemory | None = None,
    base: RelaySettings | None = None,
) -> MailRelay:
    """A relay that knows one host, the other half ``name``, and reaches it by ``connect``."""
    settings = dataclasses.replace(
        base or RelaySettings(config.hostname),
        smarthost=Host(name or "the-other-half.invalid", 25, Security.NONE),
        direct=False,
        timeouts=LINK_TIMES,
        dead_for=1.0,
    )

    def endpoint(_: Target, seconds: float) -> _LinkEndpoint:
        return _LinkEndpoint(connect, seconds)

    return MailRelay(
        reactor,
        workers,
        _OnlyOne(address),
        journal,
        settings,
        memory=memory,
        ipv6=str,
        endpoint=endpoint,
    )


def marked(shipment: Shipment, now: float) -> Shipment:
    """With the id under which the edge remembers it: the same message to the same person from the same sender."""
    sender = show_reverse_path(shipment.envelope.reverse_path)
    id = f"{shipment.trace}.{hashlib.blake2b(sender.encode(), digest_size=4).hexdigest()}"
    return dataclasses.replace(shipment, content=with_facts(shipment.content, Facts(id, Origin.PAIRED, now)))


Carry = Callable[[Shipment], Awaitable[tuple[Outcome, ...]]]


def spawn(journal: Journal, work: Coroutine[Any, Any, None]) -> None:
    """Run it; what goes wrong is journaled."""

    def broken(failure: Failure) -> None:
        journal.broken("link", failure.value or RuntimeError("no reason given"))

    Deferred.fromCoroutine(work).addErrback(broken)


def link_folder(config: Config) -> LinkFolder:
    """STATE/link."""
    return LinkFolder(os.path.join(config.state, "link"))


class Counting:
    """How many recipients wait, for the other side's ``status``; looked up every few seconds at most."""

    def __init__(self, spool: QueueSpool, clock: Any, journal: Journal) -> None:
        self._spool = spool
        self._clock = clock
        self._journal = journal
        self._looked = float("-inf")
        self.queued = 0

    def status(self, state: str) -> LinkStatus | None:
        """As the control channel tells it."""
        now = self._clock.seconds()
        if now - self._looked >= _COUNT_EVERY:
            self._looked = now
            spawn(self._journal, self._count())
        try:
            about = os.statvfs(state)
        except OSError:
            return LinkStatus(self.queued, 0)
        return LinkStatus(self.queued, about.f_bavail * about.f_frsize)

    async def _count(self) -> None:
        self.queued = await self._spool.run(schema.count_waiting)


def link_finding(
    pairing: Pairing | None,
    role: str,
    *,
    up: bool,
    since: float,
    now: float,
    facts: tuple[str, ...],
    trouble: str = "",
) -> Finding:
    """The line ``link`` of ``status`` on both sides."""
    if pairing is None:
        remedy = (
            "mailappliance pair\nthen say on the store what it prints"
            if role == "edge"
            else "on the edge: mailappliance pair\nhere: mailappliance pair CODE"
        )
        return Finding("link", "not paired yet", remedy)
    other = f"{'store' if role == 'edge' else 'edge'} {pairing.name}"
    if not up:
        words = f"{other} is away for {span_words(now - since)}" + (f" ({trouble})" if trouble else "")
        remedy = (
            "does the store run, and has it a way to this machine? Mail for it waits here for up to 14 days"
            if role == "edge"
            else f"does {pairing.host} port {pairing.port} let this machine in? `mailappliance status` there tells more"
        )
        return Finding("link", ", ".join((words, *facts)), remedy)
    return Finding("link", ", ".join((f"{other}, up for {span_words(now - since)}", *facts)))
