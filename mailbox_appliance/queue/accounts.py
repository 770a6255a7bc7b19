"""What an account sees of the queue and may do with it (fills ports.queue.OwnQueue)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from mailbox_appliance.journal.events.queue import Cancelled
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.queue import OwnMessage, OwnMessages
from mailbox_appliance.queue import own
from mailbox_appliance.queue.dispatch import Dispatch
from mailbox_appliance.queue.schema import KEPT, MessageRow, RecipientRow
from mailbox_appliance.queue.spool import QueueSpool

# Changes that come together are told together (seconds).
TOGETHER = 0.05


class AccountQueue:
    """``give_up``: seconds after which what was sent again is given up."""

    def __init__(self, spool: QueueSpool, dispatch: Dispatch, clock: Clock, journal: Journal, give_up: float) -> None:
        self._spool = spool
        self._dispatch = dispatch
        self._clock = clock
        self._journal = journal
        self._give_up = give_up
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._changed: set[str] = set()
        self._timer: Timer | None = None
        spool.on_change(self._note)

    async def of(self, account: Address) -> OwnMessages:
        """What waits or has failed."""
        name, now = str(account), self._clock.seconds()
        uidvalidity, uidnext, found = await self._spool.run(lambda connection: own.shown(connection, name, now))
        under_way = self._dispatch.under_way if found else frozenset()
        return OwnMessages(uidvalidity, uidnext, tuple(self._shown(*one, under_way) for one in found))

    def _shown(self, uid: int, message: MessageRow, rows: list[RecipientRow], under_way: frozenset[int]) -> OwnMessage:
        octets = message.header_size + message.body_size
        return OwnMessage(
            uid,
            message.trace,
            message.arrived,
            self._spool.path_of(message.file),
            message.header_size,
            octets,
            octets + message.lines,
            tuple(own.queued_recipient(row, under_way) for row in rows),
            failed=any(row.ended == KEPT for row in rows),
        )

    async def cancel(self, account: Address, uids: Sequence[int]) -> frozenset[int]:
        """Send it to nobody any more; returns the UIDs that were still there and are gone now."""
        name = str(account)
        numbers = await self._spool.run(lambda connection: own.numbers_of(connection, name, uids))
        busy = self._dispatch.bar(numbers.values())
        try:

            def work(connection: sqlite3.Connection) -> tuple[list[str], dict[int, int], dict[int, str]]:
                traces = own.traces_of(connection, list(numbers.values()))
                files = own.cancel(connection, list(numbers.values()), busy)
                return files, own.numbers_of(connection, name, uids), traces

            files, left, traces = await self._spool.run(work)
        finally:
            self._dispatch.unbar(numbers.values())
        await self._spool.discard(files)
        gone = frozenset(numbers) - frozenset(left)
        for uid in sorted(gone):
            self._journal.tell(Cancelled(trace=traces.get(numbers[uid], ""), account=name))
        self._spool.changed(name)
        return gone

    async def send_now(self, account: Address, uids: Sequence[int]) -> None:
        """Rest no longer, wait no longer; what has failed begins anew."""
        name, now = str(account), self._clock.seconds()
        await self._spool.run(lambda connection: own.send_now(connection, name, uids, now, self._give_up))
        self._dispatch.poke()
        self._spool.changed(name)

    async def forget_old(self) -> None:
        """Failed ones of two weeks ago; call it daily."""
        now = self._clock.seconds()
        await self._spool.discard(await self._spool.run(lambda connection: own.forget_old(connection, now)))

    # ------------------------------------------------------------ telling

    def watch(self, account: Address, listener: Callable[[], None]) -> None:
        """Call ``listener`` soon after something of the account's has come, left or failed."""
        self._listeners.setdefault(str(account), []).append(listener)

    def unwatch(self, account: Address, listener: Callable[[], None]) -> None:
        """No longer."""
        listeners = self._listeners.get(str(account), [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._listeners.pop(str(account), None)

    def _note(self, account: str) -> None:
        if account in self._listeners or (not account and self._listeners):
            self._changed.add(account)
            if self._timer is None:
                self._timer = self._clock.callLater(TOGETHER, self._tell)

    def _tell(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, set()
        for account, listeners in list(self._listeners.items()):
            if account in changed or "" in changed:
                for listener in list(listeners):
                    listener()

    def stop(self) -> None:
        """Tell nobody any more."""
        self._listeners.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
