"""The desk for app passwords: one a device, shown once, revoked alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from mailbox_appliance.journal.events.users import AppPasswordMade, AppPasswordRevoked
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.users import apppassword
from mailbox_appliance.users.answers import AppPasswordInfo, NewAppPassword, UsersError
from mailbox_appliance.users.desks.names import living
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.records import AppPasswordRecord
from mailbox_appliance.users.snapshot import Snapshot
from mailbox_appliance.users.uses import LastUses

Work = Callable[[sqlite3.Connection], object]
LABEL_LENGTH = 60
MOST_DEVICES = 100


class AppPasswords:
    """Every method that changes something raises UsersError when it refuses."""

    def __init__(
        self, directory: SnapshotDirectory, workers: Workers, clock: Clock, journal: Journal, uses: LastUses
    ) -> None:
        self._directory = directory
        self._workers = workers
        self._clock = clock
        self._journal = journal
        self._uses = uses

    async def listing(self, account: str | None = None) -> tuple[AppPasswordInfo, ...]:
        """All devices, or those of one account."""
        snapshot = self._directory.snapshot
        only = living(snapshot, account).number if account else None
        rows = []
        for one in snapshot.app_passwords.values():
            owner = snapshot.by_number[one.account]
            if owner.removed is None and only in (None, one.account):
                used, used_from, used_by = self._uses.of(one)
                rows.append(
                    AppPasswordInfo(str(owner.address), one.label, one.prefix, one.made, used, used_from, used_by)
                )
        return tuple(sorted(rows, key=lambda row: (row.account, row.made)))

    async def new(self, account: str, label: str) -> NewAppPassword:
        """Make the password of a device called ``label``. The secret is in the answer and nowhere else."""
        label = " ".join(label.split())
        if not label or len(label) > LABEL_LENGTH or not label.isprintable():
            raise UsersError(f'give the device a name of 1 to {LABEL_LENGTH} characters, such as "Ann\'s phone"')
        owner = living(self._directory.snapshot, account)
        text = apppassword.canonical(apppassword.generate())
        while text is None or apppassword.prefix(text) in self._directory.snapshot.app_passwords:
            text = apppassword.canonical(apppassword.generate())
        secret = text
        try:
            keys = await self._workers.run(
                "password", apppassword.keys, secret, owner.scram_salt, owner.scram_iterations
            )
        except Busy as error:
            raise UsersError(f"nothing was changed: {error}; try again in a moment") from error
        now = self._clock.seconds()

        def plan(snapshot: Snapshot) -> Work:
            record = living(snapshot, account)
            devices = [one for one in snapshot.app_passwords.values() if one.account == record.number]
            if any(one.label.casefold() == label.casefold() for one in devices):
                raise UsersError(
                    f"{record.address} has a device called {label!r} already: choose another name, or run "
                    f"`mailappliance apppassword revoke {record.address} {label!r}` first"
                )
            if len(devices) >= MOST_DEVICES:
                raise UsersError(f"{record.address} has {MOST_DEVICES} devices already: revoke one first")
            row = (record.number, apppassword.prefix(secret), label, keys.digest, keys.stored_key, keys.server_key, now)
            return lambda connection: connection.execute(
                "INSERT INTO app_passwords (account, prefix, label, digest, stored_key, server_key, made) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )

        await self._directory.edit(plan)
        self._journal.tell(AppPasswordMade(account=str(owner.address), device=label))
        return NewAppPassword(str(owner.address), label, apppassword.prefix(secret), apppassword.shown(secret))

    async def revoke(self, account: str, device: str) -> AppPasswordInfo:
        """Make a device's password worthless, by its label or by the first group of its secret."""
        revoked: list[AppPasswordRecord] = []

        def plan(snapshot: Snapshot) -> Work:
            record = living(snapshot, account)
            devices = [one for one in snapshot.app_passwords.values() if one.account == record.number]
            found = next((one for one in devices if one.label.casefold() == device.strip().casefold()), None)
            found = found or next((one for one in devices if one.prefix == device.strip().lower()), None)
            if found is None:
                raise UsersError(
                    f"{record.address} has no device called {device!r}: "
                    f"`mailappliance apppassword list {record.address}` shows what there is"
                )
            revoked.append(found)
            number = found.number
            return lambda connection: connection.execute("DELETE FROM app_passwords WHERE id = ?", (number,))

        address = str(living(self._directory.snapshot, account).address)
        await self._directory.edit(plan)
        (one,) = revoked
        used, used_from, used_by = self._uses.of(one)
        self._uses.forget(one.number)
        self._journal.tell(AppPasswordRevoked(account=address, device=one.label))
        return AppPasswordInfo(address, one.label, one.prefix, one.made, used, used_from, used_by)
