"""The steps of every message, kept for ``mailappliance trace``: STATE/journal/trail.db.

Steps are gathered and written about twice a second, in one transaction, by a worker. A step with a trace id is found
by any word that one of the message's steps bears (an address, a peer, the Message-ID); one without (a refused log-in)
by its own words. Kept for 90 days and within 50 MB; pruning goes in small pieces. Nothing here is needed for mail:
when the file cannot be written, steps are dropped and counted.
"""

from __future__ import annotations

import functools
import ipaddress
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, succeed

from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.workers import Busy

MIGRATIONS = (
    """
    CREATE TABLE step (id INTEGER PRIMARY KEY, time REAL NOT NULL, trace TEXT NOT NULL, name TEXT NOT NULL,
        level INTEGER NOT NULL, facts TEXT NOT NULL);
    CREATE INDEX step_trace ON step (trace) WHERE trace != '';
    CREATE INDEX step_lone ON step (id) WHERE trace = '';
    CREATE TABLE word (word TEXT NOT NULL, trace TEXT NOT NULL, step INTEGER NOT NULL,
        PRIMARY KEY (word, trace, step)) WITHOUT ROWID;
    CREATE INDEX word_trace ON word (trace, step);
    """,
)

SEARCHED_FIELDS = frozenset({"peer", "sender", "author", "recipient", "account", "message_id"})


@dataclass(frozen=True, slots=True)
class TrailSettings:
    """How much is kept, and how it is gathered."""

    days: int = 90
    octets: int = 50 * 1024 * 1024
    lone_steps: int = 50_000  # steps that belong to no message
    batch: int = 200
    wait: float = 0.5  # seconds until a started batch is written
    most_waiting: int = 20_000
    prune_every: float = 600.0
    prune_piece: int = 500


@dataclass(frozen=True, slots=True)
class TrailStep:
    """One step as it was kept; ``facts`` as journal.lines wrote them."""

    time: float
    trace: str
    name: str
    level: int
    facts: str


def search_words(field: str, value: object) -> list[str]:
    """What a field is found by: lower case; a peer by its bare address; a Message-ID without its angle brackets."""
    if value.__class__ is str and field != "peer" and field != "message_id" and len(value) <= 320:
        return [] if value == "<>" else [value.lower()]
    words = [str(one) for one in value] if isinstance(value, tuple) else [str(value)]
    if field == "peer":
        words = [_bare_peer(word) for word in words]
    elif field == "message_id":
        words = [word.strip().strip("<>") for word in words]
    return [word.lower()[:320] for word in words[:1000] if word and word != "<>"]


@functools.lru_cache(maxsize=4096)
def _bare_peer(text: str) -> str:
    for candidate in (text, text.rpartition(":")[0]):
        try:
            return str(ipaddress.ip_address(candidate.strip("[]")))
        except ValueError:
            continue
    return text


