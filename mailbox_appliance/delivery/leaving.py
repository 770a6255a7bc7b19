"""What a message gives rise to beside its copies: mail of lists, forwards, bounces going back, notices of absence.

Each leaves with an envelope of its own, or another header than it came with, and enters the queue in the same round as
the message itself.
"""

from __future__ import annotations

from dataclasses import replace

from mailbox_appliance.delivery.forwarding import Forwarding
from mailbox_appliance.delivery.plan import Plan
from mailbox_appliance.delivery.routing import Routing, Target
from mailbox_appliance.delivery.vacation import Vacation
from mailbox_appliance.journal.events.delivery import BounceReturned
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.delivery import Outgoing, Parcel
from mailbox_appliance.ports.lists import Mailings, Taken
from mailbox_appliance.ports.users import AtList

NO_LISTS = Reply(550, "5.1.1", "There are no lists here")


class Leaving:
    """Asks the lists, the forwarding and the vacation notices, and notes in the plan what they want."""

    def __init__(
        self,
        routing: Routing,
        forwarding: Forwarding | None = None,
        vacation: Vacation | None = None,
        mailings: Mailings | None = None,
    ) -> None:
        self._routing = routing
        self._forwarding = forwarding
        self._vacation = vacation
        self._mailings = mailings

    async def ask_lists(self, parcel: Parcel, plan: Plan) -> None:
        """Each list once; what it refuses is the recipient's refusal when nothing else is behind the address."""
        known: dict[AtList, Taken] = {}
        for number, routed in enumerate(plan.routed):
            refusal = None
            for at in routed.lists:
                if at not in known:
                    taken = Taken(NO_LISTS)
                    if self._mailings is not None:
                        taken = await self._mailings.take(await self._routing.for_lists(parcel), at)
                    known[at] = taken
                    plan.told += taken.told
                    plan.outgoing += taken.outgoing
                    plan.writes += taken.writes
                    plan.rows += taken.rows
                    plan.listed = plan.listed or taken.refusal is None
                    if taken.archive is not None:
                        account, mailbox = taken.archive
                        plan.archives.append(Target(account, mailbox, why="archive"))
                refusal = known[at].refusal or refusal
            others = routed.targets or routed.outside or any(known[at].refusal is None for at in routed.lists)
            if refusal is not None and not others:
                plan.routed[number] = replace(routed, refusal=refusal)

    async def prepare(self, parcel: Parcel, plan: Plan) -> None:
        """What leaves with another envelope or header than it came with."""
        for alias, recipients in plan.forwarded.items():
            if self._forwarding is None:
                plan.outside += recipients
                continue
            forward = await self._forwarding.forward(parcel, alias, recipients)
            plan.outgoing.append(forward.outgoing)
            plan.rows += forward.rows
            plan.told.append(forward.told)
        for came_to, back in plan.returned:
            envelope = replace(parcel.envelope, recipients=(back,), ret="", envid="")
            plan.outgoing.append(Outgoing(parcel.trace, envelope, parcel.content))
            told = BounceReturned(
                trace=parcel.trace, account=str(came_to.forward_path), recipient=str(back.forward_path)
            )
            plan.told.append(told)

    async def answer(self, parcel: Parcel, plan: Plan) -> None:
        """Somebody may be away."""
        for copy in plan.copies if self._vacation is not None else ():
            assert self._vacation is not None
            if copy.target.why == "archive":
                continue
            answer = await self._vacation.answer(parcel, copy.target)
            if answer is None:
                continue
            plan.told.append(answer.told)
            if answer.outgoing is not None:
                plan.outgoing.append(answer.outgoing)
                plan.rows += answer.rows
