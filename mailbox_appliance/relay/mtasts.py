"""MTA-STS policies of the domains we send to: found by a TXT record, fetched over HTTPS, kept for ``max_age``.

======================= ================================ ======================================
the TXT record           what is kept                     the policy that counts
======================= ================================ ======================================
names another id         whatever                         the one fetched now; else the kept one
names the kept one's id  fresh                            the kept one
is not there, fails      fresh                            the kept one (nobody can take it away)
is not there, fails      nothing                          none
======================= ================================ ======================================

A fetch that failed is not repeated for five minutes (RFC 8461 §3.3); a policy older than a day is fetched again beside
the mail, so that it does not run out (§5.1 says no more than that it must be refreshed).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.journal.events.relay import StsPolicyTrouble
from mailbox_appliance.mailauth.mtasts_policy import Policy, PolicyError, read_policy, read_record
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Resolver, Status
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.relay.memory import KeptPolicy, RelayMemory

RETRY_SECONDS = 300.0
REFRESH_SECONDS = 86_400.0
MOST_FETCHES = 10  # at once; the next ones go without, as with a failed fetch
MOST_RESTS = 1000


class FetchTrouble(Exception):
    """The policy cannot be had. ``kind`` is the word for TLS reports (RFC 8460 §4.3.2.2); str() says why."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


# From a domain to the octets of its policy; raises FetchTrouble.
Fetch = Callable[[str], Awaitable[bytes]]


class StsPolicies:
    """``of`` tells the policy that counts for a domain just now."""

    def __init__(
        self,
        resolver: Resolver,
        memory: RelayMemory,
        clock: Clock,
        journal: FullJournal,
        fetch: Fetch,
        on_failure: Callable[[str, str, str], object] = lambda domain, kind, reason: None,
    ) -> None:
        """``on_failure``: a fetch came to nothing, of which domain, in a word for reports, in words for people."""
        self._resolver = resolver
        self._memory = memory
        self._clock = clock
        self._journal = journal
        self._fetch = fetch
        self._on_failure = on_failure
        self._rests: dict[str, float] = {}
        self._flights: dict[str, list[Deferred[None]]] = {}

    async def of(self, domain: str) -> Policy | None:
        """The policy, None when there is none or its mode is "none". Never raises."""
        if domain.startswith("["):
            return None
        identity = await self._record(domain)
        kept = self._memory.policy(domain)
        if identity:
            now = self._clock.seconds()
            if kept is None or not kept.is_fresh(now) or kept.id != identity:
                await self._fetched(domain, identity)
                kept = self._memory.policy(domain)
            elif now - kept.fetched > REFRESH_SECONDS:
                Deferred.fromCoroutine(self._fetched(domain, identity)).addErrback(self._broken)
        if kept is None or not kept.is_fresh(self._clock.seconds()) or kept.policy.mode == "none":
            return None
        return kept.policy

    async def _record(self, domain: str) -> str:
        """The id in the TXT record; "" when there is none, or when the last look came to nothing just now."""
        until = self._rests.get(domain, 0.0)
        if until - RETRY_SECONDS <= self._clock.seconds() < until:
            return ""
        answer = await self._resolver.look_up(f"_mta-sts.{domain}", "TXT")
        if answer.status is Status.TEMPERROR:
            # Not with each message: a silent name server would hold all of them up.
            self._rest(domain)
        return read_record(answer.records)

    def _rest(self, domain: str) -> None:
        self._rests.pop(domain, None)
        while len(self._rests) >= MOST_RESTS:
            del self._rests[next(iter(self._rests))]
        self._rests[domain] = self._clock.seconds() + RETRY_SECONDS

    async def _fetched(self, domain: str, identity: str) -> None:
        """Fetch and keep. Whoever comes while it runs waits for the same fetch."""
        flight = self._flights.get(domain)
        if flight is None:
            if len(self._flights) >= MOST_FETCHES:
                return
            flight = self._flights[domain] = []
            # On its own: an attempt that is given up must not take the fetch from those who wait with it.
            Deferred.fromCoroutine(self._fly(domain, identity)).addErrback(self._broken)
            if domain not in self._flights:
                return
        waiter: Deferred[None] = Deferred(lambda gone: flight.remove(gone) if gone in flight else None)
        flight.append(waiter)
        await waiter

    async def _fly(self, domain: str, identity: str) -> None:
        try:
            policy = read_policy(await self._fetch(domain))
            self._memory.keep_policy(domain, KeptPolicy(policy, identity, self._clock.seconds()))
        except PolicyError as error:
            self._failed(domain, FetchTrouble("sts-policy-invalid", str(error)))
        except FetchTrouble as trouble:
            self._failed(domain, trouble)
        finally:
            for waiter in self._flights.pop(domain, ()):
                waiter.callback(None)

    def _failed(self, domain: str, trouble: FetchTrouble) -> None:
        self._rest(domain)
        self._journal.tell(StsPolicyTrouble(domain=domain, trouble=trouble.kind, reason=str(trouble)))
        self._on_failure(domain, trouble.kind, str(trouble))

    def _broken(self, failure: object) -> None:
        error = getattr(failure, "value", None)
        self._journal.broken("relay", error if isinstance(error, BaseException) else RuntimeError("no reason"))
