"""What one account (or the family) has been taught: weights in memory, and behind them one SQLite file.

The file holds a picture of the weights (in pages), the changes since that picture, and the lessons. A lesson costs one
small row; after some hundred changes the picture is made anew, off the reactor. Each lesson remembers its slots and
what it added to them, so that it can be gone over again, and taken back exactly: by the person, or when it is too
old, or when lessons take more room than they may. Loading is reading the pages (C code), then applying the changes in
slices.
"""

from __future__ import annotations

import itertools
import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from mailbox_appliance.database import Database
from mailbox_appliance.junk import weighing
from mailbox_appliance.junk.features import SLOTS, VIEWS
from mailbox_appliance.junk.weighing import Steps
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.slices import Slices

MIGRATIONS = (
    """
CREATE TABLE page (number INTEGER PRIMARY KEY, octets BLOB NOT NULL);
CREATE TABLE change (
  id INTEGER PRIMARY KEY, reading INTEGER NOT NULL, glance INTEGER NOT NULL, bearing INTEGER NOT NULL,
  reading_slots BLOB NOT NULL, glance_slots BLOB NOT NULL, bearing_slots BLOB NOT NULL);
CREATE TABLE lesson (
  key BLOB PRIMARY KEY, learnt INTEGER NOT NULL, junk INTEGER NOT NULL, reading INTEGER NOT NULL,
  glance INTEGER NOT NULL, bearing INTEGER NOT NULL, reading_slots BLOB NOT NULL, glance_slots BLOB NOT NULL,
  bearing_slots BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX lesson_learnt ON lesson (learnt);
CREATE TABLE total (
  id INTEGER PRIMARY KEY CHECK (id = 1), junk INTEGER NOT NULL, wanted INTEGER NOT NULL, octets INTEGER NOT NULL);
INSERT INTO total VALUES (1, 0, 0, 0)
""",
    # Two views more, and another way of learning: what lessons had added is dropped, going over them adds anew.
    """
ALTER TABLE change ADD COLUMN fields INTEGER NOT NULL DEFAULT 0;
ALTER TABLE change ADD COLUMN road INTEGER NOT NULL DEFAULT 0;
ALTER TABLE change ADD COLUMN fields_slots BLOB NOT NULL DEFAULT x'';
ALTER TABLE change ADD COLUMN road_slots BLOB NOT NULL DEFAULT x'';
ALTER TABLE lesson ADD COLUMN fields INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lesson ADD COLUMN road INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lesson ADD COLUMN fields_slots BLOB NOT NULL DEFAULT x'';
ALTER TABLE lesson ADD COLUMN road_slots BLOB NOT NULL DEFAULT x'';
DELETE FROM page;
DELETE FROM change;
UPDATE lesson SET reading=0, glance=0, bearing=0
""",
    # Other views. Lessons keep those that stayed, and speak again as they are gone over.
    """
DELETE FROM page;
DROP TABLE change;
CREATE TABLE change (
  id INTEGER PRIMARY KEY, reading INTEGER NOT NULL, ends INTEGER NOT NULL, rhythm INTEGER NOT NULL,
  letters INTEGER NOT NULL, couples INTEGER NOT NULL, road INTEGER NOT NULL, reading_slots BLOB NOT NULL,
  ends_slots BLOB NOT NULL, rhythm_slots BLOB NOT NULL, letters_slots BLOB NOT NULL, couples_slots BLOB NOT NULL,
  road_slots BLOB NOT NULL);
ALTER TABLE lesson RENAME TO lesson_before;
CREATE TABLE lesson (
  key BLOB PRIMARY KEY, learnt INTEGER NOT NULL, junk INTEGER NOT NULL, reading INTEGER NOT NULL,
  ends INTEGER NOT NULL, rhythm INTEGER NOT NULL, letters INTEGER NOT NULL, couples INTEGER NOT NULL,
  road INTEGER NOT NULL, reading_slots BLOB NOT NULL, ends_slots BLOB NOT NULL, rhythm_slots BLOB NOT NULL,
  letters_slots BLOB NOT NULL, couples_slots BLOB NOT NULL, road_slots BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO lesson
  SELECT key, learnt, junk, 0, 0, 0, 0, 0, 0, reading_slots, x'', x'', x'', x'', x'' FROM lesson_before;
DROP TABLE lesson_before;
CREATE INDEX lesson_learnt ON lesson (learnt);
UPDATE total SET octets=(SELECT coalesce(sum(64 + length(reading_slots)), 0) FROM lesson)
""",
)
_PAGE = 1 << 14  # slots
CHANGES_BEFORE_A_PICTURE = 200
_AGED_AT_ONCE = 16


def pack(slots: array[int]) -> bytes:
    """Slots made small: sorted, as differences, then zlib."""
    slots = array("I", sorted(slots))
    differences = array("I", slots[:1])
    differences.extend([after - before for before, after in itertools.pairwise(slots)])
    return zlib.compress(differences.tobytes(), 6)


