"""Orders at an ACME authority (RFC 8555): which names, when, with which key, and what to do when it says no.

A name that cannot be proven is left out rather than spoiling the order; it is shown and tried again daily. What is in
use is never given up before something better is on disk.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.acme.client import Authority, Order, OrderFailed
from mailbox_appliance.acme.disk import write_file
from mailbox_appliance.acme.names import split_names
from mailbox_appliance.acme.pairs import Pair, tlsa_of
from mailbox_appliance.acme.schedule import DAILY, renewal_moment, retry_delay
from mailbox_appliance.acme.stored import Stored, signing_request
from mailbox_appliance.acme.tokens import ChallengeTokens, is_token
from mailbox_appliance.journal.events.acme import CertificateOrderFailed, NameLeftOut
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.certificates import CertificateTrouble
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.workers import Workers

ANNOUNCED_FOR = 2 * DAILY  # a new key's TLSA is published so long before the key is used
REMEDY = (
    "let port 80 of each name reach this machine (or set [acme] webroot) and its A and AAAA records point here; "
    "then: mailappliance cert renew"
)

MOST_NAMES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeSettings:
    """[acme]. ``names_stated``: the owner listed the names, so none is left out for what our resolver says."""

    directory: str = ""
    email: str = ""
    trust_anchor: str = ""
    webroot: str = ""
    names_stated: bool = False


class Orders:
    """One order at a time. ``own_addresses`` tells our public addresses, an empty set when they cannot be known."""

    def __init__(
        self,
        settings: AcmeSettings,
        names: tuple[str, ...],
        folder: str,
        *,
        authority: Authority,
        tokens: ChallengeTokens,
        clock: Clock,
        workers: Workers,
        journal: Journal,
        resolver: Resolver | None = None,
        own_addresses: Callable[[], frozenset[str]] = frozenset,
        chance: Callable[[], float] = random.random,
        more_names: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """``more_names`` are asked for beside ``names``, anew for each order."""
        self._settings = settings
        self._first_names = names
        self._more_names = more_names
        self._store = Stored(os.path.join(folder, "acme"))
        self._authority = authority
        self._tokens = tokens
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._resolver = resolver
        self._own_addresses = own_addresses
        self._chance = chance
        self._spread = chance()
        self._failures = 0
        self._try_at = 0.0  # after a failure: not before
        self._renew_at = 0.0
        self._left_out: dict[str, str] = {}
        self._failure = ""
        self._announced: tuple[str, float] | None = None  # the TLSA that comes next, since when
        self._running: list[Deferred[Pair]] | None = None  # who waits for the order that runs

    @property
    def _names(self) -> tuple[str, ...]:
        """What an order asks for. RFC 8555 leaves the bound to the authority; Let's Encrypt takes 100 names."""
        return tuple(dict.fromkeys(self._first_names + self._more_names()))[:MOST_NAMES]

    async def stored(self) -> Pair | None:
        """What an earlier order gave, if it can be used."""
        try:
            pair = await self._workers.run("disk", self._store.load)
        except CertificateTrouble as trouble:
            self._failure = trouble.what
            return None
        await self._look_for_announced()
        if pair is not None:
            self._renew_at = renewal_moment(pair.not_before, pair.not_after, self._spread)
        return pair

    async def _look_for_announced(self) -> None:
        found = await self._workers.run("disk", self._store.announced)
        self._announced = None if found is None else (tlsa_of(found[0]), found[1])

    @property
    def announced(self) -> tuple[str, float] | None:
        """The TLSA data of the key that comes next, and since when it is announced (epoch seconds)."""
        return self._announced

    async def announce(self) -> str:
        """Make the key that comes next; returns its TLSA data. Raises OSError."""
        now = self._clock.seconds()
        key = await self._workers.run("disk", self._store.announce, now)
        self._announced = (tlsa_of(key), now)
        return self._announced[0]

    def trouble(self) -> str:
        """What ``status`` says: the last failure, names left out."""
        parts = [self._failure] if self._failure else []
        parts += [f"{name} is left out: {reason}" for name, reason in self._left_out.items()]
        return "; ".join(parts)

    def next_look(self) -> float:
        """Seconds until something may be due."""
        now = self._clock.seconds()
        moments = [self._renew_at, now + DAILY if self._left_out else self._renew_at]
        if self._announced is not None:
            moments.append(self._announced[1] + ANNOUNCED_FOR)
        return max(min(moments) - now, self._try_at - now, 1.0) if self._renew_at else max(self._try_at - now, 1.0)

    async def renewed_if_due(self, current: Pair | None) -> Pair | None:
        """Order when it is time; None when it is not, or when the order failed (told, and tried again later)."""
        now = self._clock.seconds()
        if now < self._try_at:
            if self._try_at - now <= 2 * DAILY:
                return None
            self._try_at = 0.0  # the clock was set back
        if self._announced is not None and now - self._announced[1] >= ANNOUNCED_FOR:
            return await self._attempt(whole=False, fresh_key=True)
        if current is not None:
            missing = [name for name in self._names if not current.covers(name)]
            if now < self._renew_at and not missing:
                return None
            if now < self._renew_at:
                # Only for what was missing: an order that would bring the same names again is not worth a try.
                return await self._attempt(whole=True)
        return await self._attempt(whole=False)

    async def _attempt(self, *, whole: bool, fresh_key: bool = False) -> Pair | None:
        try:
            return await self._order(fresh_key=fresh_key, whole=whole)
        except CertificateTrouble:
            return None

    async def order(self, *, fresh_key: bool) -> Pair:
        """Order now, whatever the schedule says. Raises CertificateTrouble."""
        return await self._order(fresh_key=fresh_key, whole=False)

    async def _order(self, *, fresh_key: bool, whole: bool) -> Pair:
        if self._running is not None:
            waiter: Deferred[Pair] = Deferred()
            self._running.append(waiter)
            return await waiter
        self._running = []
        outcome: Pair | CertificateTrouble | None = None
        try:
            outcome = await self._order_names(fresh_key, whole)
        except OrderFailed as error:
            outcome = self._failed(str(error), whole)
        except OSError as error:
            outcome = self._failed(f"{error.filename or 'our folder'}: {error.strerror}", whole)
        except CertificateTrouble as trouble:
            outcome = self._failed(trouble.what, whole)
        finally:
            waiters, self._running = self._running, None
            for waiter in waiters:
                if isinstance(outcome, Pair):
                    waiter.callback(outcome)
                else:
                    waiter.errback(outcome or CertificateTrouble("the order was given up", REMEDY))
        if isinstance(outcome, CertificateTrouble):
            raise outcome
        return outcome

    async def _order_names(self, fresh_key: bool, whole: bool) -> Pair:
        names = self._names
        left_out: dict[str, str] = {}
        if self._resolver is not None and not self._settings.names_stated:
            names, left_out = await split_names(names, self._resolver, self._own_addresses())
        if whole and left_out:
            self._leave_out(left_out)
            raise OrderFailed("; ".join(f"{name}: {reason}" for name, reason in left_out.items()), left_out)
        if not names:
            self._leave_out(left_out)
            raise OrderFailed("none of the names leads to this machine")
        key = await self._workers.run("disk", lambda: self._store.key(fresh=fresh_key))
        try:
            chain = await self._ask(names, key)
        except OrderFailed as error:
            refused = {name: why for name, why in error.names.items() if name in names}
            rest = tuple(name for name in names if name not in refused)
            if whole or not refused or not rest:
                if refused:
                    self._leave_out(left_out | refused)
                raise
            left_out |= refused
            chain = await self._ask(rest, key)
        pair = await self._workers.run("disk", self._store.keep, chain, key)
        if self._announced is not None and self._announced[0] == pair.tlsa():
            self._announced = None
        self._failures = 0
        self._failure = ""
        self._leave_out(left_out)
        self._try_at = self._clock.seconds() + DAILY if left_out else 0.0
        self._renew_at = renewal_moment(pair.not_before, pair.not_after, self._spread)
        return pair

    async def _ask(self, names: tuple[str, ...], key: object) -> bytes:
        settings = self._settings
        csr = await self._workers.run("disk", signing_request, names, key)
        order = Order(
            settings.directory,
            settings.email,
            settings.trust_anchor,
            self._store.path("account.key"),
            self._store.path("account.json"),
            names,
            csr,
        )
        published: dict[str, str] = {}

        async def publish(tokens: dict[str, str]) -> None:
            published.update({token: answer for token, answer in tokens.items() if is_token(token)})
            self._tokens.publish(published)
            if settings.webroot:
                await self._workers.run("disk", _write_tokens, settings.webroot, published)

        try:
            return await self._authority.order(order, publish)
        finally:
            self._tokens.withdraw(published)
            if settings.webroot and published:
                await self._workers.run("disk", _remove_tokens, settings.webroot, published)

    def _failed(self, reason: str, whole: bool) -> CertificateTrouble:
        now = self._clock.seconds()
        if whole:
            # What is in use is good; only the names that are missing were tried for.
            self._try_at = now + DAILY
            return CertificateTrouble(reason, REMEDY)
        self._failures += 1
        self._failure = f"the authority gave no certificate: {reason}"
        delay = retry_delay(self._failures, self._chance())
        self._try_at = now + delay
        self._journal.tell(
            CertificateOrderFailed(names=self._names, reason=reason, remedy=REMEDY, next_try_seconds=int(delay))
        )
        return CertificateTrouble(self._failure, REMEDY)

    def _leave_out(self, names: dict[str, str]) -> None:
        for name, reason in names.items():
            if name not in self._left_out:
                self._journal.tell(NameLeftOut(host=name, reason=reason))
        self._left_out = names

    def stop(self) -> None:
        """Give up what runs."""
        stop = getattr(self._authority, "stop", None)
        if stop is not None:
            stop()


def _token_folder(webroot: str) -> str:
    return os.path.join(webroot, ".well-known", "acme-challenge")


def _write_tokens(webroot: str, tokens: dict[str, str]) -> None:
    folder = _token_folder(webroot)
    for path in (os.path.dirname(folder), folder):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
            os.chmod(path, 0o755)  # our umask would keep the other web server out
    for token, answer in tokens.items():
        write_file(os.path.join(folder, token), answer.encode("ascii"), 0o644)


def _remove_tokens(webroot: str, tokens: dict[str, str]) -> None:
    for token in tokens:
        path = os.path.join(_token_folder(webroot), token)
        if os.path.exists(path):
            os.unlink(path)
