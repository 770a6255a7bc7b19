"""What follows an attempt: its outcomes are recorded, the journal and the sender are told, rows and file go.

Nothing is concluded before it is recorded; a crash in between tries again what may have been delivered already, and
tells again what may have been told (at least once). While the disk refuses to take the record, it is kept in memory
and its recipients stay under way, so that nothing is sent twice for want of space.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred

from mailbox_appliance.journal.events.queue import GivenUp, QueueTrouble, Waits
from mailbox_appliance.mail import report as words
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.report import MOST_RETURNED, Fate
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.rounds import DiskTrouble
from mailbox_appliance.queue import own, schema
from mailbox_appliance.queue.bounces import Bounces
from mailbox_appliance.queue.errand import Errand, Settled, outcome_of
from mailbox_appliance.queue.schema import MessageRow
from mailbox_appliance.queue.spool import ContentGone, QueueSpool, envelope_of, recipient_of

T = TypeVar("T")


class Conclusions:
    """``pause``: seconds between tries to record while the disk refuses."""

    def __init__(self, spool: QueueSpool, bounces: Bounces, clock: Clock, journal: FullJournal, pause: float) -> None:
        self._spool = spool
        self._bounces = bounces
        self._clock = clock
        self._journal = journal
        self._pause = pause
        self._telling: dict[int, bool] = {}  # message id: once more?

    async def record(self, concluded: Sequence[tuple[Errand, Sequence[Settled]]]) -> None:
        """Write the outcomes and remove what is finished, file and all. Returns when it is durable."""
        results = [one.result for _, settled in concluded for one in settled]
        numbers = list(dict.fromkeys(errand.message.id for errand, _ in concluded))

        def write(connection: sqlite3.Connection) -> list[str]:
            schema.record_results(connection, results)
            return schema.remove_finished(connection, numbers)

        files = await self._recorded(write)
        if files:
            await self._spool.discard(files)

    async def _recorded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        told = False
        while True:
            try:
                return await self._spool.record(work)
            except DiskTrouble as error:
                if not told:
                    self._journal.tell(QueueTrouble(reason=str(error)))
                    told = True
            pause: Deferred[None] = Deferred()
            self._clock.callLater(self._pause, pause.callback, None)
            await pause

    def tell_journal(self, message: MessageRow, settled: Iterable[Settled]) -> None:
        """Who waits and who was given up; delivered and refused ones were told by whoever tried."""
        for one in settled:
            address, reply = str(one.recipient.forward_path), str(one.outcome.reply)
            if one.is_expired:
                self._journal.tell(GivenUp(trace=message.trace, recipient=address, tries=one.result.tries, reply=reply))
            elif not one.result.ended:
                self._journal.tell(
                    Waits(
                        trace=message.trace,
                        recipient=address,
                        next_attempt=moment(one.result.next_attempt),
                        tries=one.result.tries,
                        reply=reply,
                        reason=one.outcome.reason,
                    )
                )

    async def tell_sender(self, message: MessageRow, settled: Sequence[Settled]) -> bool:
        """Reports of delay and of what has ended. False when a report must be tried again later."""
        late = [
            Fate(one.recipient, words.DELAYED, one.outcome, one.result.attempted, message.expires)
            for one in settled
            if one.tell_delay
        ]
        if late:
            # Once or never: that it was told is recorded already.
            content = await self._content(message)
            await self._bounces.tell(message.trace, envelope_of(message, ()), message.arrived, content, late)
        if any(one.result.ended not in ("", schema.DONE) for one in settled):
            return await self.tell_ended(message)
        return True

    async def tell_ended(self, message: MessageRow) -> bool:
        """Report whatever has ended, then let go of it. False when that must be tried again later."""
        if message.id in self._telling:
            # Somebody is at it; what has ended since is told in his next round.
            self._telling[message.id] = True
            return True
        try:
            while True:
                self._telling[message.id] = False
                if not await self._tell_once(message):
                    return False
                if not self._telling[message.id]:
                    return True
        finally:
            del self._telling[message.id]

    async def _tell_once(self, message: MessageRow) -> bool:
        rows = await self._spool.run(lambda connection: schema.ended_recipients(connection, message.id))
        if not rows:
            return True
        content = await self._content(message)
        fates = [Fate(recipient_of(row), row.ended, outcome_of(row), row.attempted) for row in rows]
        if not await self._bounces.tell(message.trace, envelope_of(message, ()), message.arrived, content, fates):
            return False

        dropped = own.DROPPED.text
        # What an account has submitted and could not be delivered stays in its Outbox.
        keeps = self._spool.keeps_failed and message.account and message.origin == Origin.AUTHENTICATED.value
        failed = [row.id for row in rows if keeps and row.ended == words.FAILED and row.reply != dropped]
        now = self._clock.seconds()

        def let_go(connection: sqlite3.Connection) -> list[str]:
            schema.remove_recipients(connection, [row.id for row in rows if row.id not in failed])
            if failed:
                own.keep_failed(connection, message.account, message.id, failed, now)
            return schema.remove_finished(connection, [message.id])

        await self._spool.discard(await self._recorded(let_go))
        if message.account:
            self._spool.changed(message.account)
        return True

    async def tell_all_ended(self) -> bool:
        """Everything that could not be reported before. False when something must be tried again later."""
        numbers = await self._spool.run(schema.messages_to_report)
        messages = await self._spool.run(lambda connection: schema.messages_by_id(connection, numbers))
        told = [await self.tell_ended(message) for message in messages.values()]
        return all(told)

    async def _content(self, message: MessageRow) -> Content:
        try:
            return await self._spool.read(message, whole=MOST_RETURNED)
        except ContentGone:
            return Content(b"\n", b"", 1)


def moment(seconds: float) -> str:
    """Epoch seconds as people read them in a journal."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
