"""What one person thinks of a sender, and whether they have met: STATE/senders.db.

sender   allowed and blocked addresses and domains ("@example.net"), by the person's own word
met      whom the person has had mail from that was neither junk nor refused; addresses as keyed digests only
said     what the person made of a sender's letters, by moving them into Junk or out of it; each letter's last word
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import TypeVar

from twisted.internet.defer import Deferred

from mailbox_appliance.checks.lately import Lately
from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.clock import Clock, Timer

T = TypeVar("T")

MIGRATIONS = (
    """
    CREATE TABLE sender (account TEXT NOT NULL, pattern TEXT NOT NULL, allowed INTEGER NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (account, pattern)) WITHOUT ROWID;
    CREATE TABLE met (account TEXT NOT NULL, digest BLOB NOT NULL, day INTEGER NOT NULL, letters INTEGER NOT NULL,
        PRIMARY KEY (account, digest)) WITHOUT ROWID;
    CREATE INDEX met_day ON met (account, day)
""",
    """
    CREATE TABLE tried (digest BLOB PRIMARY KEY, first REAL NOT NULL) WITHOUT ROWID;
    CREATE INDEX tried_first ON tried (first)
""",
    """
    CREATE TABLE said (account TEXT NOT NULL, digest BLOB NOT NULL, letter BLOB NOT NULL, junk INTEGER NOT NULL,
        day INTEGER NOT NULL, PRIMARY KEY (account, digest, letter)) WITHOUT ROWID;
    CREATE INDEX said_day ON said (account, day);
    ALTER TABLE met ADD COLUMN since INTEGER NOT NULL DEFAULT 0
""",
)
MOST_PATTERNS = 2_000  # of one account
MOST_MET = 20_000
MOST_SAID = 5_000  # letters of one account
_UNPROVEN = b"?"
_DAY = 86_400
_MOST_WITHOUT = 4_096
_GATHERING = 1.0  # seconds for which letters gather before they are written together
_MOST_GATHERED = 1_000


class TooMany(ValueError):
    """The account's list is full."""