def unpack(octets: bytes) -> array[int]:
    """The slots again. Raises ValueError when the octets are no such thing."""
    try:
        differences = array("I", zlib.decompress(octets))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    try:
        slots = array("I", itertools.accumulate(differences))
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if slots and slots[-1] >= SLOTS:
        raise ValueError("a slot lies beyond the memory")
    return slots


@dataclass(frozen=True, slots=True)
class Lesson:
    """One message that was taught: what it was said to be, and what that added where (views in the order of VIEWS).

    ``slots`` are empty when the message was so clear that it taught nothing.
    """

    key: bytes
    learnt: int
    junk: bool
    steps: Steps
    slots: tuple[bytes, ...]

    @property
    def octets(self) -> int:
        """Roughly what it takes in the file."""
        return 64 + sum(map(len, self.slots))

    def views(self) -> tuple[array[int], ...]:
        """The slots of each view. Raises ValueError when the octets are no such thing."""
        return tuple([unpack(octets) if octets else array("I") for octets in self.slots])


Change = tuple[Steps, tuple[bytes, ...]]
NO_SLOTS = (b"",) * len(VIEWS)
_SLOTS = [f"{view}_slots" for view in VIEWS]
_CHANGE = ", ".join([*VIEWS, *_SLOTS])
_COLUMNS = f"key, learnt, junk, {_CHANGE}"
_MARKS = ", ".join("?" * 2 * len(VIEWS))
_LENGTH = " + ".join(f"length({name})" for name in _SLOTS)
_SET_STEPS = ", ".join(f"{view}=?" for view in VIEWS)


def pack_views(views: Sequence[array[int]]) -> tuple[bytes, ...]:
    """The slots of each view made small."""
    return tuple([pack(slots) if slots else b"" for slots in views])


def _lesson_of(row: Sequence[Any]) -> Lesson:
    key, learnt, junk, *rest = row
    return Lesson(key, learnt, bool(junk), Steps(tuple(rest[: len(VIEWS)])), tuple(rest[len(VIEWS) :]))


def _change_of(row: Sequence[Any]) -> Change:
    return Steps(tuple(row[: len(VIEWS)])), tuple(row[len(VIEWS) :])


