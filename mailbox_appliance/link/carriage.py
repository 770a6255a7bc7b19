"""From the edge's queue to the store (fills ports.delivery.LocalCarriage): one recipient at a time, at once if it can.

Each recipient is a transaction of its own, so the store's answer about its mailbox is an answer and no bounce. What may
have come over already, because an attempt was cut or the edge was killed in the middle of it, says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from mailbox_appliance.link.facts import AGAIN, once_more
from mailbox_appliance.mail.header import group_fields
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.relay import Shipment

AWAY = Outcome(
    Result.TRY_AGAIN,
    Reply(451, "4.4.1", "the store is away"),
    reason="it goes at once when the link is up again: `mailappliance status` on both sides tells more",
)
MOST_REMEMBERED = 100_000
Carry = Callable[[Shipment], Awaitable[tuple[Outcome, ...]]]


class HandOver:
    """``ways`` in order: the next one is tried when one has not brought it there, whatever the reason was."""

    def __init__(self, ways: Callable[[], tuple[Carry, ...]]) -> None:
        self._ways = ways
        self._fresh: dict[str, None] = {}  # accepted by this process, and never on a line yet

    def accepted(self, trace: str) -> None:
        """A message has entered the queue."""
        if len(self._fresh) < MOST_REMEMBERED:
            self._fresh[trace] = None

    async def carry(self, shipment: Shipment) -> tuple[Outcome, ...]:
        """Try once; one Outcome per recipient, in order."""
        # The link is encrypted and proven on its own: what REQUIRETLS asks for travels among the facts.
        envelope = replace(shipment.envelope, require_tls=False)
        fresh = shipment.trace in self._fresh
        outcomes = []
        for recipient in envelope.recipients:
            content = shipment.content if fresh else once_more(shipment.content)
            one = replace(shipment, envelope=replace(envelope, recipients=(recipient,)), content=content)
            outcomes.append(await self._one(one))
        return tuple(outcomes)

    async def _one(self, shipment: Shipment) -> Outcome:
        last = AWAY
        for way in self._ways():
            self._fresh.pop(shipment.trace, None)
            (last,) = await way(shipment)
            if last.result is not Result.TRY_AGAIN:
                return last
            if AGAIN.encode("ascii") not in group_fields(shipment.content.header):
                shipment = replace(shipment, content=once_more(shipment.content))  # it may have come this far
        return last
