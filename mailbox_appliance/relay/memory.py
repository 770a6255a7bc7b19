"""What the relay knows from earlier: MTA-STS policies, hosts that had good TLS, providers that refused us.

Held in memory, written behind to STATE/relay.db: losing it costs look-ups, never mail. Everything has a bound; the
oldest entry makes room.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mailbox_appliance.database import Database
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mailauth.mtasts_policy import Policy
from mailbox_appliance.ports.journal import HasFailed

T = TypeVar("T")
MOST_POLICIES = 2000
MOST_HOSTS = 5000
MOST_PROVIDERS = 200
MOST_UNWRITTEN = 10_000

VERSION_1 = """
CREATE TABLE policies (                   -- MTA-STS (RFC 8461)
    domain TEXT PRIMARY KEY,
    id TEXT NOT NULL,                     -- of the TXT record it was fetched for
    mode TEXT NOT NULL,
    max_age INTEGER NOT NULL,
    mx TEXT NOT NULL,                     -- JSON list
    fetched REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE good_tls (                   -- exchangers whose TLS worked
    host TEXT PRIMARY KEY,
    verified INTEGER NOT NULL,
    seen REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE providers (                  -- whose mail goes by the smarthost for a time
    name TEXT PRIMARY KEY,
    until REAL NOT NULL,
    reply TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tls_results (                -- for TLS reports (RFC 8460)
    day INTEGER NOT NULL,                 -- days since 1970, UTC
    domain TEXT NOT NULL,
    policy TEXT NOT NULL,                 -- JSON, as the report repeats it
    result TEXT NOT NULL,                 -- '' is success
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    reason TEXT NOT NULL,
    sessions INTEGER NOT NULL,
    PRIMARY KEY (day, domain, policy, result, host, address)
) WITHOUT ROWID
"""
MIGRATIONS: tuple[str, ...] = (VERSION_1,)


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """A policy, the ``id`` of the record it belongs to, and when it was fetched."""

    policy: Policy
    id: str
    fetched: float

    def is_fresh(self, now: float) -> bool:
        """Still to be obeyed? (A clock that was set back far ends it too.)"""
        return self.fetched - 86_400 <= now < self.fetched + self.policy.max_age


@dataclass(frozen=True, slots=True)
class KnownTls:
    """The best TLS a host has shown."""

    verified: bool
    seen: float


@dataclass(frozen=True, slots=True)
class Learned:
    """A provider that refuses our address: until when its mail goes by the smarthost, and what it said."""

    until: float
    reply: str


class RelayMemory:
    """``database`` None: nothing survives the process (tests, local mode)."""

    def __init__(self, database: Database | None, journal: HasFailed) -> None:
        self._database = database
        self._journal = journal
        self._policies: dict[str, KeptPolicy] = {}
        self._hosts: dict[str, KnownTls] = {}
        self._providers: dict[str, Learned] = {}
        self._unwritten: list[tuple[str, tuple[Any, ...]]] = []
        self._writing = False
        self._loaded = False
        self._waiters: list[Deferred[None]] = []

    @property
    def database(self) -> Database | None:
        """To be looked at before it is read."""
        return self._database

    # ------------------------------------------------------------ life

    async def ready(self) -> None:
        """Wait until what was written earlier is loaded; a file that cannot be read is told once and done without."""
        if self._loaded or self._database is None:
            return
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        if len(self._waiters) == 1:
            Deferred.fromCoroutine(self._load_once(self._database))
        await waiter

    async def _load_once(self, database: Database) -> None:
        try:
            await database.run(self._load)
        except Exception as error:  # noqa: BLE001 - mail goes without it
            self._journal.broken("relay", error)
        self._loaded = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(None)

    def _load(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT * FROM policies ORDER BY fetched DESC LIMIT ?", (MOST_POLICIES,)).fetchall()
        for domain, identity, mode, max_age, mx, fetched in reversed(rows):
            self._policies[domain] = KeptPolicy(Policy(mode, max_age, tuple(json.loads(mx))), identity, fetched)
        rows = connection.execute("SELECT * FROM good_tls ORDER BY seen DESC LIMIT ?", (MOST_HOSTS,)).fetchall()
        for host, verified, seen in reversed(rows):
            self._hosts[host] = KnownTls(bool(verified), seen)
        for name, until, reply in connection.execute("SELECT * FROM providers LIMIT ?", (MOST_PROVIDERS,)):
            self._providers[name] = Learned(until, reply)

    async def run(self, work: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Rows for the reports; ``default`` without a file or when it fails (which is told)."""
        if self._database is None:
            return default
        try:
            return await self._database.run(work)
        except Exception as error:  # noqa: BLE001 - see ready
            self._journal.broken("relay", error)
            return default

    async def close(self) -> None:
        """Write what waits and close the file."""
        if self._database is not None:
            await self._write_all()
            self._database.close()

    def write(self, statement: str, *values: Any) -> None:
        """One row, soon. What cannot be written is told and forgotten."""
        if self._database is None or len(self._unwritten) >= MOST_UNWRITTEN:
            return
        self._unwritten.append((statement, values))
        if not self._writing:
            self._writing = True
            Deferred.fromCoroutine(self._write_all()).addBoth(self._written)

    def _written(self, result: object) -> None:
        self._writing = False

    async def _write_all(self) -> None:
        while self._unwritten:
            rows, self._unwritten = self._unwritten, []
            await self.run(_writing(rows), None)

    # ------------------------------------------------------------ MTA-STS

    def policy(self, domain: str) -> KeptPolicy | None:
        """What was fetched for ``domain``, perhaps no longer fresh."""
        return self._policies.get(domain)

    def keep_policy(self, domain: str, kept: KeptPolicy) -> None:
        """Remember a fetched policy."""
        for gone in _put(self._policies, domain, kept, MOST_POLICIES):
            self.write("DELETE FROM policies WHERE domain = ?", gone)
        policy = kept.policy
        self.write(
            "INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?, ?, ?)",
            domain, kept.id, policy.mode, policy.max_age, json.dumps(policy.mx), kept.fetched,
        )  # fmt: skip

    # ------------------------------------------------------------ TLS that worked

    def known_tls(self, host: str) -> KnownTls | None:
        """What ``host`` has shown before."""
        return self._hosts.get(host)

    def saw_tls(self, host: str, *, verified: bool, now: float) -> None:
        """``host`` has working TLS just now; written when that is news, or older than a day."""
        known = self._hosts.get(host)
        if known is not None and known.verified == verified and 0 <= now - known.seen < 86_400:
            return
        for gone in _put(self._hosts, host, KnownTls(verified, now), MOST_HOSTS):
            self.write("DELETE FROM good_tls WHERE host = ?", gone)
        self.write("INSERT OR REPLACE INTO good_tls VALUES (?, ?, ?)", host, int(verified), now)

    def forget_tls(self, host: str) -> None:
        """A downgrade has been told: the present state is the known one from now on."""
        if self._hosts.pop(host, None) is not None:
            self.write("DELETE FROM good_tls WHERE host = ?", host)

    # ------------------------------------------------------------ providers that refuse us

    def learned(self, provider: str, now: float) -> Learned | None:
        """Why mail to ``provider`` goes by the smarthost now, or None."""
        found = self._providers.get(provider)
        if found is not None and found.until <= now:
            del self._providers[provider]
            self.write("DELETE FROM providers WHERE name = ?", provider)
            return None
        return found

    def learn(self, provider: str, learned: Learned) -> None:
        """Remember a refusal."""
        for gone in _put(self._providers, provider, learned, MOST_PROVIDERS):
            self.write("DELETE FROM providers WHERE name = ?", gone)
        self.write("INSERT OR REPLACE INTO providers VALUES (?, ?, ?)", provider, learned.until, learned.reply)


def _put(rows: dict[str, T], key: str, value: T, most: int) -> list[str]:
    """Put ``value`` at the end; returns the keys that had to go."""
    rows.pop(key, None)
    gone = []
    while len(rows) >= most:
        gone.append(next(iter(rows)))
        del rows[gone[-1]]
    rows[key] = value
    return gone


def _writing(rows: Sequence[tuple[str, tuple[Any, ...]]]) -> Callable[[sqlite3.Connection], None]:
    def work(connection: sqlite3.Connection) -> None:
        for statement, values in rows:
            connection.execute(statement, values)

    return work