class Memory:
    """Weights and their file. Load it once; then ``weights`` is for reading, and every change goes to the file first.

    The methods that wait must not run beside one another: the filter holds a lock a memory.
    """

    def __init__(self, path: str, workers: Workers, clock: Clock) -> None:
        self.path = path
        self.weights = array("i")  # none, until there is something to know: two megabytes
        self.junk = 0  # lessons of either kind
        self.wanted = 0
        self._octets = 0
        self._changes = 0
        self._gone_over = b""  # the key of the lesson that was gone over last
        self._clock = clock
        self._workers = workers
        self._database = Database(path, MIGRATIONS, workers, synchronous="NORMAL", cache_kib=128)

    @property
    def is_blank(self) -> bool:
        """Has it no weights yet?"""
        return not self.weights

    def _own_weights(self) -> array[int]:
        if self.is_blank:
            self.weights = weighing.empty()
        return self.weights

    @property
    def lessons(self) -> int:
        """How many lessons are remembered."""
        return self.junk + self.wanted

    async def load(self) -> None:
        """Read the file. Raises DatabaseTrouble, sqlite3.Error, ValueError (it is damaged), Busy."""
        pages, changes, total = await self._database.run(_read)
        for number, octets in pages:
            page = array("i", octets)
            if len(page) != _PAGE or not 0 <= number < SLOTS // _PAGE:
                raise ValueError(f"{self.path}: page {number} is damaged")
            self._own_weights()[number * _PAGE : (number + 1) * _PAGE] = page
        slices = Slices(self._clock)
        for change in changes:
            self._apply(change)
            await slices.breathe()
        self._changes = len(changes)
        self.junk, self.wanted, self._octets = total

    async def lesson(self, key: bytes) -> Lesson | None:
        """The lesson of this key."""

        def look_up(connection: sqlite3.Connection) -> Lesson | None:
            row = connection.execute(f"SELECT {_COLUMNS} FROM lesson WHERE key=?", (key,)).fetchone()
            return _lesson_of(row) if row else None

        return await self._database.run(look_up)

    async def add(self, lesson: Lesson) -> None:
        """Keep a lesson: in the file, then in the weights. One of the same key is taken back before it."""
        await self._exchange([lesson.key], lesson)

    async def step(self, lesson: Lesson, more: Steps) -> None:
        """A lesson that is kept adds ``more`` than before: in the file, then in the weights."""
        after = lesson.steps + more

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(f"UPDATE lesson SET {_SET_STEPS} WHERE key=?", (*after.of, lesson.key))
            _write_changes(connection, [(more, lesson.slots)])

        await self._database.run(write)
        await self._follow([(more, lesson.slots)])

    async def some(self, most: int) -> list[Lesson]:
        """The next lessons to go over, each in its turn."""

        def read(connection: sqlite3.Connection) -> list[Lesson]:
            ask = f"SELECT {_COLUMNS} FROM lesson WHERE key > ? AND {_LENGTH} > 0 ORDER BY key LIMIT ?"
            rows = connection.execute(ask, (self._gone_over, most)).fetchall()
            if len(rows) < most:
                rows += connection.execute(ask, (b"", most - len(rows))).fetchall()
            return [_lesson_of(row) for row in rows]

        lessons = {lesson.key: lesson for lesson in await self._database.run(read)}
        if lessons:
            self._gone_over = list(lessons)[-1]
        return list(lessons.values())

    async def take_back(self, key: bytes) -> bool:
        """Undo a lesson; False when there is none of this key."""
        return bool(await self._exchange([key], None))

    async def age(self, before: float, most_octets: int) -> int:
        """Undo a few lessons learnt ``before`` that time, or the oldest when all take more than ``most_octets``."""

        def oldest(connection: sqlite3.Connection) -> list[tuple[bytes, int, int]]:
            return connection.execute(
                f"SELECT key, learnt, 64 + {_LENGTH} FROM lesson ORDER BY learnt LIMIT ?",
                (_AGED_AT_ONCE,),
            ).fetchall()

        keys = []
        over = self._octets - most_octets
        for key, learnt, octets in await self._database.run(oldest):
            if learnt >= before and over <= 0:
                break
            over -= octets
            keys.append(key)
        return len(await self._exchange(keys, None)) if keys else 0

    async def _exchange(self, keys: list[bytes], new: Lesson | None) -> list[Lesson]:
        """Take the lessons of ``keys`` back and keep ``new``, in one transaction; then the weights follow."""

        def exchange(connection: sqlite3.Connection) -> tuple[list[Lesson], list[Change], tuple[int, int, int]]:
            gone = []
            for key in keys:
                row = connection.execute(f"DELETE FROM lesson WHERE key=? RETURNING {_COLUMNS}", (key,)).fetchone()
                if row:
                    gone.append(_lesson_of(row))
            changes = [(-lesson.steps, lesson.slots) for lesson in gone]
            if new is not None:
                changes.append((new.steps, new.slots))
                connection.execute(
                    f"INSERT INTO lesson ({_COLUMNS}) VALUES (?, ?, ?, {_MARKS})",
                    (new.key, new.learnt, new.junk, *new.steps.of, *new.slots),
                )
            changes = [change for change in changes if change[0]]
            _write_changes(connection, changes)
            signed = [(lesson, -1) for lesson in gone] + ([(new, 1)] if new is not None else [])
            total = connection.execute(
                "UPDATE total SET junk=junk+?, wanted=wanted+?, octets=octets+? RETURNING junk, wanted, octets",
                (
                    sum(sign for lesson, sign in signed if lesson.junk),
                    sum(sign for lesson, sign in signed if not lesson.junk),
                    sum(sign * lesson.octets for lesson, sign in signed),
                ),
            ).fetchone()
            return gone, changes, total

        gone, changes, total = await self._database.run(exchange)
        self.junk, self.wanted, self._octets = total
        await self._follow(changes)
        return gone

    async def _follow(self, changes: Sequence[Change]) -> None:
        """The weights follow what is in the file."""
        slices = Slices(self._clock)
        for change in changes:
            self._apply(change)
            await slices.breathe()
        self._changes += len(changes)
        if self._changes >= CHANGES_BEFORE_A_PICTURE:
            await self.picture()

    async def picture(self) -> None:
        """Write the weights as they are now, and forget the changes that led to them."""
        octets = self.weights.tobytes()
        size = 4 * _PAGE
        empty = bytes(size)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM page")
            pages = [(at // size, octets[at : at + size]) for at in range(0, len(octets), size)]
            connection.executemany(
                "INSERT INTO page VALUES (?, ?)",
                [(number, zlib.compress(page, 1)) for number, page in pages if page != empty],
            )
            connection.execute("DELETE FROM change")

        await self._database.run(write)
        self._changes = 0

    def close(self) -> None:
        """Close the file; everything is in it."""
        self._database.close()

    def _apply(self, change: Change) -> None:
        steps, slots = change
        for step, octets in zip(steps.of, slots, strict=True):
            if step:
                weighing.apply(self._own_weights(), unpack(octets), step)


def _write_changes(connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
    connection.executemany(
        f"INSERT INTO change ({_CHANGE}) VALUES ({_MARKS})", [(*steps.of, *slots) for steps, slots in changes]
    )


def _read(
    connection: sqlite3.Connection,
) -> tuple[list[tuple[int, bytes]], list[Change], tuple[int, int, int]]:
    pages: Iterable[tuple[int, bytes]] = connection.execute("SELECT number, octets FROM page")
    unpacked = [(number, zlib.decompress(octets)) for number, octets in pages]
    changes = [_change_of(row) for row in connection.execute(f"SELECT {_CHANGE} FROM change ORDER BY id")]
    return unpacked, changes, connection.execute("SELECT junk, wanted, octets FROM total").fetchone()
