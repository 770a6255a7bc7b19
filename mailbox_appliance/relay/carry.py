"""The relay's door: destinations for the queue, one attempt per shipment, the explanation of a route (ports/relay).

A shipment is divided by its routes; ``attempt`` does each part; everybody's Outcome is told to the journal.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from twisted.internet.defer import Deferred, TimeoutError

from mailbox_appliance.journal.events.relay import MailDeferred, MailRefused, MailSent
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.relay import Shipment, Step
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.relay.attempt import Attempts, Means, Results, part
from mailbox_appliance.relay.dead import DeadHosts
from mailbox_appliance.relay.demands import Demands
from mailbox_appliance.relay.dial import Dialler, IRelayReactor, by_tcp
from mailbox_appliance.relay.explain import Explanation
from mailbox_appliance.relay.ipv6 import Ipv6Way, own_ipv6
from mailbox_appliance.relay.learning import Notice, Providers
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.mtasts import Fetch, StsPolicies
from mailbox_appliance.relay.mtasts_fetch import PolicyFetcher
from mailbox_appliance.relay.mx import Exchangers, Found
from mailbox_appliance.relay.pool import Pool
from mailbox_appliance.relay.routes import Route, route_for
from mailbox_appliance.relay.settings import Host, Proxy, RelaySettings
from mailbox_appliance.relay.socks import Endpoint, SocksWay
from mailbox_appliance.relay.tlswatch import TlsWatch

# The address in whose name ``relay test`` asks; None is the null path.
Sender = Callable[[], Awaitable[Address | None]]


class MailRelay:
    """Fills ``ports.relay.Relay``."""

    def __init__(
        self,
        reactor: IRelayReactor,
        workers: Workers,
        resolver: Resolver,
        journal: FullJournal,
        settings: RelaySettings,
        *,
        memory: RelayMemory | None = None,
        own_addresses: Callable[[], frozenset[str]] = frozenset,
        probe_sender: Sender | None = None,
        notice: Notice | None = None,
        fetch: Fetch | None = None,
        rng: random.Random | None = None,
        ipv6: Callable[[], str] = own_ipv6,
        endpoint: Endpoint | None = None,
    ) -> None:
        """``memory`` outlives this relay (a reload makes another one). ``own_addresses``: ours, of this hour.

        ``notice`` writes to the owner. For tests: ``fetch`` gets MTA-STS policies, ``rng`` shuffles equal MX, ``ipv6``
        tells our IPv6 address, ``endpoint`` replaces TCP.
        """
        self._reactor = reactor
        self._journal = journal
        self._settings = settings
        self._memory = memory or RelayMemory(None, journal)
        self._probe_sender = probe_sender
        way6 = Ipv6Way(resolver, reactor, journal, ipv6)
        self._exchangers = Exchangers(resolver, settings, rng or random.SystemRandom(), way6, own_addresses)
        plain = endpoint or by_tcp(reactor)
        way = self._by_proxy(settings.socks, plain, workers) if settings.socks is not None else plain
        self._dialler = Dialler(reactor, workers, journal, settings, way)
        if fetch is None:
            fetch = PolicyFetcher(
                reactor, resolver, self._dialler.tls, way, allow_loopback=settings.allow_loopback, ipv6=way6.exists
            ).fetch
        self._watch = TlsWatch(self._memory, reactor, journal)
        policies = StsPolicies(resolver, self._memory, reactor, journal, fetch, self._watch.no_policy)
        self._demands = Demands(resolver, policies)
        self._pool = Pool(reactor, settings)
        self._dead = DeadHosts(settings.dead_for)
        providers = Providers(self._memory, reactor, journal, settings.learned_for, notice)
        self._attempts = Attempts(
            Means(
                settings, reactor, journal, self._exchangers, self._demands, self._dialler, self._pool, self._dead,
                self._watch, providers,
            )
        )  # fmt: skip

    def _by_proxy(self, proxy: Proxy, plain: Endpoint, workers: Workers) -> Endpoint:
        async def addresses() -> list[str]:
            found = await self._exchangers.of_host(Host(proxy.host, proxy.port))
            return [target.address for target in found.targets] if isinstance(found, Found) else []

        return SocksWay(proxy, addresses, plain, workers, self._reactor)

    # ------------------------------------------------------------ the port

    def destination(self, reverse_path: Address | None, forward_path: Address) -> str:
        """The key under which the queue groups and limits."""
        return route_for(self._settings, reverse_path, forward_path).key

    def carry(self, shipment: Shipment) -> Deferred[tuple[Outcome, ...]]:
        """Try once; one Outcome per recipient, in order."""
        return Deferred.fromCoroutine(self._carry(shipment))

    def explain(self, address: Address) -> AsyncIterator[Step]:
        """Try the route to ``address`` without sending mail, telling each step."""
        return self._explain(address)

    async def _explain(self, address: Address) -> AsyncIterator[Step]:
        sender = await self._probe_sender() if self._probe_sender is not None else self._settings.probe_sender
        await self._memory.ready()
        walk = Explanation(self._settings, self._exchangers, self._demands, self._dialler, sender)
        async for step in walk.steps(address):
            yield step

    def forget(self) -> None:
        """Forget which hosts were dead: for an operator's ``queue retry``."""
        self._dead.clear()

    def stop(self) -> None:
        """Close the kept connections politely; attempts in progress are the caller's to cancel."""
        self._pool.close()

    # ------------------------------------------------------------ one attempt

    async def _carry(self, shipment: Shipment) -> tuple[Outcome, ...]:
        started = self._reactor.seconds()
        await self._memory.ready()
        recipients = shipment.envelope.recipients
        routes: dict[str, tuple[Route, list[int]]] = {}
        for index, recipient in enumerate(recipients):
            route = route_for(self._settings, shipment.envelope.reverse_path, recipient.forward_path)
            routes.setdefault(route.key, (route, []))[1].append(index)
        outcomes: dict[int, Outcome] = {}
        for route, indices in routes.values():
            share = shipment if len(indices) == len(recipients) else part(shipment, indices)
            for index, outcome in zip(indices, await self._in_time(route, share), strict=True):
                outcomes[index] = outcome
        ordered = tuple(outcomes[index] for index in range(len(recipients)))
        for recipient, outcome in zip(recipients, ordered, strict=True):
            self._tell(shipment, str(recipient.forward_path), outcome, self._reactor.seconds() - started)
        return ordered

    async def _in_time(self, route: Route, shipment: Shipment) -> Sequence[Outcome]:
        """Every wait has its own time; the whole attempt has one too."""
        results: Results = [None] * len(shipment.envelope.recipients)
        attempt = Deferred.fromCoroutine(self._attempts.run(route, shipment, results))
        attempt.addTimeout(self._settings.carry_seconds, self._reactor)
        try:
            last = await attempt
        except TimeoutError:
            text = f"the attempt was not over within {self._settings.carry_seconds:.0f} s"
            last = Outcome(Result.TRY_AGAIN, Reply(451, "4.4.7", text), reason=text)
        return [outcome or last for outcome in results]

    def _tell(self, shipment: Shipment, recipient: str, outcome: Outcome, seconds: float) -> None:
        seconds = round(seconds, 3)
        if outcome.result is Result.DELIVERED:
            self._journal.tell(
                MailSent(
                    trace=shipment.trace,
                    recipient=recipient,
                    host=outcome.host,
                    tls=outcome.tls,
                    reply=str(outcome.reply),
                    seconds=seconds,
                )
            )
            return
        kind = MailRefused if outcome.result is Result.FAILED else MailDeferred
        self._journal.tell(
            kind(
                trace=shipment.trace,
                recipient=recipient,
                destination=shipment.destination,
                host=outcome.host,
                reply=str(outcome.reply),
                reason=outcome.reason,
                seconds=seconds,
            )
        )
