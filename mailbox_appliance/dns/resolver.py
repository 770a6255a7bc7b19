"""The resolver: cache, questions in flight, servers in order of their health (fills ``ports/dns.Resolver``).

A look-up goes: local names → cache → the same question already in flight → servers, each in turn, for a few rounds
within a budget of time. What cannot be found out is TEMPERROR, which is never taken for "no".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed

from mailbox_appliance.dns import packets
from mailbox_appliance.dns.cache import Cache, Key
from mailbox_appliance.dns.exchange import INetReactor, NoAnswer, ask_by_tcp, ask_by_udp
from mailbox_appliance.dns.servers import ResolvConf, Server, ServerState, read_server
from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.journal.events.dns import NameServerAnswers, NameServerSilent
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.dns import Answer, Status
from mailbox_appliance.ports.journal import FullJournal

_REMEDY = "check [dns] servers in the configuration, or the nameserver lines of resolv.conf"


@dataclass(slots=True)
class _Health:
    good: bool | None = None
    since: float = 0.0
    reason: str = ""
    complained: float = float("-inf")
    told: bool = False


class DnsResolver:
    """Asks the configured servers. Every public method runs in the reactor and never blocks."""

    def __init__(self, reactor: INetReactor, journal: FullJournal, settings: DnsSettings | None = None) -> None:
        """Raises ServerError when one of ``settings.servers`` is no address."""
        self._reactor = reactor
        self._journal = journal
        self._settings = settings = settings or DnsSettings()
        self._fixed = tuple(read_server(text) for text in settings.servers)
        self._resolv_conf = ResolvConf(settings.resolv_conf)
        self._cache = Cache(settings)
        self._health: dict[Server, _Health] = {}
        self._flights: dict[Key, list[Deferred[Answer]]] = {}
        self._waiting: deque[tuple[float, Key]] = deque()
        self._running = 0

    # ------------------------------------------------------------ asking

    def look_up(self, name: str, rdtype: str) -> Deferred[Answer]:
        """Ask for ``rdtype`` of ``name`` (A-labels, with or without final dot). Fires with an Answer, never fails."""
        name = name.lower().removesuffix(".")
        key = (name, rdtype.upper())
        known = local_answer(*key) or self._cache.get(key, self._reactor.seconds())
        if known is not None:
            return succeed(known)
        flight = self._flights.get(key)
        if flight is None:
            if len(self._waiting) >= self._settings.most_waiting:
                return succeed(Answer(Status.TEMPERROR, reason="too many look-ups at once"))
            flight = self._flights[key] = []
            self._waiting.append((self._reactor.seconds(), key))
        waiter: Deferred[Answer] = Deferred(lambda gone: flight.remove(gone) if gone in flight else None)
        flight.append(waiter)
        self._start()
        return waiter

    def glance(self, name: str, rdtype: str) -> Answer | None:
        """What needs no asking (ports.dns.Resolver)."""
        return local_answer(name, rdtype) or self._cache.glance((name, rdtype), self._reactor.seconds())

    def _start(self) -> None:
        while self._waiting and self._running < self._settings.most_at_once:
            asked, key = self._waiting.popleft()
            self._running += 1
            flight = Deferred.fromCoroutine(self._follow(*key))
            left = asked + self._settings.budget_seconds - self._reactor.seconds()
            flight.addTimeout(max(left, 0.1), self._reactor)
            flight.addErrback(self._gave_up)
            flight.addCallback(self._landed, key)

    def _gave_up(self, failure: object) -> Answer:
        error = getattr(failure, "value", None)
        if not isinstance(error, TimeoutError | CancelledError):
            assert isinstance(error, BaseException)
            self._journal.broken("dns", error)
        return Answer(Status.TEMPERROR, reason="no name server answered in time")

    def _landed(self, answer: Answer, key: Key) -> None:
        self._running -= 1
        answer = self._cache.put(key, answer, self._reactor.seconds())
        for waiter in self._flights.pop(key, ()):
            waiter.callback(answer)
        self._start()

    async def _follow(self, name: str, rdtype: str) -> Answer:
        """Follow aliases that lead out of one answer (RFC 1034 §3.6.2), at most MOST_ALIASES of them."""
        ttl, authentic = 0xFFFFFFFF, True
        for _ in range(packets.MOST_ALIASES):
            found = await self._ask_in_turn(name, rdtype)
            authentic = authentic and found.authentic
            ttl = min(ttl, found.ttl)
            if isinstance(found, Answer):
                return Answer(found.status, found.records, ttl, authentic, found.reason)
            name = found.name
        return Answer(Status.TEMPERROR, reason="too many aliases (CNAME) behind one another")

    async def _ask_in_turn(self, name: str, rdtype: str) -> Answer | packets.Alias:
        trouble = "no name server is configured"
        for _ in range(self._settings.rounds):
            for server in self._servers():
                try:
                    found = await self._ask(server, name, rdtype)
                except packets.NoQuestion as error:
                    return Answer(Status.NXDOMAIN, reason=str(error))
                except (NoAnswer, TimeoutError) as error:
                    trouble = f"{server}: {str(error) if isinstance(error, NoAnswer) else 'no answer in time'}"
                    self._has_failed(server, trouble.removeprefix(f"{server}: "))
                    continue
                if isinstance(found, packets.ServerTrouble):
                    trouble = f"{server}: {found.reason}"
                    # SERVFAIL is mostly the fault of the asked zone, so it says nothing about the server.
                    if found.code in ("REFUSED", "REFERRAL"):
                        self._has_failed(server, found.reason)
                    continue
                self._has_answered(server)
                return found
        return Answer(Status.TEMPERROR, reason=trouble)

    async def _ask(
        self, server: Server, name: str, rdtype: str, *, edns: bool = True
    ) -> Answer | packets.Alias | packets.ServerTrouble:
        """One server: UDP, then TCP when the answer was cut, then without EDNS when it was not understood."""
        settings = self._settings
        question = packets.make_question(name, rdtype, edns=edns)
        asked = ask_by_udp(self._reactor, server, question.wire, lambda wire: packets.read_response(question, wire))
        response = await asked.addTimeout(settings.try_seconds, self._reactor)
        if edns and packets.dislikes_edns(response):
            return await self._ask(server, name, rdtype, edns=False)
        if packets.is_truncated(response):
            asked = ask_by_tcp(
                self._reactor,
                server,
                question.wire,
                lambda wire: packets.read_response(question, wire),
                seconds=settings.try_seconds,
                most=packets.TCP_OCTETS,
            )
            response = await asked.addTimeout(settings.try_seconds, self._reactor)
        return packets.understand(question, response, trusted=server.is_loopback)

    # ------------------------------------------------------------ the servers' health

    def _servers(self) -> tuple[Server, ...]:
        """Those that answer first, in the order of the configuration; then the silent ones, longest silent first."""
        servers = self._fixed or self._resolv_conf.servers(self._reactor.seconds())
        silent = {s: h.since for s in servers if (h := self._health.get(s)) is not None and h.good is False}
        return tuple(sorted(servers, key=lambda server: silent.get(server, float("-inf")))) if silent else servers

    def _of(self, server: Server) -> _Health:
        health = self._health.get(server)
        if health is None:
            while len(self._health) >= 32:  # resolv.conf changed many times
                del self._health[next(iter(self._health))]
            health = self._health[server] = _Health()
        return health

    def _has_failed(self, server: Server, reason: str) -> None:
        health, now = self._of(server), self._reactor.seconds()
        if health.good is not False:
            health.good, health.since = False, now
        health.reason = reason
        if not 0 <= now - health.complained < self._settings.complain_every:
            health.complained, health.told = now, True
            self._journal.tell(NameServerSilent(server=str(server), reason=reason, remedy=_REMEDY))

    def _has_answered(self, server: Server) -> None:
        health, now = self._of(server), self._reactor.seconds()
        if health.told:
            health.told = False
            self._journal.tell(NameServerAnswers(server=str(server), silent_seconds=int(now - health.since)))
        if health.good is not True:
            health.good, health.since, health.reason = True, now, ""

    def state(self) -> tuple[ServerState, ...]:
        """How each server in use has fared, for ``status``."""
        states = []
        for server in self._fixed or self._resolv_conf.servers(self._reactor.seconds()):
            health = self._health.get(server, _Health())
            states.append(ServerState(str(server), health.good, health.since, health.reason))
        return tuple(states)

    def probe(self) -> Awaitable[tuple[ServerState, ...]]:
        """Ask each server for the root's NS now, past the cache; then the state. For ``status`` and start-up."""
        return Deferred.fromCoroutine(self._probe())

    async def _probe(self) -> tuple[ServerState, ...]:
        for server in self._servers():
            try:
                found = await self._ask(server, ".", "NS")
            except (NoAnswer, TimeoutError) as error:
                self._has_failed(server, str(error) if isinstance(error, NoAnswer) else "no answer in time")
                continue
            # Any answer shows that somebody is there; a small test server may well refuse the root.
            if not isinstance(found, packets.ServerTrouble) or found.code in ("REFUSED", "REFERRAL"):
                self._has_answered(server)
            else:
                self._has_failed(server, found.reason)
        return self.state()

    def forget(self) -> None:
        """Empty the cache (reload)."""
        self._cache.clear()


_LOCAL = {"A": Answer(Status.OK, ("127.0.0.1",), 3600), "AAAA": Answer(Status.OK, ("::1",), 3600)}
_NO_SUCH_LOCAL = Answer(Status.NODATA, ttl=3600, reason="the name has no such record")
_LOCAL_REVERSE = ("1.0.0.127.in-addr.arpa", "1" + ".0" * 31 + ".ip6.arpa")
_LOCAL_NAME = Answer(Status.OK, ("localhost",), 3600)


def local_answer(name: str, rdtype: str) -> Answer | None:
    """Names that never leave the machine: localhost and its reverse (RFC 6761 §6.3)."""
    if name == "localhost" or name.endswith(".localhost"):
        return _LOCAL.get(rdtype, _NO_SUCH_LOCAL)
    if rdtype == "PTR" and name in _LOCAL_REVERSE:
        return _LOCAL_NAME
    return None
