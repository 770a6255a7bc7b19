"""What is known of each main password, written down: judged or not, weak or not, how far guessing has come."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from mailbox_appliance.journal.events.users import PasswordAllowed, PasswordWeak
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.users.desks.names import living
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.records import AccountRecord
from mailbox_appliance.users.snapshot import Snapshot
from mailbox_appliance.users.strength.facts import own_words

# The kinds of weakness, as people read them behind "the password is ".
KINDS: dict[str, str] = {
    "names": "made of names that everybody can find out",
    "common": "among the commonest",
    "keyboard": "a walk over the keyboard",
    "word": "a word or a name with little added",
    "date": "a date",
    "judged": "easily guessed, as was seen at a log-in",
}


@dataclass(frozen=True, slots=True)
class ToGuess:
    """One account's password to be guessed at, with how far that came before."""

    account: Address
    number: int
    hash_version: int
    hash: str = field(repr=False)
    words: tuple[str, ...]
    order: str
    tried: int


class Audits:
    """``on_weak`` hears once of each weak password; it must not raise."""

    def __init__(self, directory: SnapshotDirectory, clock: Clock, journal: Journal) -> None:
        self._directory = directory
        self._clock = clock
        self._journal = journal
        self.on_weak: Callable[[Address, str], object] = lambda account, kind: None

    async def to_guess(self, account: str = "") -> tuple[ToGuess, ...]:
        """Every living account (or one) whose password is not known to be weak yet. Raises UsersError."""
        snapshot = self._directory.snapshot
        chosen = [living(snapshot, account)] if account else list(snapshot.accounts.values())
        rows = await self._directory.database.run(
            lambda connection: {
                (row[0], row[1]): (str(row[2]), int(row[3]))
                for row in connection.execute("SELECT account, hash_version, guessing, tried FROM password_audits")
            }
        )
        return tuple(
            ToGuess(
                one.address,
                one.number,
                one.hash_version,
                one.hash,
                own_words(snapshot, one),
                *rows.get((one.number, one.hash_version), ("", 0)),
            )
            for one in chosen
            if not snapshot.audit(one).weak
        )

    async def has_tried(self, places: Mapping[tuple[int, int], tuple[str, int]]) -> None:
        """(account's number, hash version) → in which order of guesses how many were wrong."""
        now = self._clock.seconds()
        rows = [(order, tried, now, *who) for who, (order, tried) in places.items()]

        def work(connection: sqlite3.Connection) -> None:
            for row in rows:
                _make_row(connection, *row[3:])
            connection.executemany(
                "UPDATE password_audits SET guessing = ?, tried = ?, guessed = ? "
                "WHERE account = ? AND hash_version = ?",
                rows,
            )

        await self._directory.database.run(work)

    async def was_judged(self, number: int, hash_version: int) -> None:
        """It was in hand, and good."""
        now = self._clock.seconds()

        def work(connection: sqlite3.Connection) -> None:
            _make_row(connection, number, hash_version)
            connection.execute(
                "UPDATE password_audits SET judged = ? WHERE account = ? AND hash_version = ?",
                (now, number, hash_version),
            )

        await self._directory.edit(lambda snapshot: work)

    async def is_weak(self, number: int, hash_version: int, kind: str) -> bool:
        """Write it down and tell; False when it was known, or the password has changed in the meantime."""
        now = self._clock.seconds()
        kind = kind if kind in KINDS else "judged"

        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], AccountRecord | None]:
            record = snapshot.by_number.get(number)
            new = record is not None and record.hash_version == hash_version and not snapshot.audit(record).weak

            def work(connection: sqlite3.Connection) -> AccountRecord | None:
                if not new:
                    return None
                _make_row(connection, number, hash_version)
                connection.execute(
                    "UPDATE password_audits SET weak = ?, found = ?, judged = coalesce(judged, ?) WHERE account = ?",
                    (kind, now, now, number),
                )
                return record

            return work

        record = await self._directory.edit(plan)
        if record is None:
            return False
        self._journal.tell(PasswordWeak(account=str(record.address), kind=kind))
        self.on_weak(record.address, kind)
        return True

    async def allow(self, account: str, *, allowed: bool) -> Address:
        """The owner lets a weak password send from everywhere, until it changes; or no longer. Raises UsersError."""

        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], Address]:
            record = living(snapshot, account)

            def work(connection: sqlite3.Connection) -> Address:
                _make_row(connection, record.number, record.hash_version)
                connection.execute(
                    "UPDATE password_audits SET allowed = ? WHERE account = ?", (int(allowed), record.number)
                )
                return record.address

            return work

        address = await self._directory.edit(plan)
        self._journal.tell(PasswordAllowed(account=str(address), allowed=allowed))
        return address

    def weak(self) -> Sequence[tuple[Address, str, bool]]:
        """Every account with a weak password: which, what kind, whether it may send all the same. From memory."""
        snapshot = self._directory.snapshot
        known = ((one.address, snapshot.audit(one)) for one in snapshot.accounts.values())
        return tuple((address, audit.weak, audit.allowed) for address, audit in known if audit.weak)


def _make_row(connection: sqlite3.Connection, number: int, hash_version: int) -> None:
    """A row about the password the account has now, if that is still the one of ``hash_version``."""
    connection.execute(
        "INSERT OR REPLACE INTO password_audits (account, hash_version) SELECT id, hash_version FROM accounts "
        "WHERE id = ? AND hash_version = ? AND NOT EXISTS (SELECT 1 FROM password_audits AS known "
        "WHERE known.account = accounts.id AND known.hash_version = accounts.hash_version)",
        (number, hash_version),
    )
