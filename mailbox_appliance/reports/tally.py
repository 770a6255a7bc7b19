"""What our checks found of others' domains, counted for the reports to them: in memory, written behind.

A crash loses the counts of the last quarter of an hour, never mail. Rows of a day are bounded; what does not fit is not
reported.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import astuple, fields

from twisted.internet.defer import Deferred

from mailbox_appliance.database import Database
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.ports.reports import DmarcSeen

DAY = 86_400
FLUSH = 900.0
MOST_IN_MEMORY = 5000
MOST_A_DAY = 50_000
KEPT_DAYS = 3  # unsent, when the service stood still


@dataclass(frozen=True, slots=True)
class Tallied:
    """So many messages of one kind."""

    seen: DmarcSeen
    messages: int


class Tally:
    """Fills ports.reports.DmarcTally. ``wanted`` False: nothing is counted."""

    def __init__(self, database: Database, clock: Clock, journal: HasFailed) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self.wanted = False
        self._counts: dict[tuple[int, DmarcSeen], int] = {}
        self._timer: Timer | None = None

    def count(self, seen: DmarcSeen) -> None:
        """ports.reports.DmarcTally."""
        if not self.wanted:
            return
        key = int(self._clock.seconds()) // DAY, seen
        if key in self._counts or len(self._counts) < MOST_IN_MEMORY:
            self._counts[key] = self._counts.get(key, 0) + 1
        if self._timer is None:
            self._timer = self._clock.callLater(FLUSH, self._flush_soon)

    def add(self, day: int, seen: DmarcSeen, messages: int) -> None:
        """What our edge has seen on a day; one that is long past is reported no more."""
        today = int(self._clock.seconds()) // DAY
        if not self.wanted or not today - KEPT_DAYS <= day <= today:
            return
        key = day, seen
        if key in self._counts or len(self._counts) < MOST_IN_MEMORY:
            self._counts[key] = self._counts.get(key, 0) + messages
        if self._timer is None:
            self._timer = self._clock.callLater(FLUSH, self._flush_soon)

    def _flush_soon(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self.flush())

    async def flush(self) -> None:
        """Write what was counted; what cannot be written is told and forgotten."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._database.run(lambda connection: _add(connection, counts))
        except Exception as error:  # noqa: BLE001 - figures are worth no session
            self._journal.broken("reports", error)

    async def before(self, day: int) -> dict[tuple[int, str], list[Tallied]]:
        """What earlier days have seen, by (day, policy domain)."""
        await self.flush()
        return await self._database.run(lambda connection: _before(connection, day))

    async def forget(self, day: int, domain: str) -> None:
        """It is reported, or nobody wants it."""
        sql = "DELETE FROM tally WHERE day = ? AND policy_domain = ?"
        await self._database.run(lambda connection: connection.execute(sql, (day, domain)))

    async def stop(self) -> None:
        """Write the rest."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        await self.flush()


def seen_as_text(seen: DmarcSeen) -> str:
    """For the way from edge to store."""
    return json.dumps(astuple(seen))


def seen_of_text(text: str) -> DmarcSeen:
    """Raises ValueError for what is none."""
    given = json.loads(text)
    kinds = [bool if one.name in ("dkim", "spf") else str for one in fields(DmarcSeen)]
    if not isinstance(given, list) or [type(one) for one in given] != kinds:
        raise ValueError("no row of counts")
    return DmarcSeen(*given)


_COLUMNS = (
    "policy_domain, source, author, envelope, disposition, dkim, spf, signatures, "
    "spf_domain, spf_scope, spf_result, reason"
)


def _add(connection: sqlite3.Connection, counts: dict[tuple[int, DmarcSeen], int]) -> None:
    oldest = max(day for day, _ in counts) - KEPT_DAYS
    connection.execute("DELETE FROM tally WHERE day < ?", (oldest,))
    room = MOST_A_DAY - int(connection.execute("SELECT count(*) FROM tally").fetchone()[0])
    for (day, seen), messages in list(counts.items())[: max(0, room)]:
        connection.execute(
            f"INSERT INTO tally (day, {_COLUMNS}, messages) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET messages = messages + excluded.messages",
            (day, *astuple(seen), messages),
        )


def _before(connection: sqlite3.Connection, day: int) -> dict[tuple[int, str], list[Tallied]]:
    found: dict[tuple[int, str], list[Tallied]] = {}
    for row in connection.execute(
        f"SELECT day, messages, {_COLUMNS} FROM tally WHERE day < ? ORDER BY day, policy_domain", (day,)
    ):
        when, messages, domain, source, author, envelope, disposition, dkim, spf, *rest = row
        seen = DmarcSeen(domain, source, author, envelope, disposition, bool(dkim), bool(spf), *rest)
        found.setdefault((when, domain), []).append(Tallied(seen, messages))
    return found
