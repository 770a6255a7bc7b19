"""What one parcel comes to: copies, what leaves, what waits; and the reply that each recipient hears.

When anybody has taken the message, whoever could not be served now is queued instead and hears 250, too (RFC 5321
§4.2.5: one reply stands for all). When nobody has, or each is answered alone, the reasons are the replies.
"""

from __future__ import annotations

from dataclasses import field, replace

from mailbox_appliance.delivery.local import Copy, NoPlace
from mailbox_appliance.delivery.routing import MARKS, NOT_FORWARDED, Routed, Target
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import Event
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.delivery import Outgoing, Parcel, Receipt
from mailbox_appliance.ports.rounds import Rows, Write

KEPT = Reply(250, "2.1.5", "Delivered")
WILL_BE_SENT = Reply(250, "2.1.5", "Queued")
DISK_TROUBLE = Reply(451, "4.3.0", "The mail store cannot be written just now, try again later")
REFUSED = Reply(550, "5.7.1", "Message refused")


@dataclass(slots=True)
class Plan:
    """What one parcel comes to."""

    routed: list[Routed]
    copies: list[Copy] = field(default_factory=list)
    refused: dict[tuple[Address, str], NoPlace] = field(default_factory=dict)
    outside: list[Recipient] = field(default_factory=list)
    instead: list[Recipient] = field(default_factory=list)
    forwarded: dict[Address, list[Recipient]] = field(default_factory=dict)  # by the address that passes it on
    returned: list[tuple[Recipient, Recipient]] = field(default_factory=list)  # (return path, whose it is)
    outgoing: list[Outgoing] = field(default_factory=list)  # what this message gives rise to
    rows: list[Rows] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    archives: list[Target] = field(default_factory=list)
    listed: bool = False  # a list has taken it
    resting: list[Copy] = field(default_factory=list)  # refused, but kept for a while where the recipient can look

    @property
    def queued(self) -> list[Recipient]:
        """Those to whom the message goes as it is."""
        return self.outside + self.instead

    @property
    def leaves(self) -> bool:
        """Does anything enter the queue for somebody outside?"""
        return bool(self.outside or self.forwarded or self.returned or self.listed)

    def places(self) -> tuple[list[Target], list[Address]]:
        """The mailboxes that get a copy, each once; and the recipients that captured mail names."""
        targets: dict[tuple[Address, str], Target] = {}
        addressed: list[Address] = []
        for routed in self.routed:
            if routed.refusal is not None:
                continue
            for target in routed.targets:
                known = targets.setdefault(target.key, target)
                if not target.flags <= known.flags:
                    targets[target.key] = replace(known, flags=known.flags | target.flags)
                if target.why == "captured":
                    addressed.append(routed.recipient.forward_path)
        for archive in self.archives:
            targets.setdefault(archive.key, archive)
        return list(targets.values()), addressed

    def take_outside(self) -> None:
        """Two aliases may lead to one address outside: it hears of it once, and directly where it is named itself."""
        seen: set[Address] = set()
        for routed in sorted(self.routed, key=lambda one: one.forwards):
            for recipient in routed.outside:
                if recipient.forward_path in seen:
                    continue
                seen.add(recipient.forward_path)
                if routed.returns:
                    self.returned.append((routed.recipient, recipient))
                elif routed.forwards:
                    self.forwarded.setdefault(routed.recipient.forward_path.folded(), []).append(recipient)
                else:
                    self.outside.append(recipient)

    def receipts(self, parcel: Parcel, full: Reply) -> tuple[Receipt, ...]:
        """A reply for each recipient; whom the queue serves later goes to ``instead``. ``full``: over quota."""
        alone = parcel.each_answered or not (self.copies or self.leaves)
        receipts = []
        for routed in self.routed:
            if routed.refusal is not None:
                reply = routed.refusal
                # What is refused as junk is told to nobody but the peer: its sender may be forged.
                later = [] if reply is NOT_FORWARDED or routed.unwanted is not None else [routed.recipient]
            else:
                reply, later = self._reply(routed, full)
            if parcel.taken_already and reply.enhanced.endswith(".2.2"):
                # The edge's client hears nothing more: a full mailbox waits here, as it would for mail of our own.
                reply = WILL_BE_SENT
                self.instead += later
            elif not reply.is_positive and not alone:
                reply = WILL_BE_SENT
                self.instead += later
            elif reply.is_positive:
                self.instead += later
            receipts.append(Receipt(routed.recipient, reply))
        return tuple(receipts)

    def _reply(self, routed: Routed, full: Reply) -> tuple[Reply, list[Recipient]]:
        """The reply for what could be done, and the mailboxes that are to get it later."""
        troubles = [trouble for target in routed.targets if (trouble := self.refused.get(target.key)) is not None]
        later = [_for_account(routed.recipient, trouble.target) for trouble in troubles]
        if len(troubles) < len(routed.targets):
            return KEPT, later
        if routed.lists:
            return KEPT, later
        if routed.outside:
            return WILL_BE_SENT, later
        return (full if troubles[0].full else DISK_TROUBLE), later


def answered(parcel: Parcel, routed: list[Routed]) -> list[Routed]:
    """Who does not want it refuses it where nobody hears but him and the peer; else it goes where he sees it least."""
    alone = parcel.each_answered or all(one.unwanted is not None or one.refusal is not None for one in routed)
    if not alone or parcel.taken_already:
        return routed
    return [
        replace(one, refusal=one.unwanted.verdict.reply or REFUSED) if one.unwanted is not None else one
        for one in routed
    ]


def held(routed: Routed) -> Routed:
    """For everybody, also for our own, the queue lets it go when its time has come (RFC 4865 §5).

    What is captured stays in the house anyway, and must not wait where things leave from.
    """
    if routed.refusal is not None or any(target.why == "captured" for target in routed.targets):
        return routed
    return Routed(routed.recipient, outside=(routed.recipient,))


def _for_account(recipient: Recipient, target: Target) -> Recipient:
    """The queue's recipient for one mailbox out of those behind an address: the others have theirs already.

    What was found out (junk, a leak) is decided: later there is nobody to ask, and the sender may be long gone.
    """
    account, marks = target.account, target.flags & MARKS
    base, _ = recipient.forward_path.folded().without_detail()
    if account in (recipient.forward_path.folded(), base):
        return replace(recipient, marks=marks)  # ann+shop leads to ann alone, and the tag may choose a folder
    return Recipient(account, recipient.notify, recipient.original or f"rfc822;{recipient.forward_path}", marks)
