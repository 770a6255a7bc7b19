"""What waited in the queue for a mailbox of ours: one more try (fills ports.delivery.LocalCarriage)."""

from __future__ import annotations

from dataclasses import replace

from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.delivery import Acceptance, Parcel
from mailbox_appliance.ports.relay import Shipment

FULL = "the mailbox is full: its owner must remove mail or be given a larger quota"
_LATER = Reply(452, "4.2.2", "The mailbox is full")


class Redelivery:
    """Goes through the same door as new mail, every recipient answered for itself."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance

    async def carry(self, shipment: Shipment) -> tuple[Outcome, ...]:
        """Try once; one Outcome per recipient, in order."""
        # Success is the queue's to report.
        recipients = tuple(replace(one, notify=one.notify - {"SUCCESS"}) for one in shipment.envelope.recipients)
        envelope = replace(shipment.envelope, recipients=recipients)
        parcel = Parcel(shipment.trace, Origin.LOCAL, envelope, shipment.content, each_answered=True)
        return tuple(_outcome(receipt.reply) for receipt in await self._acceptance.accept(parcel))


def _outcome(reply: Reply) -> Outcome:
    if reply.is_positive:
        return Outcome(Result.DELIVERED, reply)
    if reply.enhanced.endswith(".2.2"):
        # In a session 552 tells the sender at once; here patience costs nothing.
        return Outcome(Result.TRY_AGAIN, _LATER, reason=FULL)
    return Outcome(Result.TRY_AGAIN if reply.is_transient else Result.FAILED, reply)
