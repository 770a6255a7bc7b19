"""Where mail is accepted on both sides of the link (each fills ports.delivery.Acceptance).

``QueueDoor`` is the edge's: nobody lives there, so everything waits in the queue for the store or for the world.
``OnceDoor`` stands before it, and before the store's own door: what came over the link comes in once, with its facts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from mailbox_appliance.journal.events.delivery import DiskFull, Queued, Refused
from mailbox_appliance.journal.events.link import CameOver
from mailbox_appliance.link.facts import NoFacts, facts_of, in_our_name, take_facts, with_facts
from mailbox_appliance.mail.address import Address, show_reverse_path
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.verdict import Action, Verdict
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Acceptance, Parcel, Receipt
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.link import TakenOver
from mailbox_appliance.ports.queue import Spool
from mailbox_appliance.ports.rounds import Commit, DiskTrouble, Rounds
from mailbox_appliance.ports.users import Directory, Known, LocalMailbox, NotOurs

QUEUED = Reply(250, "2.1.5", "Queued")
HERE_ALREADY = Reply(250, "2.1.5", "Here already")
UNDER_WAY = Reply(451, "4.3.0", "This message is just being taken, try again later")
DISK_FULL = Reply(452, "4.3.1", "Not enough room here, try again later")
DISK_TROUBLE = Reply(451, "4.3.0", "The queue cannot be written just now, try again later")
NOT_PAIRED = Reply(554, "5.6.0", "This message does not come from the other half of the pair")
NO_RELAY = Reply(550, "5.7.1", "Relaying denied")
NOT_WANTED = Reply(550, "5.7.1", "The recipient does not take mail from this sender")
MOST_UNDER_WAY = 1000

RoomOf = Callable[[Recipient, int], Awaitable[Reply | None]]
StandingOf = Callable[[Address, Address], Standing]  # (recipient, author)
# (id of a message, account's address as named, since when) → has it been delivered there, before a crash?
WasDelivered = Callable[[str, Address, float], Awaitable[bool]]


class QueueDoor:
    """Everything into the queue, with the facts that the store must know.

    ``standing`` says what people have said of a sender: whom everybody named in the envelope has blocked is refused
    while he listens. Where others take the message the store puts it aside for those who do not want it.
    """

    def __init__(
        self,
        spool: Spool,
        rounds: Rounds,
        room: RoomOf,
        clock: Clock,
        journal: Journal,
        standing: StandingOf = lambda recipient, author: Standing.NONE,
    ) -> None:
        self._standing = standing
        self._spool = spool
        self._rounds = rounds
        self._room = room
        self._clock = clock
        self._journal = journal

    def room_for(self, recipient: Recipient, octets: int) -> Awaitable[Reply | None]:
        """None when it would be taken, else what to say."""
        return self._room(recipient, octets)

    async def accept(self, parcel: Parcel) -> tuple[Receipt, ...]:
        """All of it, or nothing."""
        recipients, wanted = parcel.envelope.recipients, self._wanted(parcel)
        verdict, reply = parcel.verdict, NOT_WANTED
        if _is_hopeless(verdict):
            reply = verdict.reply or NOT_WANTED
        for address in [str(one.forward_path) for one in recipients if one not in wanted]:
            reason = verdict.reason if _is_hopeless(verdict) else f"{address} has blocked {verdict.author}"
            self._journal.tell(Refused(trace=parcel.trace, recipient=address, reply=str(reply), reason=reason))
        if len(wanted) < len(recipients):
            parcel = replace(parcel, envelope=replace(parcel.envelope, recipients=wanted))
        taken = {one.recipient: one for one in await self._queue(parcel)} if wanted else {}
        return tuple(taken.get(one) or Receipt(one, reply) for one in recipients)

    async def _queue(self, parcel: Parcel) -> tuple[Receipt, ...]:
        recipients, content = parcel.envelope.recipients, parcel.content
        if parcel.origin is not Origin.PAIRED:
            content = with_facts(content, facts_of(parcel, self._clock.seconds()))
        account = parcel.client.account if parcel.client is not None else ""
        entry = self._spool.prepare(parcel.trace, parcel.origin, account, parcel.envelope, content)
        try:
            await self._rounds.commit(Commit(entry.writes, entry.rows + parcel.rows))
        except DiskTrouble as trouble:
            self._journal.tell(DiskFull(trace=parcel.trace, reason=str(trouble), full=trouble.full))
            reply = DISK_FULL if trouble.full else DISK_TROUBLE
            return tuple(Receipt(one, reply) for one in recipients)
        self._spool.entered(parcel.trace)
        self._journal.tell(
            Queued(
                trace=parcel.trace,
                sender=show_reverse_path(parcel.envelope.reverse_path),
                recipient=tuple(str(one.forward_path) for one in recipients),
                size=parcel.content.wire_size,
            )
        )
        return tuple(Receipt(one, QUEUED) for one in recipients)

    def _wanted(self, parcel: Parcel) -> tuple[Recipient, ...]:
        """Without those who have blocked the author, where they can be answered: alone, or each by himself.

        What nobody would take is here for those alone who have allowed its author.
        """
        recipients, author = parcel.envelope.recipients, parcel.verdict.author
        if parcel.origin is Origin.PAIRED or author is None:
            return recipients
        said = {one: self._standing(one.forward_path, author) for one in recipients}
        hopeless = _is_hopeless(parcel.verdict)
        wanted = tuple(
            one
            for one in recipients
            if (said[one] is Standing.ALLOWED if hopeless else said[one] is not Standing.BLOCKED)
        )
        return wanted if parcel.each_answered or not wanted else recipients


def _is_hopeless(verdict: Verdict) -> bool:
    return verdict.action is Action.REJECT and not verdict.rests


class OnceDoor:
    """``ours``: at the store, the directory whose addresses alone mail from the edge may be for; None at the edge.

    ``was_delivered`` looks into the mailboxes themselves: between a message's file and the row that remembers it lies
    the one moment in which a kill could make it come twice.
    ``authserv_id`` is the store's name, under which it says what the edge has found out.
    """

    def __init__(
        self,
        inner: Acceptance,
        taken: TakenOver,
        rounds: Rounds,
        journal: Journal,
        ours: Directory | None = None,
        was_delivered: WasDelivered | None = None,
        authserv_id: str = "",
    ) -> None:
        self._inner = inner
        self._taken = taken
        self._rounds = rounds
        self._journal = journal
        self._ours = ours
        self._was_delivered = was_delivered
        self._authserv_id = authserv_id
        self._under_way: set[tuple[str, Address]] = set()

    def room_for(self, recipient: Recipient, octets: int) -> Awaitable[Reply | None]:
        """As the door behind says."""
        return self._inner.room_for(recipient, octets)

    async def accept(self, parcel: Parcel) -> tuple[Receipt, ...]:
        """What came over the link is taken once; everything else goes through."""
        if parcel.origin is not Origin.PAIRED:
            return await self._inner.accept(parcel)
        recipients = parcel.envelope.recipients
        try:
            facts, content = take_facts(parcel.content)
        except NoFacts as trouble:
            return tuple(self._refuse(parcel, one, NOT_PAIRED, str(trouble)) for one in recipients)
        known = await self._taken.known(facts.id, [one.forward_path for one in recipients])
        self._journal.tell(
            CameOver(
                trace=parcel.trace,
                id=facts.id,
                recipient=tuple(str(one.forward_path) for one in recipients),
                known=tuple(str(one) for one in sorted(known, key=str)),
            )
        )
        if self._ours is not None:
            envelope = replace(parcel.envelope, require_tls=facts.require_tls)
            verdict, content = in_our_name(facts.verdict, content, self._authserv_id)
            parcel = replace(
                parcel,
                origin=facts.origin,
                envelope=envelope,
                content=content,
                client=facts.client,
                verdict=verdict,
                message_id=facts.message_id,
                taken_already=True,
            )
        else:
            parcel = replace(parcel, content=content)
        receipts = []
        for one in recipients:
            if one.forward_path in known:
                receipts.append(Receipt(one, HERE_ALREADY))
            else:
                receipts.append(await self._once(parcel, facts.id, one, facts.arrived if facts.again else None))
        return tuple(receipts)

    def _refuse(self, parcel: Parcel, recipient: Recipient, reply: Reply, reason: str) -> Receipt:
        address = str(recipient.forward_path)
        self._journal.tell(Refused(trace=parcel.trace, recipient=address, reply=str(reply), reason=reason))
        return Receipt(recipient, reply)

    async def _once(self, parcel: Parcel, id: str, recipient: Recipient, since: float | None) -> Receipt:
        """One recipient: each has its own row and its own answer."""
        path = recipient.forward_path
        accounts: list[Address] = []
        if self._ours is not None:
            resolution = await self._ours.resolve(path)
            if isinstance(resolution, NotOurs):
                return self._refuse(parcel, recipient, NO_RELAY, "not one of our addresses")
            if isinstance(resolution, Known):
                accounts = [one.account for one in resolution.destinations if isinstance(one, LocalMailbox)]
                if len(accounts) < len(resolution.destinations):
                    accounts = []  # it leads outside too: taken as a whole
        key = (id, path)
        if key in self._under_way or len(self._under_way) >= MOST_UNDER_WAY:
            return Receipt(recipient, UNDER_WAY)
        self._under_way.add(key)
        try:
            # Whoever held the key before us may have taken it meanwhile.
            if path in await self._taken.known(id, [path]):
                return Receipt(recipient, HERE_ALREADY)
            # Two addresses of one message may lead to one account, which gets it once.
            have = await self._taken.known(id, accounts) if accounts else frozenset[Address]()
            rows = (self._taken.rows(id, [path, *accounts]),)
            if have and have >= set(accounts):
                await self._rounds.commit(Commit(rows=rows))
                return Receipt(recipient, HERE_ALREADY)
            if since is not None and self._was_delivered is not None and await self._was_delivered(id, path, since):
                await self._rounds.commit(Commit(rows=rows))
                return Receipt(recipient, HERE_ALREADY)
            whom: tuple[Recipient, ...] = (recipient,)
            if have:
                whom = tuple(replace(recipient, forward_path=one) for one in accounts if one not in have)
            envelope = replace(parcel.envelope, recipients=whom)
            alone = len(whom) == 1
            receipts = await self._inner.accept(replace(parcel, envelope=envelope, each_answered=alone, rows=rows))
            worst = next((one for one in receipts if not one.reply.is_positive), receipts[0])
            return Receipt(recipient, worst.reply)
        except DiskTrouble as trouble:
            return self._refuse(parcel, recipient, DISK_FULL if trouble.full else DISK_TROUBLE, str(trouble))
        finally:
            self._under_way.discard(key)
