"""What an operator may do with the queue (fills ports.queue.QueueDesk). Names are trace ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from mailbox_appliance.journal.events.queue import DeskTouched
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.queue import QueuedMessage
from mailbox_appliance.queue import own, schema
from mailbox_appliance.queue.dispatch import Dispatch
from mailbox_appliance.queue.schema import MessageRow, RecipientRow
from mailbox_appliance.queue.spool import ContentGone, QueueSpool


class Desk:
    """Changes take effect at once; what is being sent at this moment is not called back."""

    def __init__(self, spool: QueueSpool, dispatch: Dispatch, clock: Clock, journal: Journal) -> None:
        self._spool = spool
        self._dispatch = dispatch
        self._clock = clock
        self._journal = journal

    async def listing(self) -> tuple[QueuedMessage, ...]:
        """Everything that waits, oldest first."""
        under_way = self._dispatch.under_way
        return tuple(_shown(message, rows, under_way) for message, rows in await self._spool.run(schema.whole_queue))

    async def retry(self, traces: tuple[str, ...]) -> int:
        """Try now; no ids means all that are not held. Destinations that rest are tried too."""
        now = self._clock.seconds()
        touched = await self._spool.run(lambda connection: schema.retry_now(connection, traces, now))
        self._dispatch.wake()
        return self._told("retry", touched, traces)

    async def flush(self, domain: str) -> int:
        """Try now whatever waits for ``domain`` and is not held."""
        now = self._clock.seconds()
        touched = await self._spool.run(lambda connection: schema.retry_domain(connection, domain.lower(), now))
        self._dispatch.wake()
        return self._told("flush", touched)

    async def hold(self, traces: tuple[str, ...]) -> int:
        """Keep back until released."""
        touched = await self._set_held(traces, True)
        self._dispatch.withdraw(traces)
        return self._told("hold", touched, traces)

    async def release(self, traces: tuple[str, ...]) -> int:
        """Let go what was held; it is due at once."""
        touched = await self._set_held(traces, False)
        self._dispatch.poke()
        return self._told("release", touched, traces)

    async def freeze(self, domain: str) -> int:
        """Nothing leaves for ``domain`` until it is thawed, what comes later neither."""
        now, domain = self._clock.seconds(), domain.lower()
        touched = await self._spool.run(lambda connection: schema.freeze(connection, domain, now))
        self._dispatch.withdraw_domain(domain)
        return self._told("freeze", touched)

    async def thaw(self, domain: str) -> int | None:
        """Let go of it, at once; None when it was not frozen."""
        now = self._clock.seconds()
        touched = await self._spool.run(lambda connection: schema.thaw(connection, domain.lower(), now))
        self._dispatch.poke()
        return None if touched is None else self._told("thaw", touched)

    async def frozen(self) -> tuple[tuple[str, float, int], ...]:
        """(domain, since when, how many recipients wait for it)."""
        return tuple(await self._spool.run(schema.frozen_domains))

    async def _set_held(self, traces: tuple[str, ...], held: bool) -> int:
        now = self._clock.seconds()
        return await self._spool.run(lambda connection: schema.set_held(connection, traces, held, now))

    async def drop(self, traces: tuple[str, ...], bounce: bool = False) -> int:
        """Remove; with ``bounce`` the sender is told where that is allowed."""
        self._dispatch.withdraw(traces)
        if bounce:
            reply = (own.DROPPED.code, own.DROPPED.enhanced, own.DROPPED.text)
            touched = await self._spool.run(lambda connection: schema.end_all(connection, traces, reply, ""))
            await self._dispatch.report_ended(traces)
            return self._told("drop", touched, traces)
        touched, files = await self._spool.run(_removal(traces))
        await self._spool.discard(files)
        return self._told("drop", touched, traces)

    async def content(self, trace: str) -> Content | None:
        """The message itself; a large body stays in its file."""
        for message in await self._spool.run(lambda connection: schema.messages_of(connection, (trace,))):
            try:
                return await self._spool.read(message)
            except ContentGone:
                continue
        return None

    def _told(self, what: str, touched: int, traces: tuple[str, ...] = ()) -> int:
        for trace in traces or ("",):  # each message's own trail tells it
            self._journal.tell(DeskTouched(trace=trace, what=what, recipients=touched))
        self._spool.changed("")
        return touched


def _removal(traces: tuple[str, ...]) -> Callable[[sqlite3.Connection], tuple[int, list[str]]]:
    def remove(connection: sqlite3.Connection) -> tuple[int, list[str]]:
        numbers = [message.id for message in schema.messages_of(connection, traces)]
        return schema.remove_all(connection, traces), schema.remove_finished(connection, numbers)

    return remove


def _shown(message: MessageRow, rows: list[RecipientRow], under_way: frozenset[int]) -> QueuedMessage:
    recipients = tuple(own.queued_recipient(row, under_way) for row in rows)
    size = message.header_size + message.body_size
    return QueuedMessage(message.trace, message.reverse_path, message.arrived, size, message.account, recipients)
