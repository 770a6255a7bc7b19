"""What we have had from a domain or a network before: STATE/reputation.db, learnt on the spot.

Whoever is proven to be the author's domain is remembered by the name it is registered under; everybody else by the
block of addresses he comes from (/24, IPv6 /64), so that a forger spoils nobody's name. Each message adds a little by
what the other checks made of it, a person's word (moved to or from Junk) more. What is old weighs less and less.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from ipaddress import ip_network

from mailbox_appliance.checks.domains import registered
from mailbox_appliance.checks.lately import Lately
from mailbox_appliance.database import Database
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action, Evidence
from mailbox_appliance.ports.clock import Clock

MIGRATIONS = (
    """
    CREATE TABLE sender (key TEXT PRIMARY KEY, good REAL NOT NULL, bad REAL NOT NULL, day INTEGER NOT NULL)
        WITHOUT ROWID;
    CREATE INDEX sender_day ON sender (day)
""",
)
MOST = 20_000  # senders
HALF_LIFE = 30.0  # days
ENOUGH = 2.0  # points before anything is said
BY_VERDICT, BY_PERSON = 0.25, 1.0  # points of one message
DOUBTFUL = 2.0  # points from which an accepted message is no good name
_DAY = 86_400
_SHOWN = 180  # days
_MOST_WAITING = 100  # notes not yet written


@dataclass(frozen=True, slots=True)
class Standing:
    """Points of good and of bad mail, as they weigh today."""

    good: float = 0.0
    bad: float = 0.0

    def at(self, days: float) -> Standing:
        """The same after so many days."""
        share = 0.5 ** (max(days, 0.0) / HALF_LIFE)
        return Standing(self.good * share, self.bad * share)


@dataclass(frozen=True, slots=True)
class Entry:
    """A sender, what he weighs today, and the day (since 1970) of his last message."""

    key: str
    standing: Standing
    day: int


# Where everybody has an address: there a name is one person's, and one spammer spoils no neighbour's.
FREEMAIL = frozenset(
    "gmail.com googlemail.com outlook.com outlook.de hotmail.com hotmail.de hotmail.fr hotmail.co.uk live.com live.de "
    "msn.com yahoo.com yahoo.de yahoo.fr yahoo.co.uk ymail.com aol.com icloud.com me.com mac.com gmx.de gmx.net gmx.at "
    "gmx.ch gmx.com web.de t-online.de freenet.de posteo.de mailbox.org proton.me protonmail.com pm.me tutanota.com "
    "tuta.io zoho.com mail.ru yandex.ru yandex.com qq.com 163.com 126.com orange.fr wanadoo.fr free.fr laposte.net "
    "libero.it bluewin.ch hey.com fastmail.com mail.com".split()
)


def key_of(author: Address | None, address: IPAddress | None) -> str:
    """``author`` is None unless he is proven. "" for nobody in particular."""
    if author is not None:
        name = registered(author.domain)
        return str(author).lower()[:320] if name in FREEMAIL else name[:255]
    if address is None:
        return ""
    return str(ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False))


def evidence_of(key: str, standing: Standing) -> list[Evidence]:
    """Bad up to 3 points, good up to 1.5, less the less is known; spammers have good days, too."""
    known = standing.good + standing.bad
    if known < ENOUGH:
        return []
    lean = (standing.bad - standing.good) / known * known / (known + 4.0)
    figure = round(3.0 * lean if lean > 0 else 1.5 * lean, 2)
    if abs(figure) < 0.1:
        return []
    reason = f"{key}: {standing.good:.1f} points of good mail and {standing.bad:.1f} of junk lately"
    return [Evidence("reputation", "bad" if figure > 0 else "good", figure, reason)]


class Reputation:
    """Asked once and told once for each message. Raises what Database raises."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: OrderedDict[str, Standing] = OrderedDict()
        self._lately: Lately[str, tuple[float, float, int]] = Lately()

    @property
    def database(self) -> Database:
        """To be looked at before it is read."""
        return self._database

    async def standing(self, key: str) -> Standing:
        """What is known of a sender."""
        today = self._today()
        waiting = self._waiting.get(key, Standing())

        row = self._lately.get(key)
        if row is None:
            began = self._lately.begin()
            row = await self._database.run(lambda connection: _row_of(connection, key)) or (0.0, 0.0, today)
            self._lately.keep(began, key, row)
        kept = Standing(row[0], row[1]).at(today - row[2])
        return Standing(kept.good + waiting.good, kept.bad + waiting.bad)

    async def entry(self, key: str) -> Entry | None:
        """What is known of one sender, for the owner."""
        waiting = self._waiting.get(key)
        row = await self._database.run(
            lambda c: c.execute("SELECT key, good, bad, day FROM sender WHERE key=?", (key,)).fetchone()
        )
        if row is None and waiting is None:
            return None
        return self._entry(key, row, waiting)

    async def foremost(self, most: int) -> tuple[Entry, ...]:
        """Those of whom the most is known, the bad before the good."""
        today, waiting = self._today(), dict(self._waiting)
        # Half of it is gone after HALF_LIFE days: whoever is old cannot be among the first.
        rows: list[tuple[str, float, float, int]] = await self._database.run(
            lambda c: c.execute("SELECT key, good, bad, day FROM sender WHERE day > ?", (today - _SHOWN,)).fetchall()
        )
        found = [self._entry(row[0], row, waiting.pop(row[0], None)) for row in rows]
        found += [self._entry(key, None, one) for key, one in waiting.items()]
        found.sort(key=lambda one: (one.standing.good - one.standing.bad, one.key))
        if len(found) > most:
            heaviest = sorted(found, key=lambda one: -(one.standing.good + one.standing.bad))[:most]
            chosen = {one.key for one in heaviest}
            found = [one for one in found if one.key in chosen]
        return tuple(found)

    def _entry(self, key: str, row: tuple[str, float, float, int] | None, waiting: Standing | None) -> Entry:
        today = self._today()
        kept = Standing(row[1], row[2]).at(today - row[3]) if row is not None else Standing()
        more = waiting or Standing()
        day = today if waiting is not None or row is None else row[3]
        return Entry(key, Standing(kept.good + more.good, kept.bad + more.bad), day)

    def judged(self, key: str, action: Action, score: float = 0.0) -> bool:
        """What the checks made of a message; True when it is time to ``write``. What passed in doubt says nothing."""
        if action is Action.DEFER or (action is Action.ACCEPT and score >= DOUBTFUL):
            return False
        is_good = action is Action.ACCEPT
        return self._add(key, BY_VERDICT * is_good, BY_VERDICT * (not is_good))

    def taught(self, key: str, junk: bool) -> bool:
        """A person's word; True when it is time to ``write``."""
        return self._add(key, 0.0 if junk else BY_PERSON, BY_PERSON if junk else 0.0)

    def _add(self, key: str, good: float, bad: float) -> bool:
        if not key:
            return False
        before = self._waiting.get(key, Standing())
        self._waiting[key] = Standing(before.good + good, before.bad + bad)
        while len(self._waiting) > 4 * _MOST_WAITING:
            self._waiting.popitem(last=False)
        return len(self._waiting) >= _MOST_WAITING

    async def write(self) -> None:
        """Keep what was told since the last time; the oldest make room."""
        today = self._today()
        waiting = dict(self._waiting)
        self._waiting.clear()
        self._lately.forget()

        def keep(connection: sqlite3.Connection) -> None:
            for key, more in waiting.items():
                row = _row_of(connection, key)
                before = Standing(row[0], row[1]).at(today - row[2]) if row is not None else Standing()
                connection.execute(
                    "INSERT OR REPLACE INTO sender VALUES (?, ?, ?, ?)",
                    (key, min(before.good + more.good, 1000.0), min(before.bad + more.bad, 1000.0), today),
                )
            (count,) = connection.execute("SELECT count(*) FROM sender").fetchone()
            if count > MOST:
                connection.execute(
                    "DELETE FROM sender WHERE key IN (SELECT key FROM sender ORDER BY day LIMIT ?)", (count - MOST,)
                )

        try:
            await self._database.run(keep)
        finally:
            self._lately.forget()

    def close(self) -> None:
        """Close the file."""
        self._lately.forget()
        self._database.close()

    def _today(self) -> int:
        return int(self._clock.seconds() // _DAY)


def _row_of(connection: sqlite3.Connection, key: str) -> tuple[float, float, int] | None:
    row: tuple[float, float, int] | None = connection.execute(
        "SELECT good, bad, day FROM sender WHERE key=?", (key,)
    ).fetchone()
    return row
