"""Asking a suspicious first-time sender to come again in a few minutes: mail servers do, junk programs often do not.

Off by default, since it delays. Who waits for a letter is not kept waiting: for a quarter of an hour after somebody
has opened Rejects or made a throw-away address, nothing is put off for him. First tries are kept in STATE/senders.db
for as long as they count, so that a restart asks nobody twice; what is written is a digest of who, where and to whom.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from ipaddress import ip_network

from twisted.internet.defer import Deferred

from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.workers import Busy

WAIT = 240.0  # seconds until the next try counts
PATIENCE = 2 * 86_400.0  # within which it must come
LANE = 900.0
MOST = 20_000
_MOST_LANES = 1_000
_TROUBLE = (OSError, DatabaseTrouble, sqlite3.Error, Busy)


class Greylist:
    """First tries by network, author and account; lanes by account.

    ``database`` (STATE/senders.db) None: a restart forgets. ``lost`` is told what could not be read or written.
    """

    def __init__(
        self, clock: Clock, database: Database | None = None, lost: Callable[[str], None] = lambda reason: None
    ) -> None:
        self._clock = clock
        self._database = database
        self._lost = lost
        self._tried: OrderedDict[bytes, float] = OrderedDict()
        self._lanes: OrderedDict[Address, float] = OrderedDict()
        self._unwritten: dict[bytes, float] = {}
        self._writing: Deferred[None] | None = None

    async def read(self) -> None:
        """What an earlier process knew and what still counts."""
        if self._database is None:
            return
        now = self._clock.seconds()

        def look_up(connection: sqlite3.Connection) -> list[tuple[bytes, float]]:
            connection.execute("DELETE FROM tried WHERE first < ? OR first > ?", (now - PATIENCE, now))
            return connection.execute("SELECT digest, first FROM tried ORDER BY first DESC LIMIT ?", (MOST,)).fetchall()

        try:
            rows = await self._database.run(look_up)
        except _TROUBLE as error:
            self._lost(str(error)[:200] or type(error).__name__)
            return
        known, self._tried = self._tried, OrderedDict(reversed(rows))
        self._tried.update(known)

    async def settled(self) -> None:
        """Wait until all is written."""
        if self._writing is not None:
            done: Deferred[None] = Deferred()
            self._writing.addCallback(done.callback)
            await done

    def open_lane(self, account: Address) -> None:
        """The person waits for a letter."""
        self._lanes[account] = self._clock.seconds()
        self._lanes.move_to_end(account)
        while len(self._lanes) > _MOST_LANES:
            self._lanes.popitem(last=False)

    def has_lane(self, account: Address) -> bool:
        """Is nothing to be put off for this person just now?"""
        return 0 <= self._clock.seconds() - self._lanes.get(account, float("-inf")) < LANE

    def must_wait(self, address: IPAddress, sender: str, account: Address) -> bool:
        """Note a try; True when it came too early."""
        now = self._clock.seconds()
        prefix = 24 if address.version == 4 else 64
        who = (str(ip_network(f"{address}/{prefix}", strict=False)), sender.lower()[:320], str(account))
        key = blake2b("\0".join(who).encode("utf-8", "replace"), digest_size=16).digest()
        first = self._tried.get(key)
        if first is None or not 0 <= now - first <= PATIENCE:
            self._tried[key] = now
            self._tried.move_to_end(key)
            while len(self._tried) > MOST:
                self._tried.popitem(last=False)
            self._write_soon(key, now)
            return True
        return now - first < WAIT

    def _write_soon(self, key: bytes, now: float) -> None:
        if self._database is None or len(self._unwritten) >= MOST:
            return
        self._unwritten[key] = now
        if self._writing is None:
            self._writing = Deferred()
            Deferred.fromCoroutine(self._write(self._database)).addBoth(self._written)

    async def _write(self, database: Database) -> None:
        """What comes while others are written goes with the next."""
        while self._unwritten:
            rows, self._unwritten = list(self._unwritten.items()), {}
            old = self._clock.seconds() - PATIENCE
            try:
                await database.run(partial(_keep, rows=rows, old=old))
            except _TROUBLE as error:
                self._lost(str(error)[:200] or type(error).__name__)

    def _written(self, result: object) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.callback(None)


def _keep(connection: sqlite3.Connection, rows: list[tuple[bytes, float]], old: float) -> None:
    connection.executemany("INSERT OR REPLACE INTO tried VALUES (?, ?)", rows)
    connection.execute("DELETE FROM tried WHERE first < ?", (old,))
    (count,) = connection.execute("SELECT count(*) FROM tried").fetchone()
    if count > MOST:
        connection.execute(
            "DELETE FROM tried WHERE digest IN (SELECT digest FROM tried ORDER BY first LIMIT ?)", (count - MOST,)
        )
