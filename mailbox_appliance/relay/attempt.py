"""One attempt: addresses in turn, a connection (kept or new) to each, the transaction, an Outcome for each recipient.

The next address is tried for those recipients only about whom the host before said nothing; once the content has gone
out whole, nobody else is tried, or the message might arrive twice. Mail that goes direct may fall back to the
smarthost: after enough failures, and where a provider refuses our address whatever the message.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mailbox_appliance.journal.events.relay import FellBack, HostFailed, RelayLogInRefused
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.relay.cargo import as_transaction
from mailbox_appliance.relay.dead import DeadHosts
from mailbox_appliance.relay.demands import NOTHING, Demand, Demands, Unfit, Wishes
from mailbox_appliance.relay.dial import Dialler
from mailbox_appliance.relay.learning import Providers, is_reputation
from mailbox_appliance.relay.mx import Exchangers, Found, Target
from mailbox_appliance.relay.pool import Place, Pool
from mailbox_appliance.relay.refusals import meaning, remedy
from mailbox_appliance.relay.routes import NO_ROUTE, Nowhere, Route, ToDomain, ToHost
from mailbox_appliance.relay.session import Session, SessionTrouble
from mailbox_appliance.relay.settings import RelaySettings
from mailbox_appliance.relay.tlswatch import TlsWatch
from mailbox_appliance.wire.smtp.client_events import Done, Trouble

# After these another address of the same configured host would only say the same again.
_SAME_EVERYWHERE = frozenset({Trouble.AUTH, Trouble.NO_AUTH, Trouble.PASSWORD})
Results = list[Outcome | None]


@dataclass(frozen=True, slots=True)
class Means:
    """What every attempt of a relay shares."""

    settings: RelaySettings
    clock: Clock
    journal: Journal
    exchangers: Exchangers
    demands: Demands
    dialler: Dialler
    pool: Pool
    dead: DeadHosts
    watch: TlsWatch
    providers: Providers


class Attempts:
    """``run`` is one attempt; between them only what hosts have shown is remembered."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._log_in_told = float("-inf")

    async def run(self, route: Route, shipment: Shipment, results: Results) -> Outcome:
        """Fill ``results``; returns what counts for those that stay empty."""
        if isinstance(route, Nowhere):
            return NO_ROUTE
        if isinstance(route, ToHost):
            return await self._by_host(route, shipment, results)
        fallback, after = route.fallback, self._means.settings.fallback_after
        if fallback is not None and 0 < after <= shipment.tries:
            self._fell_back(route, fallback, shipment, f"{shipment.tries} attempts to deliver direct have failed")
            return await self._by_host(fallback, shipment, results)
        return await self._direct(route, shipment, results)

    # ------------------------------------------------------------ to a configured host

    async def _by_host(self, route: ToHost, shipment: Shipment, results: Results) -> Outcome:
        found = await self._means.exchangers.of_host(route.host)
        if isinstance(found, Outcome):
            return found
        last = NO_ROUTE
        for target in found.targets:
            resting = self._means.dead.why(target, self._means.clock.seconds())
            if resting is not None:
                last = resting
                continue
            try:
                left_over = await self._by(target, route, route.key, shipment, results, NOTHING)
            except SessionTrouble as trouble:
                last = self._failed(target, route, trouble)
                if trouble.trouble in _SAME_EVERYWHERE:
                    break
                continue
            if left_over is None:
                break
            last = left_over
        return last

    # ------------------------------------------------------------ to a domain's exchangers

    async def _direct(self, route: ToDomain, shipment: Shipment, results: Results) -> Outcome:
        means, fallback = self._means, route.fallback
        found = await means.exchangers.of_domain(route.domain)
        if isinstance(found, Outcome):
            return found
        if fallback is not None and (learned := means.providers.refusing(found)) is not None:
            self._fell_back(route, fallback, shipment, f"its provider refuses our address: {learned.reply}")
            return await self._by_host(fallback, shipment, results)
        last = await self._exchangers(route, found, shipment, results)
        refused = [one for one in [*results, last] if one is not None and one.remote and is_reputation(one.reply)]
        if not refused:
            return last
        host = refused[0].host.partition(" ")[0]
        means.providers.learn(host, refused[0], str(fallback.host) if fallback is not None else "")
        if fallback is None:
            return last
        # Nobody of these has been taken, so they may go the other way at once.
        for index, one in enumerate(results):
            if one is not None and one.result is not Result.DELIVERED and one.remote and is_reputation(one.reply):
                results[index] = None
        return await self._by_host(fallback, shipment, results)

    async def _exchangers(self, route: ToDomain, found: Found, shipment: Shipment, results: Results) -> Outcome:
        means = self._means
        wishes = await means.demands.of(route.domain, found, shipment)
        last = NO_ROUTE
        for target in found.targets:
            resting = means.dead.why(target, means.clock.seconds())
            if resting is not None:
                last = resting
                continue
            try:
                demand = await means.demands.for_target(wishes, target)
            except Unfit as unfit:
                means.watch.unfit(route.domain, target, unfit)
                last = _unfit(target, unfit, wishes)
                continue
            try:
                left_over = await self._by(target, None, route.key, shipment, results, demand)
            except SessionTrouble as trouble:
                means.watch.failed(route.domain, target, demand, trouble)
                last = self._failed(target, None, trouble, demand)
                continue
            if left_over is None:
                break
            last = left_over
        return last

    # ------------------------------------------------------------ one address

    async def _by(
        self, target: Target, route: ToHost | None, key: str, shipment: Shipment, results: Results, demand: Demand
    ) -> Outcome | None:
        """Fill ``results``; returns the outcome of those who may be tried elsewhere, None for nobody.

        Raises SessionTrouble when there is no session.
        """
        means = self._means
        place: Place = (key, target.host, target.address, target.port, demand.key)
        session = means.pool.take(place)
        rested = session is not None
        while True:
            if session is None:
                session = await means.dialler.open(target, route, demand)
                means.dead.lives(target)
                if route is None:
                    means.watch.opened(key, target, demand, session)
            left = [index for index, outcome in enumerate(results) if outcome is None]
            rest = shipment if len(left) == len(results) else part(shipment, left)
            try:
                done = await session.send(as_transaction(rest), rest.content)
            except BaseException:
                session.abort()
                raise
            left_over = _fill(done, left, results, target, route, session)
            if not done.broken:
                means.pool.rest(place, session)
            if left_over is None or not rested:
                return left_over
            # It had died while it rested: that says nothing about the host.
            session, rested = None, False

    def _failed(
        self, target: Target, route: ToHost | None, trouble: SessionTrouble, demand: Demand = NOTHING
    ) -> Outcome:
        """No session with this address: what that means if there is no other one."""
        means = self._means
        what = remedy(trouble.trouble, trouble.reply, remote=trouble.remote)
        if demand.why and trouble.trouble in (Trouble.NO_TLS, Trouble.CERTIFICATE, Trouble.HANDSHAKE):
            what = f"{demand.why} forbids to go on: its postmaster must put that right, or somebody listens in between"
        said = trouble.reason or f"{trouble.trouble.value}: {trouble.reply}"
        result = Result.TRY_AGAIN
        if route is None and trouble.remote and trouble.reply.code in (521, 556):
            result = Result.FAILED  # RFC 7504: this host takes no mail at all
        outcome = Outcome(result, trouble.reply, str(target), f"{said}; {what}", trouble.remote)
        means.journal.tell(HostFailed(host=str(target), trouble=trouble.trouble.value, reason=said))
        now = means.clock.seconds()
        if trouble.trouble in (Trouble.CONNECT, Trouble.SLOW):
            means.dead.bury(target, outcome, now)
        elif trouble.trouble is Trouble.AUTH and route is not None:
            # Not with every message that waits: hosts lock out who keeps trying a wrong password.
            means.dead.bury(target, outcome, now, 5.0)
            if not 0 <= now - self._log_in_told < 300:
                self._log_in_told = now
                means.journal.tell(
                    RelayLogInRefused(host=str(target), user=route.host.user, reply=str(trouble.reply), remedy=what)
                )
        return outcome

    def _fell_back(self, route: ToDomain, fallback: ToHost, shipment: Shipment, reason: str) -> None:
        self._means.journal.tell(
            FellBack(trace=shipment.trace, destination=route.domain, smarthost=str(fallback.host), reason=reason)
        )


def _unfit(target: Target, unfit: Unfit, wishes: Wishes) -> Outcome:
    text = str(unfit)
    code = "4.7.30" if wishes.require_tls else "4.7.5"
    return Outcome(Result.TRY_AGAIN, Reply(451, code, text), str(target), reason=f"{text}; nothing was sent there")


def _fill(
    done: Done, left: list[int], results: Results, target: Target, route: ToHost | None, session: Session
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


def part(shipment: Shipment, indices: Sequence[int]) -> Shipment:
    """The same message for some of its recipients."""
    envelope = shipment.envelope
    chosen = tuple(envelope.recipients[index] for index in indices)
    return dataclasses.replace(shipment, envelope=dataclasses.replace(envelope, recipients=chosen))