@dataclass(frozen=True, slots=True)
class Acquainted:
    """What is known of a sender: earlier ``letters`` of his, whether the first came before today (``is_old``), and how
    many the person called ``junk`` or ``wanted``."""

    letters: int = 0
    is_old: bool = False
    junk: int = 0
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """One author for one account: the list's word, letters of his and the day of the first, and what was said of his
    letters (junk, wanted), by whether somebody stood behind them: whoever forges his name shall not spoil it."""

    standing: Standing
    letters: int
    since: int
    said: tuple[int, int]
    said_unproven: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list."""

    account: str
    pattern: str
    allowed: bool
    since: float


def pattern_of(text: str) -> str:
    """An address, or "@domain" for all of a domain, as it is kept. Raises AddressError."""
    text = text.strip()
    if text.startswith("@") or "@" not in text:
        return "@" + Address.of("x", text.removeprefix("@")).folded().domain
    return str(Address.parse(text).folded()).lower()


class Senders:
    """All accounts in one file."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._met: dict[tuple[str, bytes, int], int] = {}  # letters not written yet
        self._writing = False
        self._gathering: Deferred[None] | None = None
        self._timer: Timer | None = None
        self._without: set[str] = set()  # accounts known to have no list
        self._lately: Lately[tuple[str, str], _Found] = Lately()  # by account and author

    async def judged_by(self, account: Address, author: Address) -> Standing:
        """The list's word alone; nobody is looked up for an account that has no list."""
        person = str(account)
        if person in self._without:
            return Standing.NONE
        began = self._lately.begin()
        standing, _ = await self.standing(account, author)
        if standing is not Standing.NONE or await self._database.run(lambda c: _has_list(c, person)):
            return standing
        if began == self._lately.begin():
            if len(self._without) >= _MOST_WITHOUT:
                self._without.clear()
            self._without.add(person)
        return standing

    async def standing(self, account: Address, author: Address) -> tuple[Standing, int]:
        """The list's word on an author (the address before its domain), and how many letters came from him."""
        found = await self._find(account, author)
        return found.standing, found.letters + self._waiting(account, author)

    async def acquainted(self, account: Address, author: Address, *, proven: bool) -> Acquainted:
        """What earlier letters tell. Of an unproven author only what was said of unproven letters counts."""
        found = await self._find(account, author)
        today = int(self._clock.seconds() // _DAY)
        junk, wanted = found.said if proven else found.said_unproven
        letters = found.letters + self._waiting(account, author)
        return Acquainted(letters, bool(found.letters) and found.since < today, junk, wanted)

    async def _find(self, account: Address, author: Address) -> _Found:
        person, written = str(account), str(author)
        digest = _digest(person, written.lower())
        found = self._lately.get((person, written))
        if found is None:
            began = self._lately.begin()
            found = await self._database.run(_look_up(person, (pattern_of(written), *_domains(author)), digest))
            self._lately.keep(began, (person, written), found)
        return found

    def _waiting(self, account: Address, author: Address) -> int:
        """Letters that are not written yet: none is older than a second."""
        if not self._met:
            return 0
        person, today = str(account), int(self._clock.seconds() // _DAY)
        digest = _digest(person, str(author).lower())
        return sum(self._met.get((person, digest, day), 0) for day in (today - 1, today))

    def said(self, account: Address, author: Address, letter: bytes, *, junk: bool, proven: bool) -> Awaitable[None]:
        """A person calls a letter junk or wanted; ``letter`` is a digest of it, and its last word counts."""
        person = str(account)
        digest = _digest(person, str(author).lower()) + (b"" if proven else _UNPROVEN)
        row = (person, digest, letter, int(junk), int(self._clock.seconds() // _DAY))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?, ?)", row)
            (count,) = connection.execute("SELECT count(*) FROM said WHERE account=?", row[:1]).fetchone()
            if count > MOST_SAID:
                connection.execute(
                    "DELETE FROM said WHERE account=?1 AND (digest, letter) IN "
                    "(SELECT digest, letter FROM said WHERE account=?1 ORDER BY day LIMIT ?2)",
                    (person, count - MOST_SAID),
                )

        return self._written(write, person)

    def meet(self, account: Address, author: Address) -> bool:
        """A letter of his has been taken; True when somebody must ``write`` it."""
        person = str(account)
        key = (person, _digest(person, str(author).lower()), int(self._clock.seconds() // _DAY))
        self._met[key] = self._met.get(key, 0) + 1
        if len(self._met) >= _MOST_GATHERED:
            self._enough()
        return bool(self._met) and not self._writing

    async def write(self) -> None:
        """Write the letters of the next second together.

        Raises sqlite3.Error and the like; then these meetings are forgotten.
        """
        self._writing = True
        try:
            while self._met:
                self._gathering = Deferred()
                self._timer = self._clock.callLater(_GATHERING, self._enough)
                await self._gathering
                met, self._met = self._met, {}
                self._lately.forget()
                try:
                    await self._database.run(partial(_note, met=met))
                finally:
                    self._lately.forget()
        finally:
            self._writing = False

    def _enough(self) -> None:
        gathering, self._gathering = self._gathering, None
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if gathering is not None:
            gathering.callback(None)

    def put(self, account: Address, pattern: str, *, allowed: bool) -> Awaitable[None]:
        """Set a line of the list, over the contrary one. Raises TooMany."""
        row = (str(account), pattern, int(allowed), self._clock.seconds())
        self._changed(row[0])

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO sender VALUES (?, ?, ?, ?)", row)
            (count,) = connection.execute("SELECT count(*) FROM sender WHERE account=?", row[:1]).fetchone()
            if count > MOST_PATTERNS:
                raise TooMany(f"{row[0]} has {MOST_PATTERNS} senders in the list already; remove some first")

        return self._written(write, row[0])

    async def _written(self, work: Callable[[sqlite3.Connection], T], person: str) -> T:
        try:
            return await self._database.run(work)
        finally:
            self._changed(person)

    def _changed(self, person: str) -> None:
        self._without.discard(person)
        self._lately.forget(lambda key: key[0] == person)

    def remove(self, account: Address, pattern: str) -> Awaitable[bool]:
        """Take a line out; False when there was none."""
        self._changed(str(account))

        def delete(connection: sqlite3.Connection) -> bool:
            done = connection.execute("DELETE FROM sender WHERE account=? AND pattern=?", (str(account), pattern))
            return done.rowcount > 0

        return self._written(delete, str(account))

    def listing(self, account: Address | None) -> Awaitable[tuple[Listed, ...]]:
        """One account's list, or everybody's."""

        def read(connection: sqlite3.Connection) -> tuple[Listed, ...]:
            where, given = ("WHERE account=?", (str(account),)) if account is not None else ("", ())
            rows = connection.execute(
                f"SELECT account, pattern, allowed, since FROM sender {where} ORDER BY account, pattern", given
            )
            return tuple(Listed(person, pattern, bool(allowed), since) for person, pattern, allowed, since in rows)

        return self._database.run(read)

    def forget(self, account: Address) -> Awaitable[None]:
        """The account has gone for good."""
        self._met = {key: count for key, count in self._met.items() if key[0] != str(account)}
        self._changed(str(account))

        def delete(connection: sqlite3.Connection) -> None:
            for table in ("sender", "met", "said"):
                connection.execute(f"DELETE FROM {table} WHERE account=?", (str(account),))

        return self._written(delete, str(account))

    def close(self) -> None:
        """Write what waits, and close the file."""
        met, self._met = self._met, {}
        self._lately.forget()
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if met:
            with contextlib.suppress(sqlite3.Error, DatabaseTrouble, OSError):
                self._database.run_now(partial(_note, met=met))
        self._database.close()


def _look_up(person: str, patterns: Sequence[str], digest: bytes) -> Callable[[sqlite3.Connection], _Found]:
    def look_up(connection: sqlite3.Connection) -> _Found:
        standing = Standing.NONE
        for pattern in patterns:
            row = connection.execute(
                "SELECT allowed FROM sender WHERE account=? AND pattern=?", (person, pattern)
            ).fetchone()
            if row is not None:
                standing = Standing.ALLOWED if row[0] else Standing.BLOCKED
                break
        met = connection.execute(
            "SELECT letters, since FROM met WHERE account=? AND digest=?", (person, digest)
        ).fetchone() or (0, 0)
        said, unproven = (
            connection.execute(
                "SELECT coalesce(sum(junk), 0), coalesce(sum(1 - junk), 0) FROM said WHERE account=? AND digest=?",
                (person, whose),
            ).fetchone()
            for whose in (digest, digest + _UNPROVEN)
        )
        return _Found(standing, met[0], met[1], said, unproven)

    return look_up


def _has_list(connection: sqlite3.Connection, person: str) -> bool:
    return connection.execute("SELECT 1 FROM sender WHERE account=? LIMIT 1", (person,)).fetchone() is not None


def _note(connection: sqlite3.Connection, met: dict[tuple[str, bytes, int], int]) -> None:
    connection.executemany(
        "INSERT INTO met (account, digest, day, letters, since) VALUES (?1, ?2, ?3, ?4, ?3) "
        "ON CONFLICT DO UPDATE SET letters=letters+excluded.letters, day=excluded.day",
        [(*key, letters) for key, letters in met.items()],
    )
    for person in {person for person, _, _ in met}:
        (count,) = connection.execute("SELECT count(*) FROM met WHERE account=?", (person,)).fetchone()
        if count > MOST_MET:
            connection.execute(
                "DELETE FROM met WHERE account=?1 AND digest IN "
                "(SELECT digest FROM met WHERE account=?1 ORDER BY day LIMIT ?2)",
                (person, count - MOST_MET),
            )


def _domains(author: Address) -> list[str]:
    """The author's domain and those above it, down to two labels."""
    labels = author.folded().domain.split(".")
    return ["@" + ".".join(labels[at:]) for at in range(max(1, len(labels) - 1))]


def _digest(person: str, author: str) -> bytes:
    return blake2b(author.encode(), digest_size=8, key=person.encode()[:64]).digest()
