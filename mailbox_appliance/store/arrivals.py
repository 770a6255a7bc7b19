"""Files of ours that are durable and wait for their UIDs: numbered in batches, whatever has gathered meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.shielded import Held, shielded
from mailbox_appliance.store import message_rows, quota
from mailbox_appliance.store.admission import Restart
from mailbox_appliance.store.changes import Newcomer
from mailbox_appliance.store.filenames import base_of, size_of
from mailbox_appliance.store.looking import LOOKS

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

CHUNK = 500  # newcomers admitted in one transaction
MOST_NUMBERED = 10_000  # that are remembered for those who bring them
MANY = 200  # so many are numbered without further delay

_Waiting = tuple[Newcomer, "Deferred[int] | None"]


class Arrivals:
    """The queue of one open mailbox. Where nobody waits or watches it gathers for a while: a batch costs one lock, one
    sync and one transaction, whether it is one message or hundreds."""

    def __init__(self, box: OpenMailbox) -> None:
        self._box = box
        self._waiting: list[_Waiting] = []
        self._numbered: dict[str, int] = {}  # given while somebody brings messages, by base
        self._timer: Timer | None = None
        self._is_flushing = False

    @property
    def is_busy(self) -> bool:
        """Do files wait for their UIDs?"""
        return self._is_flushing or bool(self._waiting)

    def enqueue_all(self, newcomers: Sequence[Newcomer]) -> list[Deferred[int]]:
        """Somebody waits for these: the UIDs, or a StoreError, soon."""
        waiters: list[Deferred[int]] = [Deferred() for _ in newcomers]
        self._waiting += zip(newcomers, waiters, strict=True)
        if self._box.is_dead:
            self.give_up(StoreError(Problem.BUSY, "the mailbox was closed; try again"))
        self.hurry()
        return waiters

    def enqueue(self, newcomer: Newcomer) -> None:
        """Nobody waits for this one."""
        box = self._box
        self._waiting.append((newcomer, None))
        if self._is_flushing:
            return
        if box.watchers or len(self._waiting) >= MANY:
            self.hurry()
        elif self._timer is None:
            self._timer = box.account.clock.callLater(box.account.settings.arrival_delay, self.hurry)

    def hurry(self) -> None:
        """Whoever waits gets a UID now."""
        self.stop()
        if self._waiting and not self._is_flushing and not self._box.is_dead:
            self._is_flushing = True
            shielded(self._flush()).addErrback(self._box.failed)

    def note(self, numbers: Mapping[str, int]) -> None:
        """These files have their UIDs, perhaps from a look that saw them before the one who brings them asks here.

        Remembered while there is such a one: others may expunge them meanwhile, and they were there all the same.
        """
        if not self._box.guests:
            self._numbered.clear()
            return
        self._numbered.update({base_of(file): uid for file, uid in numbers.items()})
        while len(self._numbered) > MOST_NUMBERED:
            del self._numbered[next(iter(self._numbered))]

    def stop(self) -> None:
        """No timer runs; what waits lies in new/ and is found by the next look."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def give_up(self, error: StoreError) -> None:
        """The mailbox is gone."""
        waiting, self._waiting = self._waiting, []
        _refuse(waiting, error)

    async def _flush(self) -> None:
        box = self._box
        try:
            while self._waiting and not box.is_dead:
                async with Held(box.lock):
                    await self.flush_locked(one_batch=True)
        finally:
            self._is_flushing = False

    async def flush_locked(self, *, one_batch: bool = False) -> None:
        """Number what waits: the first CHUNK of it, or all. Call under the lock."""
        box = self._box
        while self._waiting and not box.is_dead:
            batch, self._waiting = self._waiting[:CHUNK], self._waiting[CHUNK:]
            try:
                found = await self._number([newcomer for newcomer, _ in batch])
            except Exception as error:  # noqa: BLE001 - passed on to those who wait
                _refuse(batch, box.account.refusal(error))
                box.look_again_in(1.0)
                return
            for newcomer, waiter in batch:
                if waiter is None:
                    continue
                if newcomer.file in found:
                    waiter.callback(found[newcomer.file])
                else:
                    waiter.errback(StoreError(Problem.DISK, "the message vanished from the disk"))
            if one_batch:
                return

    async def _number(self, newcomers: Sequence[Newcomer]) -> dict[str, int]:
        """UIDs by file name; those whose file is gone are left out."""
        box = self._box
        box.check_alive()
        for _ in range(LOOKS):
            try:
                done = await box.admit(newcomers)
                break
            except Restart:
                await box.look_locked(thorough=True)
        else:
            raise StoreError(Problem.BUSY, "another program is changing this mailbox; try again")
        found = done.numbers
        missing = [newcomer for newcomer in newcomers if newcomer.file not in found]
        return found | await self._found_already(missing) if missing else found

    async def _found_already(self, newcomers: Sequence[Newcomer]) -> dict[str, int]:
        """A look at the directory was quicker and has numbered them."""
        box = self._box
        number = box.number
        lately = {n.file: uid for n in newcomers if (uid := self._numbered.get(base_of(n.file)))}

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            rows = {n.file: message_rows.find_base(connection, number, base_of(n.file)) for n in newcomers}
            found = lately | {file: row[0] for file, row in rows.items() if row is not None}
            ours = [n for n in newcomers if n.counted and n.file in found]
            octets = sum(size_of(base_of(n.file)) or 0 for n in ours)
            quota.add(box.folder.root, octets, len(ours))
            return found

        found = await box.account.run(work)
        box.account.room.forget()
        return found


def _refuse(waiting: Sequence[_Waiting], error: Exception) -> None:
    for _, waiter in waiting:
        if waiter is not None:
            waiter.errback(error)
