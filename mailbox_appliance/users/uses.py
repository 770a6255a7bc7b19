"""When and from where each app password was last used: kept in memory, written lazily."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mailbox_appliance.database import Database
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.users.records import AppPasswordRecord


class LastUses:
    """One entry a device at most; at most ``every`` seconds are lost in a crash."""

    def __init__(self, database: Database, clock: Clock, journal: HasFailed, every: float) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._every = every
        self._uses: dict[int, tuple[float, str, str]] = {}
        self._unwritten: set[int] = set()
        self._timer: Timer | None = None

    def used(self, app_password: int, peer: str, service: str) -> None:
        """The password with that number was used now."""
        self._uses[app_password] = (self._clock.seconds(), peer[:64], service[:32])
        self._unwritten.add(app_password)
        if self._timer is None:
            self._timer = self._clock.callLater(self._every, self._write_soon)

    def of(self, record: AppPasswordRecord) -> tuple[float | None, str, str]:
        """When, from where and by which service ``record`` was used last."""
        return self._uses.get(record.number, (record.used, record.used_from, record.used_by))

    def forget(self, app_password: int) -> None:
        """It was revoked."""
        self._uses.pop(app_password, None)
        self._unwritten.discard(app_password)

    def _write_soon(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self.write())

    async def write(self) -> None:
        """Write what is new; a failure is journaled and tried again with the next use."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows = [(*self._uses[number], number) for number in self._unwritten]
        if not rows:
            return
        self._unwritten.clear()
        try:
            await self._database.run(
                lambda connection: connection.executemany(
                    "UPDATE app_passwords SET used = ?, used_from = ?, used_by = ? WHERE id = ?", rows
                )
            )
        except Exception as error:  # noqa: BLE001 - "last used" is not worth a log-in
            self._unwritten.update(row[3] for row in rows)
            self._journal.broken("users", error)
