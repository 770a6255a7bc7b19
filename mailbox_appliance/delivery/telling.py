"""What the journal hears of a message that was accepted or refused, recipient by recipient."""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.delivery.local import Copy, NoPlace
from mailbox_appliance.delivery.plan import DISK_TROUBLE, Plan
from mailbox_appliance.delivery.routing import Target
from mailbox_appliance.journal.events.delivery import DiskFull, Kept, Leaked, MailboxFull, Queued, Refused, Rested
from mailbox_appliance.mail.address import show_reverse_path
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Parcel, Receipt
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.rounds import DiskTrouble

DISK_FULL = Reply(452, "4.3.1", "Not enough room here, try again later")
_ONCE_IN = 60.0  # seconds: often enough to wake the owner; the refused messages are journaled each


class Telling:
    """Tells ``journal``."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._disk_told = float("-inf")

    def disk_trouble(self, parcel: Parcel, trouble: DiskTrouble) -> tuple[Receipt, ...]:
        """Nothing could be written: everybody hears so."""
        now = self._clock.seconds()
        if not 0 <= now - self._disk_told < _ONCE_IN:
            self._disk_told = now
            self._journal.tell(DiskFull(trace=parcel.trace, reason=str(trouble), full=trouble.full))
        reply = DISK_FULL if trouble.full else DISK_TROUBLE
        for recipient in parcel.envelope.recipients:
            address = str(recipient.forward_path)
            self._journal.tell(Refused(trace=parcel.trace, recipient=address, reply=str(reply), reason=str(trouble)))
        return tuple(Receipt(recipient, reply) for recipient in parcel.envelope.recipients)

    def outcome(self, parcel: Parcel, plan: Plan, receipts: Sequence[Receipt]) -> None:
        """The round is committed: what became of the message."""
        trace = parcel.trace
        for rest in plan.resting:
            self._journal.tell(Rested(trace=trace, account=str(rest.target.account), mailbox=rest.target.mailbox))
        self._copies(trace, plan)
        self._queued(parcel, plan)
        for event in plan.told:
            self._journal.tell(event)
        self._refusals(trace, plan, receipts)

    def _copies(self, trace: str, plan: Plan) -> None:
        """Each copy is told once, for the first of the recipients that share it."""
        tell = self._journal.tell
        untold = {copy.target.key: copy for copy in plan.copies}
        for routed in plan.routed:
            address = str(routed.recipient.forward_path)
            if routed.leak is not None:
                domain, given_to = routed.leak
                tell(Leaked(trace=trace, recipient=address, domain=domain, given_to=given_to))
            for target in routed.targets:
                self._copy(trace, untold.pop(target.key, None), plan.refused.get(target.key), target, address)
        for archive in plan.archives:
            self._copy(trace, untold.pop(archive.key, None), plan.refused.get(archive.key), archive, "")

    def _copy(self, trace: str, copy: Copy | None, trouble: NoPlace | None, target: Target, recipient: str) -> None:
        account = str(target.account)
        if copy is not None:
            kept = Kept(
                trace=trace,
                account=account,
                mailbox=copy.target.mailbox,
                recipient=recipient,
                size=copy.content.wire_size,
                why=copy.target.why,
            )
            self._journal.tell(kept)
        elif trouble is not None and (trouble.full or target.why == "archive"):  # of an archive nobody else hears
            self._journal.tell(MailboxFull(trace=trace, account=account, recipient=recipient))

    def _queued(self, parcel: Parcel, plan: Plan) -> None:
        passed_on = [entry for entry in plan.outgoing if entry.trace == parcel.trace]
        queued = plan.queued + [one for entry in passed_on for one in entry.envelope.recipients]
        if not queued:
            return
        event = Queued(
            trace=parcel.trace,
            sender=show_reverse_path(parcel.envelope.reverse_path),
            recipient=tuple(str(recipient.forward_path) for recipient in queued),
            size=parcel.content.wire_size,
            forwarded=tuple(str(one.recipient.forward_path) for one in plan.routed if one.forwards),
        )
        self._journal.tell(event)

    def _refusals(self, trace: str, plan: Plan, receipts: Sequence[Receipt]) -> None:
        for routed, receipt in zip(plan.routed, receipts, strict=True):
            if receipt.reply.is_positive:
                continue
            troubles = [plan.refused.get(target.key) for target in routed.targets]
            reason = "; ".join(trouble.text for trouble in troubles if trouble is not None)
            recipient = str(routed.recipient.forward_path)
            self._journal.tell(Refused(trace=trace, recipient=recipient, reply=str(receipt.reply), reason=reason))
