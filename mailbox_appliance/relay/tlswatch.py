"""What connections have shown about TLS: remembered by host, told when it gets worse, counted for reports.

A result is counted once a session, not once a message (RFC 8460 §4.3). Only mail exchangers are watched: a configured
host is verified or not spoken to.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

from mailbox_appliance.journal.events.relay import TlsDowngraded, TlsPolicyUnmet
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.relay.demands import Demand, PolicyFacts, Unfit
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.mx import Target
from mailbox_appliance.relay.session import Session, SessionTrouble
from mailbox_appliance.wire.smtp.client_events import Trouble

DAY = 86_400
# How often one and the same host's trouble is told, in seconds.
_TOLD_EVERY = 3600.0
_MOST_TOLD = 1000
MOST_KINDS = 5000  # of results a day: beyond that only known ones are counted on
_COUNT = (
    "INSERT INTO tls_results VALUES (?, ?, ?, ?, ?, ?, ?, 1) "
    "ON CONFLICT DO UPDATE SET sessions = sessions + 1, reason = excluded.reason"
)


class TlsWatch:
    """``opened`` and ``failed`` are told of every session with an exchanger."""

    def __init__(self, memory: RelayMemory, clock: Clock, journal: Journal) -> None:
        self._memory = memory
        self._clock = clock
        self._journal = journal
        self._told: dict[tuple[str, str], float] = {}
        self._today = 0
        self._kinds: set[tuple[str, ...]] = set()

    def opened(self, domain: str, target: Target, demand: Demand, session: Session) -> None:
        """A session stands."""
        tls = session.tls
        if tls is None:
            kind = "validation-failure" if session.downgraded else "starttls-not-supported"
            self._count(domain, demand.facts, kind, target, session.downgraded or "STARTTLS is not offered")
            self._in_clear(target, session)
        elif demand.testing and (demand.fault or not tls.verified):
            kind = "validation-failure" if demand.fault else tls.kind
            self._count(domain, demand.facts, kind, target, demand.fault or tls.fault)
            self._unmet(domain, target.host, demand, demand.fault or tls.fault)
        else:
            self._count(domain, demand.facts, "", target, "")
        if tls is None and demand.testing:
            self._unmet(domain, target.host, demand, session.downgraded or "STARTTLS is not offered")
        if tls is not None:
            known = self._memory.known_tls(target.host)
            if known is not None and known.verified and not tls.verified and demand.why != "DANE":
                reason = f"its certificate was good on {_date(known.seen)}, now {tls.fault}; mail still goes by TLS"
                self._journal.tell(TlsDowngraded(host=str(target), reason=reason))
            self._memory.saw_tls(target.host, verified=tls.verified, now=self._clock.seconds())

    def _in_clear(self, target: Target, session: Session) -> None:
        known = self._memory.known_tls(target.host)
        if known is None:
            return
        self._memory.forget_tls(target.host)
        if not session.terms.downgraded:  # else it has been told just now
            how = f"is refused ({session.downgraded})" if session.downgraded else "is not offered any more"
            reason = f"TLS worked on {_date(known.seen)}, now it {how}: mail goes in clear and may be overheard"
            self._journal.tell(TlsDowngraded(host=str(target), reason=reason))

    def failed(self, domain: str, target: Target, demand: Demand, trouble: SessionTrouble) -> None:
        """No session came about."""
        if trouble.trouble is Trouble.NO_TLS:
            kind, reason = "starttls-not-supported", "STARTTLS is not offered or refused"
        elif trouble.trouble in (Trouble.CERTIFICATE, Trouble.HANDSHAKE):
            kind, reason = trouble.kind or "validation-failure", trouble.reason
        else:
            return
        self._count(domain, demand.facts, kind, target, reason)
        if demand.why:
            self._unmet(domain, target.host, demand, reason)

    def unfit(self, domain: str, target: Target, unfit: Unfit) -> None:
        """An exchanger was not even asked."""
        self._count(domain, unfit.demand.facts, unfit.kind, target, str(unfit))
        self._unmet(domain, target.host, unfit.demand, str(unfit))

    def no_policy(self, domain: str, kind: str, reason: str) -> None:
        """An MTA-STS policy should be there and cannot be had."""
        self._count(domain, PolicyFacts("sts", domain), kind, None, reason)

    def _unmet(self, domain: str, host: str, demand: Demand, reason: str) -> None:
        now, key = self._clock.seconds(), (domain, host)
        if 0 <= now - self._told.get(key, float("-inf")) < _TOLD_EVERY:
            return
        while len(self._told) >= _MOST_TOLD:
            del self._told[next(iter(self._told))]
        self._told[key] = now
        self._journal.tell(
            TlsPolicyUnmet(domain=domain, host=host, policy=demand.why, reason=reason, only_testing=demand.testing)
        )

    def _count(self, domain: str, facts: PolicyFacts, result: str, target: Target | None, reason: str) -> None:
        day = int(self._clock.seconds() // DAY)
        if day != self._today:
            self._today = day
            self._kinds.clear()
            self._memory.write("DELETE FROM tls_results WHERE day < ?", day - 7)
        host, address = (target.host, target.address) if target is not None and result else ("", "")
        policy = json.dumps(dataclasses.asdict(facts))
        kind = (domain, policy, result, host, address)
        if kind not in self._kinds:
            if len(self._kinds) >= MOST_KINDS:
                return
            self._kinds.add(kind)
        self._memory.write(_COUNT, day, *kind, reason[:300])


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
