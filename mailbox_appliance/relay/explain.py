"""``relay test ADDRESS``: the way of a message, walked on the spot without sending one, each step in plain words."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.ports.relay import Step
from mailbox_appliance.relay.demands import NOTHING, Demand, Demands, Unfit, Wishes
from mailbox_appliance.relay.dial import Dialler
from mailbox_appliance.relay.mx import Exchangers, Found, Target
from mailbox_appliance.relay.refusals import meaning, remedy
from mailbox_appliance.relay.routes import NO_ROUTE, Nowhere, ToDomain, ToHost, route_for
from mailbox_appliance.relay.session import Session, SessionTrouble, Terms
from mailbox_appliance.relay.settings import RelaySettings, Security
from mailbox_appliance.wire.smtp.client_events import StartTls, Transaction, Trouble

# An operator waits in front of it: a tenth of the patience, and not every address.
_HASTE = 0.1
_MOST_ADDRESSES = 4


class Explanation:
    """One walk."""

    def __init__(
        self,
        settings: RelaySettings,
        exchangers: Exchangers,
        demands: Demands,
        dialler: Dialler,
        sender: Address | None,
    ) -> None:
        """``sender``: in whose name the recipient is asked for."""
        self._settings = settings
        self._exchangers = exchangers
        self._demands = demands
        self._sender = sender
        self._dialler = dialler
        self._timeouts = dataclasses.replace(
            settings.timeouts, connect=min(10.0, settings.timeouts.connect), scale=settings.timeouts.scale * _HASTE
        )

    async def steps(self, address: Address) -> AsyncIterator[Step]:
        """From the route to the reply to RCPT."""
        route = route_for(self._settings, self._sender, address)
        wishes: Wishes | None = None
        if isinstance(route, Nowhere):
            yield Step(f"route for {address}: none", False, NO_ROUTE.reason)
            return
        if isinstance(route, ToHost):
            host: ToHost | None = route
            log_in = f", logging in as {route.host.user}" if route.host.user else ", without log-in"
            where = _WHERE[route.kind]
            yield Step(f"route for {address}: {where} {route.host} ({_protection(route)}{log_in})", True)
            found = await self._exchangers.of_host(route.host)
        else:
            host = None
            yield Step(f"route for {address}: straight to the mail exchangers of {route.domain}", True)
            found = await self._exchangers.of_domain(route.domain)
        if isinstance(found, Outcome):
            yield Step(f"names: {found.reply}", False, found.reason)
            return
        yield Step(f"names: {_names(found)}", True)
        if isinstance(route, ToDomain):
            wishes = await self._demands.of(route.domain, found, None)
            if wishes.policy is not None:
                yield Step(f"MTA-STS: mode {wishes.policy.mode}, for {', '.join(wishes.policy.mx[:5])}", True)
        for target in found.targets[:_MOST_ADDRESSES]:
            worked = False
            try:
                demand = await self._demands.for_target(wishes, target) if wishes is not None else NOTHING
            except Unfit as unfit:
                yield Step(f"{target}: {unfit}", False, "no mail goes to this host; its postmaster must put that right")
                continue
            if demand.dane is not None:
                yield Step(f"DANE: {len(demand.dane.texts)} TLSA record(s) of {demand.dane.base}", True)
            async for step in self._visit(target, host, address, demand):
                worked = worked or step.what.startswith("recipient")
                yield step
            if worked:
                return

    async def _visit(
        self, target: Target, host: ToHost | None, address: Address, demand: Demand
    ) -> AsyncIterator[Step]:
        try:
            terms = await self._dialler.terms(target, host, demand)
            session = await self._dialler.begin(target, terms, self._timeouts)
        except SessionTrouble as trouble:
            yield _bad(f"connection to {target} port {target.port}", trouble)
            return
        yield Step(f"connection to {target} port {target.port}: made", True)
        try:
            try:
                await session.ready
            except SessionTrouble as trouble:
                for step in _opening(session, terms, trouble):
                    yield step
                if trouble.trouble is not Trouble.HANDSHAKE or terms.starttls is not StartTls.IF_OFFERED:
                    return
                terms = Terms(terms.hello)
                try:
                    session = await self._dialler.begin(target, terms, self._timeouts)
                    await session.ready
                except SessionTrouble as second:
                    yield _bad("once more in clear", second)
                    return
                yield Step("once more in clear: works, so mail goes in clear", True)
            else:
                for step in _opening(session, terms, None):
                    yield step
            yield await self._ask(session, address)
        finally:
            session.quit()

    async def _ask(self, session: Session, address: Address) -> Step:
        sender = self._sender
        envelope = Envelope(sender, (Recipient(address),), smtputf8=not address.is_ascii)
        try:
            done = await session.send(Transaction(envelope, 0, probe=True))
        except SessionTrouble as trouble:
            return _bad("asking for the recipient", trouble)
        outcome = done.outcomes[0]
        asked = f"recipient {address} from {sender or '<>'}"
        if outcome.result is Result.DELIVERED:
            return Step(f"{asked}: accepted, {outcome.reply}; nothing was sent", True)
        if done.broken and not outcome.remote:
            return Step(f"asking for the recipient: {outcome.reply}", False, outcome.reason)
        return Step(f"{asked}: refused, {outcome.reply}", False, outcome.reason or meaning(outcome.reply))


def _opening(session: Session, terms: Terms, trouble: SessionTrouble | None) -> list[Step]:
    """What happened until the session stood, or fell by ``trouble``."""
    core, steps = session.core, []
    if core.greeting and (trouble is None or trouble.trouble is not Trouble.GREETING):
        steps.append(Step(f"greeting: {core.greeting.splitlines()[0]}", True))
    if session.tls is not None:
        tls = session.tls
        if tls.verified:
            good = "the certificate fits a TLSA record" if tls.by_dane else "the certificate is good"
            steps.append(Step(f"TLS: {tls.version} {tls.cipher}, {good}", True))
        elif not terms.must_verify:
            steps.append(
                Step(f"TLS: {tls.version} {tls.cipher}, encrypted, but who it is stays open: {tls.fault}", True)
            )
    elif trouble is None and terms.starttls is StartTls.IF_OFFERED:
        why = f"refused ({core.tls_refused})" if core.tls_refused else "not offered"
        steps.append(Step(f"TLS: {why}, so mail goes in clear", True))
    if trouble is not None:
        steps.append(_bad(_where(trouble.trouble), trouble))
        return steps
    offers = " ".join(sorted(core.offers.keywords)) or "nothing (an old server)"
    steps.append(Step(f"EHLO {terms.hello}: it offers {offers}", True))
    if terms.credentials is not None:
        if core.secure:
            steps.append(Step(f"log-in as {terms.credentials.user}: accepted", True))
        else:
            steps.append(Step(f"log-in as {terms.credentials.user}: accepted, but the password went in clear", True))
    return steps


_WHERE = {
    "smarthost": "the smarthost",
    "sender": "the smarthost set for this sender's domain",
    "route": "the host set for this domain",
}


def _where(trouble: Trouble) -> str:
    return {
        Trouble.GREETING: "greeting",
        Trouble.HELLO: "EHLO",
        Trouble.NO_TLS: "TLS",
        Trouble.HANDSHAKE: "TLS",
        Trouble.CERTIFICATE: "TLS",
        Trouble.AUTH: "log-in",
        Trouble.NO_AUTH: "log-in",
    }.get(trouble, "session")


def _bad(what: str, trouble: SessionTrouble) -> Step:
    said = str(trouble.reply) if trouble.remote else trouble.reason or str(trouble.reply)
    return Step(f"{what}: {said}", False, remedy(trouble.trouble, trouble.reply, remote=trouble.remote))


def _names(found: Found) -> str:
    exchangers = ", ".join(f"{host} ({preference})" for preference, host in found.exchangers)
    addresses = ", ".join(target.address for target in found.targets)
    return f"exchangers {exchangers}; addresses {addresses}" if exchangers else f"addresses {addresses}"


def _protection(route: ToHost) -> str:
    return {
        Security.STARTTLS: "STARTTLS, certificate verified",
        Security.IMPLICIT: "TLS from the start, certificate verified",
        Security.NONE: "without TLS",
    }[route.host.security]
