"""Who is sent when: due recipients are loaded in batches, dealt out to destinations, tried, and their outcome recorded.

    due rows → errands (one message, one destination) → a turn of the destination → carry → outcomes → conclude

Only what is loaded is in memory: at most ``most_loaded`` recipients, however many wait, and at most ``most_of_domain``
of one domain, so that a large mailing to one place lets others in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import field
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure

from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.journal.events.queue import (
    ContentLost,
    DestinationBack,
    DestinationRests,
    QueueReady,
    QueueTrouble,
)
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.delivery import LocalCarriage
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.relay import Relay, Shipment
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.queue import schema
from mailbox_appliance.queue.bounces import Bounces
from mailbox_appliance.queue.conclude import Conclusions, moment
from mailbox_appliance.queue.destinations import LOCAL, Concurrency, Destination, Destinations
from mailbox_appliance.queue.errand import Errand, Settled, group, settle
from mailbox_appliance.queue.schedule import Schedule
from mailbox_appliance.queue.schema import MessageRow, RecipientRow
from mailbox_appliance.queue.spool import ContentGone, QueueSpool, envelope_of, sender_of

LOST = Outcome(
    Result.FAILED, Reply(554, "5.3.0", "the message was damaged on our disk"), reason="please send it once more"
)
BROKEN = Outcome(Result.TRY_AGAIN, Reply(451, "4.3.0", "internal error"), reason="the journal tells more")
# However far away the next attempt is, and whatever the clock did: look at least this often (seconds).
_DISTANT = 3600.0
_SOON = 0.05


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Counts, and pauses in seconds."""

    schedule: Schedule = field(default_factory=Schedule)
    concurrency: Concurrency = field(default_factory=Concurrency)
    most_loaded: int = 2000
    most_of_domain: int = 500
    batch: int = 100
    most_recipients: int = 100  # of one message in one transaction (RFC 5321 §4.5.3.1.8)
    trouble_pause: float = 5.0
    report_again: float = 300.0


