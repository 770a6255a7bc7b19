"""The relay's door: destinations for the queue, one attempt per shipment, the explanation of a route (ports/relay).

An attempt: route → addresses → for each in turn a connection (kept or new) → the transaction → an Outcome for each
recipient. The next address is tried for those recipients only about whom the host before said nothing; once the
content has gone out whole, nobody else is tried, or the message might arrive twice.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator, Callable, Sequence

from twisted.internet.defer import Deferred, TimeoutError

from mailbox_appliance.journal.events.relay import HostFailed, MailDeferred, MailRefused, MailSent, RelayLogInRefused
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.relay import Shipment, Step
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.relay.cargo import as_transaction
from mailbox_appliance.relay.dead import DeadHosts
from mailbox_appliance.relay.dial import Dialler, Endpoint, IRelayReactor
from mailbox_appliance.relay.explain import Explanation
from mailbox_appliance.relay.ipv6 import has_ipv6, remembered
from mailbox_appliance.relay.mx import Exchangers, Found, Target
from mailbox_appliance.relay.pool import Place, Pool
from mailbox_appliance.relay.refusals import meaning, remedy
from mailbox_appliance.relay.routes import NO_ROUTE, Nowhere, Route, ToDomain, ToHost, route_for
from mailbox_appliance.relay.session import Session, SessionTrouble
from mailbox_appliance.relay.settings import RelaySettings
from mailbox_appliance.wire.smtp.client_events import Done, Trouble

# After these another address of the same configured host would only say the same again.
_SAME_EVERYWHERE = frozenset({Trouble.AUTH, Trouble.NO_AUTH, Trouble.PASSWORD})


class MailRelay:
    """Fills ``ports.relay.Relay``."""

    def __init__(
        self,
        reactor: IRelayReactor,
        workers: Workers,
        resolver: Resolver,
        journal: Journal,
        settings: RelaySettings,
        *,
        rng: random.Random | None = None,
        ipv6: Callable[[], bool] = has_ipv6,
        endpoint: Endpoint | None = None,
    ) -> None:
        """``rng`` shuffles equal MX; ``ipv6`` tells whether IPv6 hosts can be reached; ``endpoint`` replaces TCP."""
        self._reactor = reactor
        self._journal = journal
        self._settings = settings
        self._exchangers = Exchangers(resolver, settings, rng or random.SystemRandom(), remembered(ipv6, reactor))
        self._dialler = Dialler(reactor, workers, journal, settings, endpoint)
        self._pool = Pool(reactor, settings)
        self._dead = DeadHosts(settings.dead_for)
        self._log_in_told = float("-inf")

    # ------------------------------------------------------------ the port

    def destination(self, reverse_path: Address | None, forward_path: Address) -> str:
        """The key under which the queue groups and limits."""
        return route_for(self._settings, reverse_path, forward_path).key

    def carry(self, shipment: Shipment) -> Deferred[tuple[Outcome, ...]]:
        """Try once; one Outcome per recipient, in order."""
        return Deferred.fromCoroutine(self._carry(shipment))

    def explain(self, address: Address) -> AsyncIterator[Step]:
        """Try the route to ``address`` without sending mail, telling each step."""
        return Explanation(self._settings, self._exchangers, self._dialler).steps(address)

    def forget(self) -> None:
        """Forget which hosts were dead: for an operator's ``queue retry``."""
        self._dead.clear()

    def stop(self) -> None:
        """Close the kept connections politely; attempts in progress are the caller's to cancel."""
        self._pool.close()

    # ------------------------------------------------------------ one attempt

    async def _carry(self, shipment: Shipment) -> tuple[Outcome, ...]:
        started = self._reactor.seconds()
        recipients = shipment.envelope.recipients
        routes: dict[str, tuple[Route, list[int]]] = {}
        for index, recipient in enumerate(recipients):
            route = route_for(self._settings, shipment.envelope.reverse_path, recipient.forward_path)
            routes.setdefault(route.key, (route, []))[1].append(index)
        outcomes: dict[int, Outcome] = {}
        for route, indices in routes.values():
            part = shipment if len(indices) == len(recipients) else _part(shipment, indices)
            for index, outcome in zip(indices, await self._in_time(route, part), strict=True):
                outcomes[index] = outcome
        ordered = tuple(outcomes[index] for index in range(len(recipients)))
        for recipient, outcome in zip(recipients, ordered, strict=True):
            self._tell(shipment, str(recipient.forward_path), outcome, self._reactor.seconds() - started)
        return ordered

    async def _in_time(self, route: Route, shipment: Shipment) -> Sequence[Outcome]:
        """Every wait has its own time; the whole attempt has one too."""
        results: list[Outcome | None] = [None] * len(shipment.envelope.recipients)
        attempt = Deferred.fromCoroutine(self._attempt(route, shipment, results))
        attempt.addTimeout(self._settings.carry_seconds, self._reactor)
        try:
            last = await attempt
        except TimeoutError:
            text = f"the attempt was not over within {self._settings.carry_seconds:.0f} s"
            last = Outcome(Result.TRY_AGAIN, Reply(451, "4.4.7", text), reason=text)
        return [outcome or last for outcome in results]

    async def _attempt(self, route: Route, shipment: Shipment, results: list[Outcome | None]) -> Outcome:
        """Fill ``results``; returns what counts for those that stay empty."""
        if isinstance(route, Nowhere):
            return NO_ROUTE
        to_host = route if isinstance(route, ToHost) else None
        found = await self._find(route)
        if isinstance(found, Outcome):
            return found
        last = NO_ROUTE
        for target in found.targets:
            resting = self._dead.why(target, self._reactor.seconds())
            if resting is not None:
                last = resting
                continue
            try:
                left_over = await self._by(target, to_host, route.key, shipment, results)
            except SessionTrouble as trouble:
                last = self._failed(target, to_host, trouble)
                if to_host is not None and trouble.trouble in _SAME_EVERYWHERE:
                    break
                continue
            if left_over is None:
                break
            last = left_over
        return last

    async def _find(self, route: ToHost | ToDomain) -> Found | Outcome:
        if isinstance(route, ToHost):
            return await self._exchangers.of_host(route.host)
        return await self._exchangers.of_domain(route.domain)

    async def _by(
        self, target: Target, route: ToHost | None, key: str, shipment: Shipment, results: list[Outcome | None]
    ) -> Outcome | None:
        """One address. Fills ``results``; returns the outcome of those who may be tried elsewhere, None for nobody.

        Raises SessionTrouble when no session comes about.
        """
        place: Place = (key, target.host, target.address, target.port)
        session = self._pool.take(place)
        rested = session is not None
        while True:
            if session is None:
                session = await self._dialler.open(target, route)
                self._dead.lives(target)
            left = [index for index, outcome in enumerate(results) if outcome is None]
            part = shipment if len(left) == len(results) else _part(shipment, left)
            try:
                done = await session.send(as_transaction(part), part.content)
            except BaseException:
                session.abort()
                raise
            left_over = self._fill(done, left, results, target, route, session)
            if not done.broken:
                self._pool.rest(place, session)
            if left_over is None or not rested:
                return left_over
            # It had died while it rested: that says nothing about the host.
            session, rested = None, False

    def _fill(
        self,
        done: Done,
        left: list[int],
        results: list[Outcome | None],
        target: Target,
        route: ToHost | None,
        session: Session,
    ) -> Outcome | None:
        left_over = None
        takes_dsn = "DSN" in session.core.offers
        for position, (index, outcome) in enumerate(zip(left, done.outcomes, strict=True)):
            reason = outcome.reason
            result = outcome.result
            if outcome.remote and result is not Result.DELIVERED:
                reason = meaning(outcome.reply)
                if route is not None and outcome.reply.code == 530:
                    result = Result.TRY_AGAIN  # our own set-up is wrong, not the message
            if done.at_risk and done.broken:
                reason = f"{reason}; the message had been sent whole, so it may arrive twice"
            dressed = dataclasses.replace(
                outcome, result=result, host=str(target), reason=reason, tls=session.tls_text, dsn=takes_dsn
            )
            if position in done.untold and not done.at_risk:
                left_over = dressed
            else:
                results[index] = dressed
        return left_over

    def _failed(self, target: Target, route: ToHost | None, trouble: SessionTrouble) -> Outcome:
        """No session with this address: what that means if there is no other one."""
        what = remedy(trouble.trouble, trouble.reply, remote=trouble.remote)
        said = trouble.reason or f"{trouble.trouble.value}: {trouble.reply}"
        result = Result.TRY_AGAIN
        if route is None and trouble.remote and trouble.reply.code in (521, 556):
            result = Result.FAILED  # RFC 7504: this host takes no mail at all
        outcome = Outcome(result, trouble.reply, str(target), f"{said}; {what}", trouble.remote)
        self._journal.tell(HostFailed(host=str(target), trouble=trouble.trouble.value, reason=said))
        now = self._reactor.seconds()
        if trouble.trouble in (Trouble.CONNECT, Trouble.SLOW):
            self._dead.bury(target, outcome, now)
        elif trouble.trouble is Trouble.AUTH and route is not None:
            # Not with every message that waits: hosts lock out who keeps trying a wrong password.
            self._dead.bury(target, outcome, now, 5.0)
            if not 0 <= now - self._log_in_told < 300:
                self._log_in_told = now
                self._journal.tell(
                    RelayLogInRefused(host=str(target), user=route.host.user, reply=str(trouble.reply), remedy=what)
                )
        return outcome

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


def _part(shipment: Shipment, indices: Sequence[int]) -> Shipment:
    """The same message for some of its recipients."""
    envelope = shipment.envelope
    chosen = tuple(envelope.recipients[index] for index in indices)
    return dataclasses.replace(shipment, envelope=dataclasses.replace(envelope, recipients=chosen))
