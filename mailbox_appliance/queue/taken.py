"""What has come over the link from the other half of a pair: remembered beside the queue, in the same transaction.

came_over   the message's id on the other side, for whom, and when
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.rounds import Rows
from mailbox_appliance.queue.schedule import DAY
from mailbox_appliance.queue.spool import QueueSpool
from mailbox_appliance.rounds.share import RowsOf

KEPT_DAYS = 15  # the other side gives up after 14


class CameOver:
    """Fills ports.link.TakenOver."""

    def __init__(self, spool: QueueSpool, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock

    async def known(self, id: str, paths: Iterable[Address]) -> frozenset[Address]:
        """Those of ``paths`` that message ``id`` has been taken over for."""
        words = {_word(one): one for one in paths}

        def work(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "SELECT path FROM came_over WHERE id = ? AND path IN (SELECT value FROM json_each(?))",
                (id, json.dumps(list(words))),
            )
            return [row[0] for row in rows]

        return frozenset(words[one] for one in await self._spool.run(work))

    def rows(self, id: str, paths: Iterable[Address]) -> Rows:
        """For the commit round in which they are taken over."""
        now = self._clock.seconds()
        new = [(id, _word(one), now) for one in paths]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR IGNORE INTO came_over VALUES (?, ?, ?)", new)

        return RowsOf(self._spool.database, work)

    async def forget_old(self) -> int:
        """What is older than the other side remembers its mail; returns how many."""
        before = self._clock.seconds() - KEPT_DAYS * DAY

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM came_over WHERE moment < ?", (before,)).rowcount

        return await self._spool.run(work)


def _word(address: Address) -> str:
    return f"{address.local.lower()}@{address.domain}"