class Dispatch:
    """``is_local`` tells which forward paths are for our own mailboxes; those go to ``local``, all others to relay."""

    def __init__(
        self,
        spool: QueueSpool,
        relay: Relay,
        local: LocalCarriage,
        bounces: Bounces,
        is_local: Callable[[Address], bool],
        clock: Clock,
        journal: FullJournal,
        settings: DispatchSettings | None = None,
    ) -> None:
        self._settings = settings or DispatchSettings()
        self._schedule = self._settings.schedule
        self._spool = spool
        self._relay = relay
        self._local = local
        self._is_local = is_local
        self._clock = clock
        self._journal = journal
        self._conclusions = Conclusions(spool, bounces, clock, journal, self._settings.trouble_pause)
        self._destinations: Destinations[Errand] = Destinations(self._settings.concurrency)
        self._loaded: dict[int, str] = {}  # recipient id: domain
        self._loaded_of: dict[int, int] = {}  # recipient id: message id
        self._barred: set[int] = set()  # messages that are being cancelled
        self._domains: dict[str, int] = {}  # how many of each are loaded
        self._left_out = False  # something due was not loaded for want of room
        self._wanted = False
        self._loading = False
        self._running = False
        self._busy = 0
        self._timer: Timer | None = None
        self._next_look = 0.0
        self._report_timer: Timer | None = None
        self._calm: list[Deferred[None]] = []

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Begin: load what is due, and tell senders what could not be told before the last stop."""
        self._running = True
        self._spool.on_entry(self.poke)
        self._journal.tell(QueueReady(waiting=await self._spool.run(schema.count_waiting)))
        self._tell_leftovers()
        self.poke()

    async def stop(self) -> None:
        """Begin nothing more; return when what is under way is recorded."""
        self._running = False
        for timer in (self._timer, self._report_timer):
            if timer is not None and timer.active():
                timer.cancel()
        if self._busy:
            calm: Deferred[None] = Deferred()
            self._calm.append(calm)
            await calm

    def poke(self) -> None:
        """Something may be due."""
        self._wanted = True
        if self._running and not self._loading:
            self._loading = True
            self._spawn(self._load())

    def wake(self) -> None:
        """Destinations need rest no longer; what waits for them is looked at again."""
        self._destinations.wake()
        self.poke()

    def withdraw(self, traces: Sequence[str]) -> None:
        """These messages are held or dropped: those loaded and not begun yet are let go of."""
        for errand in self._destinations.take_if(lambda errand: errand.message.trace in traces):
            self._unload(errand)

    def withdraw_domain(self, domain: str) -> None:
        """Nothing is to leave for this domain: what is loaded and not begun yet is let go of."""
        for errand in self._destinations.take_if(lambda errand: any(row.domain == domain for row in errand.rows)):
            self._unload(errand)

    def bar(self, messages: Collection[int]) -> frozenset[int]:
        """Begin nothing more of these messages (ids) until ``unbar``; returns the recipients that are being sent."""
        self._barred.update(messages)
        for errand in self._destinations.take_if(lambda errand: errand.message.id in self._barred):
            self._unload(errand)
        return frozenset(number for number, message in self._loaded_of.items() if message in self._barred)

    def unbar(self, messages: Collection[int]) -> None:
        """They may be sent again, if they are still there."""
        self._barred.difference_update(messages)
        self.poke()

    async def report_ended(self, traces: Sequence[str]) -> None:
        """The desk has ended these messages: tell their senders."""
        for message in await self._spool.run(lambda connection: schema.messages_of(connection, traces)):
            if not await self._conclusions.tell_ended(message):
                self._tell_leftovers_later()

    @property
    def under_way(self) -> frozenset[int]:
        """Ids of recipients that are loaded: waiting for their turn or being sent."""
        return frozenset(self._loaded)

    def _spawn(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        self._busy += 1
        ensureDeferred(work).addErrback(self._broken).addBoth(self._ended)

    def _broken(self, failure: Failure) -> None:
        if failure.value is not None:
            self._journal.broken("queue", failure.value)

    def _ended(self, _: object) -> None:
        self._busy -= 1
        if not self._busy:
            calm, self._calm = self._calm, []
            for one in calm:
                one.callback(None)

    # ------------------------------------------------------------ loading

    async def _load(self) -> None:
        try:
            while self._wanted and self._running:
                self._wanted = False
                room = self._settings.most_loaded - len(self._loaded)
                if room <= 0:
                    self._left_out = True
                    return
                now = self._clock.seconds()
                limit = min(room, self._settings.batch)
                full = [name for name, count in self._domains.items() if count >= self._settings.most_of_domain]
                self._left_out = bool(full)
                try:
                    rows, messages, later = await self._spool.run(_due(now, limit, list(self._loaded), full))
                except (sqlite3.Error, DatabaseTrouble, OSError, Busy) as error:
                    self._journal.tell(QueueTrouble(reason=str(error)))
                    self._look_at(now + self._settings.trouble_pause)
                    return
                # A whole batch: there may be more.
                self._wanted = self._wanted or len(rows) == limit
                self._take(rows, messages)
                self._next_look = 0.0
                self._look_at(now + _DISTANT if later is None else later)
                self._go()
        finally:
            self._loading = False

    def _look_at(self, when: float) -> None:
        """Load again at ``when`` (epoch seconds) unless that happens earlier anyway."""
        timer, now = self._timer, self._clock.seconds()
        waits = timer is not None and timer.active()
        if not self._running or (waits and now < self._next_look <= when):
            return
        if timer is not None and waits:
            timer.cancel()
        delay = min(max(_SOON, when - now), _DISTANT)
        self._next_look = now + delay
        self._timer = self._clock.callLater(delay, self.poke)

    def _take(self, rows: Iterable[RecipientRow], messages: dict[int, MessageRow]) -> None:
        keyed: list[tuple[str, RecipientRow]] = []
        for row in rows:
            if self._domains.get(row.domain, 0) >= self._settings.most_of_domain:
                self._left_out = True
            elif row.id not in self._loaded and row.message not in self._barred:
                self._loaded[row.id] = row.domain
                self._loaded_of[row.id] = row.message
                self._domains[row.domain] = self._domains.get(row.domain, 0) + 1
                keyed.append((self._destination_of(messages[row.message], row), row))
        for errand in group(keyed, messages, self._settings.most_recipients):
            self._destinations.add(errand.destination, errand)

    def _destination_of(self, message: MessageRow, row: RecipientRow) -> str:
        address = Address(row.local, row.domain)
        if self._is_local(address):
            return LOCAL
        return self._relay.destination(envelope_of(message, ()).reverse_path, address)

    def _unload(self, errand: Errand) -> None:
        """Let go of an errand's rows. What was left out is looked for when half of the room is free again."""
        look = False
        for row in errand.rows:
            domain = self._loaded.pop(row.id, None)
            self._loaded_of.pop(row.id, None)
            if domain is None:
                continue
            left = self._domains[domain] - 1
            if left:
                self._domains[domain] = left
            else:
                del self._domains[domain]
            look = look or left == self._settings.most_of_domain // 2
            look = look or len(self._loaded) == self._settings.most_loaded // 2
        if look and self._left_out:
            self.poke()

    # ------------------------------------------------------------ carrying

    def _go(self) -> None:
        if not self._running:
            return
        now = self._clock.seconds()
        for destination, errand in self._destinations.due():
            if destination.rests_until > now:
                self._spawn(self._rest(destination, errand))
            else:
                self._spawn(self._try(destination, errand))

    async def _try(self, destination: Destination[Errand], errand: Errand) -> None:
        outcomes = tuple(BROKEN for _ in errand.rows)
        if errand.message.account:
            self._spool.changed(errand.message.account)
        try:
            outcomes = await self._carry(errand)
        except Exception as error:  # noqa: BLE001 - a fault of ours: this message waits, the others go on
            self._journal.broken("queue", error, errand.message.trace)
        now = self._clock.seconds()
        change = self._destinations.ended(destination, outcomes, self._schedule.rest(destination.rests + 1), now)
        if change:
            self._tell_change(destination, change)
        self._go()
        settled = settle(errand, outcomes, now, self._schedule)
        await self._conclude([(errand, settled)])
        self._conclusions.tell_journal(errand.message, settled)

    def _tell_change(self, destination: Destination[Errand], change: str) -> None:
        why = destination.why
        if change == "rests" and why is not None:
            until = moment(destination.rests_until)
            self._journal.tell(
                DestinationRests(destination=destination.name, until=until, reply=str(why.reply), reason=why.reason)
            )
        else:
            self._journal.tell(DestinationBack(destination=destination.name))

    async def _rest(self, destination: Destination[Errand], errand: Errand) -> None:
        """The destination rests: this errand, and everything in line behind it, waits with it."""
        why, until, now = destination.why or BROKEN, destination.rests_until, self._clock.seconds()
        errands = [errand, *self._destinations.take_waiting(destination)]
        self._destinations.ended(destination, (), 0.0, now)
        concluded = [
            (one, settle(one, [why] * len(one.rows), now, self._schedule, counted=False, not_before=until))
            for one in errands
        ]
        await self._conclude(concluded)
        for one, settled in concluded:
            self._conclusions.tell_journal(one.message, [each for each in settled if each.is_expired])

    async def _carry(self, errand: Errand) -> tuple[Outcome, ...]:
        message = errand.message
        try:
            content = await self._spool.read(message)
        except ContentGone as error:
            self._journal.tell(
                ContentLost(trace=message.trace, file=message.file, reason=str(error), sender=sender_of(message))
            )
            return tuple(LOST for _ in errand.rows)
        tries = min(row.tries for row in errand.rows)
        shipment = Shipment(message.trace, envelope_of(message, errand.rows), content, errand.destination, tries)
        if errand.destination == LOCAL:
            outcomes = await self._local.carry(shipment)
        else:
            outcomes = await self._relay.carry(shipment)
        if len(outcomes) != len(errand.rows):
            raise RuntimeError(f"{len(outcomes)} outcomes for {len(errand.rows)} recipients")
        return outcomes

    # ------------------------------------------------------------ concluding

    async def _conclude(self, concluded: Sequence[tuple[Errand, Sequence[Settled]]]) -> None:
        # When this raises, the rows stay loaded: better late until the next start than again and again.
        await self._conclusions.record(concluded)
        for account in {errand.message.account for errand, _ in concluded if errand.message.account}:
            self._spool.changed(account)
        for errand, settled in concluded:
            self._unload(errand)
            for one in settled:
                if not one.result.ended:
                    self._look_at(one.result.next_attempt)
        for errand, settled in concluded:
            if not await self._conclusions.tell_sender(errand.message, settled):
                self._tell_leftovers_later()

    def _tell_leftovers_later(self) -> None:
        if self._running and (self._report_timer is None or not self._report_timer.active()):
            self._report_timer = self._clock.callLater(self._settings.report_again, self._tell_leftovers)

    def _tell_leftovers(self) -> None:
        self._spawn(self._tell_all_leftovers())

    async def _tell_all_leftovers(self) -> None:
        if not await self._conclusions.tell_all_ended():
            self._tell_leftovers_later()


def _due(
    now: float, limit: int, busy: Sequence[int], full: Sequence[str]
) -> Callable[[sqlite3.Connection], tuple[list[RecipientRow], dict[int, MessageRow], float | None]]:
    def work(connection: sqlite3.Connection) -> tuple[list[RecipientRow], dict[int, MessageRow], float | None]:
        rows = schema.due_recipients(connection, now, limit, busy, full)
        messages = schema.messages_by_id(connection, {row.message for row in rows}) if rows else {}
        return rows, messages, schema.next_due(connection, now)

    return work
