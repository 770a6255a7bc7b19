"""The desk for vacation notices: one an account, kept among its settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from mailbox_appliance.journal.events.users import VacationEnded, VacationSet
from mailbox_appliance.mail.vacation import (
    MOST_ADDRESSES,
    MOST_SUBJECT,
    MOST_TEXT,
    SETTING,
    VacationNotice,
    notice_of,
)
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.desks.names import living, read_address
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.snapshot import Snapshot

Work = Callable[[sqlite3.Connection], object]
MOST_DAYS = 365


@dataclass(frozen=True, slots=True)
class VacationInfo:
    """A line of ``vacation show``."""

    account: str
    notice: VacationNotice


class Vacations:
    """Every method that changes something raises UsersError when it refuses."""

    def __init__(self, directory: SnapshotDirectory, journal: Journal) -> None:
        self._directory = directory
        self._journal = journal

    async def listing(self, account: str = "") -> tuple[VacationInfo, ...]:
        """All notices, or one account's."""
        snapshot = self._directory.snapshot
        records = [living(snapshot, account)] if account else list(snapshot.accounts.values())
        found = [(one, notice_of(one.settings)) for one in records]
        return tuple(VacationInfo(str(one.address), notice) for one, notice in found if notice is not None)

    async def set(self, account: str, notice: VacationNotice) -> VacationInfo:
        """Say this from now on, or within its time."""
        _refuse_bad(notice)
        address = living(self._directory.snapshot, account).address
        kept = notice.to_text()

        def plan(snapshot: Snapshot) -> Work:
            number = living(snapshot, account).number
            sql = "INSERT OR REPLACE INTO settings (account, key, value) VALUES (?, ?, ?)"
            return lambda connection: connection.execute(sql, (number, SETTING, kept))

        await self._directory.edit(plan)
        self._journal.tell(VacationSet(account=str(address)))
        return VacationInfo(str(address), notice)

    async def off(self, account: str) -> bool:
        """Say nothing any more; False when nothing was said."""
        record = living(self._directory.snapshot, account)
        if SETTING not in record.settings:
            return False

        def plan(snapshot: Snapshot) -> Work:
            number = living(snapshot, account).number
            sql = "DELETE FROM settings WHERE account = ? AND key = ?"
            return lambda connection: connection.execute(sql, (number, SETTING))

        await self._directory.edit(plan)
        self._journal.tell(VacationEnded(account=str(record.address)))
        return True


def _refuse_bad(notice: VacationNotice) -> None:
    if not notice.text.strip():
        raise UsersError("say what is to be answered, such as: I am back on Monday.")
    if len(notice.text) > MOST_TEXT:
        raise UsersError(f"the text is too long: {MOST_TEXT} characters at most")
    if len(notice.subject) > MOST_SUBJECT:
        raise UsersError(f"the subject is too long: {MOST_SUBJECT} characters at most")
    if any(ord(c) < 32 or ord(c) == 127 for c in notice.subject):
        raise UsersError("the subject is one line without control characters")
    if not 1 <= notice.days <= MOST_DAYS:
        raise UsersError(f"days: a number from 1 to {MOST_DAYS}")
    if notice.begins and notice.ends and notice.ends <= notice.begins:
        raise UsersError("the last day is before the first one")
    if len(notice.addresses) > MOST_ADDRESSES:
        raise UsersError(f"{MOST_ADDRESSES} further addresses at most")
    for one in notice.addresses:
        read_address(one)