class Trail:
    """``told`` is called with how many steps were lost and why, at most once a minute."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        lost: Callable[[int, str], None] = lambda steps, reason: None,
        settings: TrailSettings = TrailSettings(),
    ) -> None:
        self._database = database
        self._clock = clock
        self._tell_lost = lost
        self._settings = settings
        self._waiting: list[tuple[float, str, str, int, str, tuple[str, ...]]] = []
        self._timer: Timer | None = None
        self._prune_timer: Timer | None = None
        self._stopped = False
        self._writing: Deferred[None] | None = None
        self._lost = 0
        self._told_lost = float("-inf")

    def add(self, moment: float, trace: str, name: str, level: int, facts: str, words: tuple[str, ...]) -> None:
        """Keep one step. Never waits, never fails."""
        waiting = self._waiting
        if len(waiting) >= self._settings.most_waiting:
            self._lost += 1
            return
        waiting.append((moment, trace, name, level, facts, words))
        if self._writing is not None:
            return
        if len(waiting) >= self._settings.batch:
            self._write()
        elif self._timer is None:
            self._timer = self._clock.callLater(self._settings.wait, self._write)

    def start(self) -> None:
        """Begin to prune from time to time."""
        if self._prune_timer is None and not self._stopped:
            self._prune_timer = self._clock.callLater(self._settings.prune_every, self._prune_again)

    def flush(self) -> Deferred[None]:
        """Fires when all that was added before is kept (or lost)."""
        if self._writing is None:
            self._write()
        if self._writing is None:
            return succeed(None)
        done: Deferred[None] = Deferred()

        def again(result: None) -> None:
            (self.flush() if self._waiting else succeed(None)).chainDeferred(done)
            return result

        self._writing.addCallback(again)
        return done

    async def stop(self) -> None:
        """Write what waits and close the file."""
        self._stopped = True
        for timer in (self._prune_timer, self._timer):
            if timer is not None and timer.active():
                timer.cancel()
        self._prune_timer = self._timer = None
        await self.flush()
        self._database.close()

    def _write(self) -> None:
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None
        if self._writing is not None or not self._waiting:
            return
        batch = self._waiting
        self._waiting = []
        self._writing = ensureDeferred(self._keep(batch))
        self._writing.addBoth(self._written)

    def _written(self, result: Any) -> Any:
        self._writing = None
        if len(self._waiting) >= self._settings.batch:
            self._write()
        elif self._waiting and self._timer is None:
            self._timer = self._clock.callLater(self._settings.wait, self._write)
        return result

    async def _keep(self, batch: Sequence[tuple[float, str, str, int, str, tuple[str, ...]]]) -> None:
        try:
            await self._database.run(lambda connection: _insert(connection, batch))
        except (DatabaseTrouble, sqlite3.Error, OSError, Busy) as error:
            self._lost += len(batch)
            self._say_lost(f"{error}{await self._begin_anew(error)}")

    async def _begin_anew(self, error: Exception) -> str:
        """Put a damaged file aside; what was in it is lost for ``trace``. Returns words for the owner."""
        damaged = type(error) is sqlite3.DatabaseError  # its kinds are other troubles: a full disk, a lock
        if not (damaged or (isinstance(error, DatabaseTrouble) and error.of_file)):
            return ""
        try:
            aside = await self._database.on_disk(self._database.put_aside)
        except (OSError, Busy) as trouble:
            return f"; it cannot be moved away: {trouble}"
        return f"; a new file is begun, the old one is {aside}"

    def _say_lost(self, reason: str) -> None:
        now = self._clock.seconds()
        if now - self._told_lost >= 60:
            self._told_lost = now
            lost, self._lost = self._lost, 0
            self._tell_lost(lost, reason)

    async def search(self, text: str, most_traces: int = 20, most_steps: int = 2000) -> tuple[TrailStep, ...]:
        """All steps of the messages that ``text`` names, and lone steps that bear it; oldest first.

        ``text`` is a trace id, an address (of sender, author, recipient, account or peer) or a Message-ID. Of many
        messages the newest ``most_traces`` are told.
        """
        return await self._asked(lambda c: _search(c, text, most_traces, most_steps))

    async def recent(self, names: Sequence[str], since: float, most: int) -> tuple[TrailStep, ...]:
        """The newest ``most`` steps that have one of these names, from ``since`` (epoch seconds) on; oldest first."""
        return await self._asked(lambda c: _recent(c, names, since, most))

    async def _asked(self, look_up: Callable[[sqlite3.Connection], tuple[TrailStep, ...]]) -> tuple[TrailStep, ...]:
        await self.flush()
        try:
            return await self._database.run(look_up)
        except (DatabaseTrouble, sqlite3.DatabaseError) as error:
            words = await self._begin_anew(error)
            if not words:
                raise
            self._say_lost(f"{error}{words}")
            return ()

    def _prune_again(self) -> None:
        self._prune_timer = None
        ensureDeferred(self.prune()).addCallback(lambda _: self.start())

    async def prune(self) -> None:
        """Delete what is too old or too much, a piece a time, so that the file is never locked for long."""
        settings = self._settings
        limit = self._clock.seconds() - settings.days * 86400
        try:
            while not self._stopped and await self._database.run(lambda c: _prune_piece(c, limit, settings)):
                pause: Deferred[None] = Deferred()
                self._clock.callLater(0.01, pause.callback, None)
                await pause
        except (DatabaseTrouble, sqlite3.Error, OSError, Busy) as error:
            self._say_lost(str(error))


def _insert(connection: sqlite3.Connection, batch: Iterable[tuple[float, str, str, int, str, tuple[str, ...]]]) -> None:
    found = []
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM step").fetchone()
    rows = []
    for number, (moment, trace, name, level, facts, words) in enumerate(batch, last + 1):
        rows.append((number, moment, trace, name, level, facts))
        found += [(word, trace, 0 if trace else number) for word in words]
    connection.executemany("INSERT INTO step VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.executemany("INSERT OR IGNORE INTO word VALUES (?, ?, ?)", dict.fromkeys(found))


def _search(connection: sqlite3.Connection, text: str, most_traces: int, most_steps: int) -> tuple[TrailStep, ...]:
    word = text.strip().strip("<>").lower()[:320]
    word = _bare_peer(word)
    columns = "time, trace, name, level, facts"
    rows = connection.execute(
        f"SELECT id, {columns} FROM step WHERE trace = ? AND trace != '' ORDER BY id LIMIT ?", (word, most_steps)
    ).fetchall()
    if not rows:
        # Trace ids sort by time, so the greatest are the newest.
        rows = connection.execute(
            f"SELECT id, {columns} FROM step WHERE trace IN (SELECT trace FROM word WHERE word = ? AND trace != '' "
            "ORDER BY trace DESC LIMIT ?) ORDER BY id DESC LIMIT ?",
            (word, most_traces, most_steps),
        ).fetchall()
        rows += connection.execute(
            f"SELECT id, {columns} FROM step WHERE id IN (SELECT step FROM word WHERE word = ? AND trace = '' "
            "ORDER BY step DESC LIMIT ?)",
            (word, min(most_steps, 200)),
        ).fetchall()
    return tuple(TrailStep(*row[1:]) for row in sorted(rows, key=lambda row: (row[1], row[0])))


def _recent(connection: sqlite3.Connection, names: Sequence[str], since: float, most: int) -> tuple[TrailStep, ...]:
    marks = ",".join("?" * len(names))
    rows = connection.execute(
        f"SELECT time, trace, name, level, facts FROM step WHERE time >= ? AND name IN ({marks}) "
        "ORDER BY id DESC LIMIT ?",
        (since, *names, most),
    ).fetchall()
    return tuple(TrailStep(*row) for row in reversed(rows))


def _prune_piece(connection: sqlite3.Connection, limit: float, settings: TrailSettings) -> bool:
    """Delete up to one piece; True when there may be more."""
    piece = settings.prune_piece
    doomed = connection.execute(
        "SELECT id, trace FROM step WHERE time < ? AND id <= (SELECT min(id) + ? FROM step)", (limit, piece)
    ).fetchall()
    if not doomed:
        (lone,) = connection.execute("SELECT count(*) FROM step WHERE trace = ''").fetchone()
        if lone > settings.lone_steps:
            doomed = connection.execute(
                "SELECT id, trace FROM step WHERE trace = '' ORDER BY id LIMIT ?",
                (min(piece, lone - settings.lone_steps),),
            ).fetchall()
    if not doomed:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > settings.octets:
            doomed = connection.execute("SELECT id, trace FROM step ORDER BY id LIMIT ?", (piece,)).fetchall()
    if not doomed:
        return False
    connection.executemany("DELETE FROM step WHERE id = ?", [(number,) for number, _ in doomed])
    connection.executemany(
        "DELETE FROM word WHERE trace = '' AND step = ?", [(number,) for number, trace in doomed if not trace]
    )
    connection.executemany(
        "DELETE FROM word WHERE trace = ? AND NOT EXISTS (SELECT 1 FROM step WHERE step.trace = word.trace)",
        [(trace,) for trace in {trace for _, trace in doomed if trace}],
    )
    return True
