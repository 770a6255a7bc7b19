"""What an edge has seen of others' domains and their TLS, handed to its store, which writes and signs the reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailbox_appliance.assembly.link import spawn
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.tlsreport import Row, add_results, forget_day, results_of, row_as_text, row_of_text
from mailbox_appliance.reports.tally import DAY, KEPT_DAYS, Tally, seen_as_text, seen_of_text
from mailbox_appliance.wire.link import LONGEST_LINE, Count, LinkWrong

MOST_TOLD = 5000  # of each kind at once
_LONGEST_DATA = LONGEST_LINE - 100


class HandedOver:
    """The edge's side. ``tell`` says False when the store is away: then it is tried again when it is back."""

    def __init__(
        self, tally: Tally, memory: RelayMemory, clock: Clock, tell: Callable[[Sequence[Count]], bool]
    ) -> None:
        self.tally = tally
        self._memory = memory
        self._clock = clock
        self._tell = tell

    async def hand_over(self) -> None:
        """Everything of the days before today, once. Raises what the tally raises."""
        today = int(self._clock.seconds()) // DAY
        due = await self.tally.before(today)
        counts = [
            Count("dmarc", day, one.messages, seen_as_text(one.seen)) for (day, _), rows in due.items() for one in rows
        ]
        if self._said(counts):
            for day, domain in due:
                await self.tally.forget(day, domain)
        for day in range(today - KEPT_DAYS, today):
            await self._hand_over_results(day)

    async def _hand_over_results(self, day: int) -> None:
        nothing: list[Row] = []
        rows = await self._memory.run(lambda connection: results_of(connection, day), nothing)
        if self._said([Count("tls", day, row.sessions, row_as_text(row)) for row in rows]):
            await self._memory.run(lambda connection: forget_day(connection, day), None)

    def _said(self, counts: Sequence[Count]) -> bool:
        """False also when there is nothing to say."""
        fitting = [one for one in counts if len(one.data) <= _LONGEST_DATA][:MOST_TOLD]
        return bool(counts) and self._tell(fitting)


class TakenOver:
    """The store's side: counted as if it had been seen here."""

    def __init__(
        self, tally: Tally, memory: RelayMemory, clock: Clock, journal: Journal, tls_wanted: Callable[[], bool]
    ) -> None:
        self._tally = tally
        self._memory = memory
        self._clock = clock
        self._journal = journal
        self._tls_wanted = tls_wanted

    def take(self, count: Count) -> None:
        """One row. Raises LinkWrong for what is none."""
        try:
            if count.kind == "dmarc":
                self._tally.add(count.day, seen_of_text(count.data), count.number)
                return
            row = row_of_text(count.data, count.number)
        except (ValueError, RecursionError) as error:
            raise LinkWrong(f"a count that is none: {error}") from None
        today = int(self._clock.seconds()) // DAY
        if self._tls_wanted() and today - KEPT_DAYS <= count.day <= today:
            spawn(self._journal, self._keep(count.day, row))

    async def _keep(self, day: int, row: Row) -> None:
        await self._memory.run(lambda connection: add_results(connection, day, (row,)), None)
