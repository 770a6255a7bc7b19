"""The door through which every message is accepted: copies, queue entries, one commit round, then the replies.

All of a parcel becomes durable together or not at all. When anybody has taken it, what could not be done now for the
others (a full mailbox, an address that vanished after RCPT) is queued in the same round, and the queue delivers it
later or tells the sender; so nobody is lost behind one common 250. When nobody has taken it, or every recipient hears
its own reply, the reasons are the replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailbox_appliance.delivery.forwarding import Forwarding
from mailbox_appliance.delivery.local import Copy, LocalCopies, NoPlace, writes
from mailbox_appliance.delivery.rests import Resting
from mailbox_appliance.delivery.routing import MARKS, NOT_FORWARDED, REJECTS, Routed, Routing, Target
from mailbox_appliance.delivery.space import Backlog, Space
from mailbox_appliance.delivery.vacation import Vacation
from mailbox_appliance.journal.events.delivery import (
    BounceReturned,
    DiskFull,
    Kept,
    Leaked,
    MailboxFull,
    Queued,
    Refused,
    Rested,
)
from mailbox_appliance.mail.address import Address, show_reverse_path
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.report import DELIVERED, EXPANDED, Fate
from mailbox_appliance.mail.trace import Event
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Outgoing, Parcel, Receipt
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.lists import Mailings, Taken
from mailbox_appliance.ports.queue import Reports, Spool
from mailbox_appliance.ports.reports import ReportReading
from mailbox_appliance.ports.rounds import Commit, DiskTrouble, Rounds, Rows, Write
from mailbox_appliance.ports.store import Depot
from mailbox_appliance.ports.users import AtList, Directory, Known, LocalMailbox
from mailbox_appliance.ports.workers import Busy

KEPT = Reply(250, "2.1.5", "Delivered")
WILL_BE_SENT = Reply(250, "2.1.5", "Queued")
FULL_FOR_GOOD = Reply(552, "5.2.2", "The mailbox is full")
FULL_NOW = Reply(452, "4.2.2", "The mailbox is full")
DISK_FULL = Reply(452, "4.3.1", "Not enough room here, try again later")
DISK_SLOW = Reply(452, "4.3.1", "The disk does not keep up just now, try again later")
DISK_TROUBLE = Reply(451, "4.3.0", "The mail store cannot be written just now, try again later")

REPORTS, REPORT = "Reports", "report"  # the folder, and why something goes there
REST = "undo_send"  # the account's setting, in seconds
LONGEST_REST = 86_400

REFUSED = Reply(550, "5.7.1", "Message refused")
NO_LISTS = Reply(550, "5.1.1", "There are no lists here")
TOO_BUSY = Reply(451, "4.3.2", "Too much to do just now, try again later")


@dataclass(frozen=True, slots=True)
class AcceptanceSettings:
    """``full_is_temporary``: a full mailbox says 452, so that senders try again for days, instead of 552.

    ``slow``: when something has waited for the disk so many seconds, nothing new is taken at RCPT. Senders wait ten
    minutes for the reply to a message (RFC 5321 §4.5.3.2.6), but impatient ones send it again.
    """

    full_is_temporary: bool = False
    slow: float = 20.0


@dataclass(slots=True)
class _Plan:
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


class Door:
    """Fills ``ports.delivery.Acceptance``. ``reports`` is set once the queue stands, which needs this door itself."""

    reports: Reports | None = None
    reading: ReportReading | None = None  # of what others report about our domains

    def __init__(
        self,
        routing: Routing,
        depot: Depot,
        spool: Spool,
        rounds: Rounds,
        directory: Directory,
        space: Space,
        clock: Clock,
        journal: Journal,
        settings: AcceptanceSettings | None = None,
        forwarding: Forwarding | None = None,
        vacation: Vacation | None = None,
        mailings: Mailings | None = None,
    ) -> None:
        self._routing = routing
        self._depot = depot
        self._local = LocalCopies(depot)
        self._spool = spool
        self._rounds = rounds
        self._directory = directory
        self._space = space
        self._journal = journal
        self._settings = settings or AcceptanceSettings()
        self._forwarding = forwarding
        self._vacation = vacation
        self._resting = Resting(clock)
        self._mailings = mailings
        self._disk_told = float("-inf")
        self._clock = clock
        self._backlog = Backlog(clock)

    # ------------------------------------------------------------ RCPT

    async def room_for(self, recipient: Recipient, octets: int) -> Reply | None:
        """None when ``octets`` for ``recipient`` would be taken, else what to say."""
        if not await self._space.has_room(octets):
            return DISK_FULL
        if self._backlog.oldest > self._settings.slow:
            return DISK_SLOW
        resolution = await self._directory.resolve(recipient.forward_path)
        if not isinstance(resolution, Known):
            return None
        for destination in resolution.destinations:
            if not isinstance(destination, LocalMailbox) or await self._depot.room(destination.account, octets):
                return None
        return self._full if resolution.destinations else None

    @property
    def _full(self) -> Reply:
        return FULL_NOW if self._settings.full_is_temporary else FULL_FOR_GOOD

    # ------------------------------------------------------------ end of data

    async def accept(self, parcel: Parcel) -> tuple[Receipt, ...]:
        """Make the message durable for each recipient."""
        recipients = parcel.envelope.recipients
        parcel = await self._rested(parcel)
        try:
            plan = _Plan([await self._routing.route(parcel, recipient) for recipient in recipients])
            plan.routed = [self._filed(parcel, one) for one in _answered(parcel, plan.routed)]
            if parcel.envelope.hold_until > self._clock.seconds():
                plan.routed = [_held(routed) for routed in plan.routed]
            self._take_outside(plan)
            await self._ask_lists(parcel, plan)
            await self._prepare_outgoing(parcel, plan)
            await self._take_places(parcel, plan)
            await self._answer(parcel, plan)
        except Busy:
            return tuple(Receipt(recipient, TOO_BUSY) for recipient in recipients)
        except OSError as error:  # the key of our return paths
            return self._disk_trouble(parcel, DiskTrouble(f"{error.filename}: {error.strerror}", full=False))
        receipts = self._judge(parcel, plan)
        commit = self._commit(parcel, plan)
        if commit.writes or commit.rows:
            try:
                with self._backlog.waiting():
                    await self._rounds.commit(commit)
            except DiskTrouble as trouble:
                self._local.abandon(plan.copies + plan.resting)
                return self._disk_trouble(parcel, trouble)
            except BaseException:
                self._local.abandon(plan.copies + plan.resting)
                raise
            self._local.arrived(plan.copies + plan.resting)
            if plan.queued or plan.outgoing:
                self._spool.entered(parcel.trace)
        self._tell(parcel, plan, receipts)
        if self.reading is not None and any(copy.target.why == REPORT for copy in plan.copies):
            await self.reading.take(parcel)
        await self._report_success(parcel, plan, receipts)
        return receipts

    def _filed(self, parcel: Parcel, routed: Routed) -> Routed:
        """Machines report daily: that goes beside what people write to a postmaster."""
        reading = self.reading
        if reading is None or routed.refusal or not reading.is_report(parcel, routed.recipient.forward_path):
            return routed
        targets = (replace(one, mailbox=REPORTS, why=REPORT) if one.mailbox == INBOX else one for one in routed.targets)
        return replace(routed, targets=tuple(targets))

    async def _rested(self, parcel: Parcel) -> Parcel:
        """What an account submits may rest for a while, so that it can be taken back (undo send)."""
        account = parcel.client.account if parcel.client is not None else ""
        if parcel.origin is not Origin.AUTHENTICATED or not account:
            return parcel
        settings = await self._directory.settings(Address.parse(account))
        rest = rest_of(settings)
        if not rest:
            return parcel
        until = max(parcel.envelope.hold_until, self._clock.seconds() + rest)
        return replace(parcel, envelope=replace(parcel.envelope, hold_until=until))

    async def _take_places(self, parcel: Parcel, plan: _Plan) -> None:
        targets: dict[tuple[Address, str], Target] = {}
        addressed: list[Address] = []
        for routed in plan.routed:
            if routed.refusal is not None:
                continue
            for target in routed.targets:
                known = targets.setdefault(target.key, target)
                if not target.flags <= known.flags:
                    targets[target.key] = replace(known, flags=known.flags | target.flags)
                if target.why == "captured":
                    addressed.append(routed.recipient.forward_path)
        for archive in plan.archives:
            targets.setdefault(archive.key, archive)
        wanted = list(targets.values())
        plan.copies, refused = await self._local.place(parcel.content, parcel.envelope.reverse_path, wanted, addressed)
        plan.refused = {one.target.key: one for one in refused}
        rests = self._rests(parcel, plan)
        if rests:
            plan.resting, _ = await self._local.place(parcel.content, parcel.envelope.reverse_path, rests, ())

    def _rests(self, parcel: Parcel, plan: _Plan) -> list[Target]:
        """Copies in Rejects for those who refuse; none yet when the whole message will be tried again."""
        refusing = [(one, one.unwanted.verdict) for one in plan.routed if one.unwanted and one.refusal is not None]
        if not parcel.each_answered and any(verdict.action is Action.DEFER for _, verdict in refusing):
            return []
        accounts = dict.fromkeys(target.account for one, verdict in refusing if verdict.rests for target in one.targets)
        return [Target(account, REJECTS, why="refused") for account in accounts if self._resting.may_rest(account)]

    def _take_outside(self, plan: _Plan) -> None:
        """Two aliases may lead to one address outside: it hears of it once, and directly where it is named itself."""
        seen: set[Address] = set()
        for routed in sorted(plan.routed, key=lambda one: one.forwards):
            for recipient in routed.outside:
                if recipient.forward_path in seen:
                    continue
                seen.add(recipient.forward_path)
                if routed.returns:
                    plan.returned.append((routed.recipient, recipient))
                elif routed.forwards:
                    plan.forwarded.setdefault(routed.recipient.forward_path.folded(), []).append(recipient)
                else:
                    plan.outside.append(recipient)

    async def _ask_lists(self, parcel: Parcel, plan: _Plan) -> None:
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

    async def _prepare_outgoing(self, parcel: Parcel, plan: _Plan) -> None:
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

    async def _answer(self, parcel: Parcel, plan: _Plan) -> None:
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

    def _judge(self, parcel: Parcel, plan: _Plan) -> tuple[Receipt, ...]:
        """A reply for each recipient; what is taken only in the queue goes to ``plan.instead``."""
        alone = parcel.each_answered or not (plan.copies or plan.leaves)
        receipts = []
        for routed in plan.routed:
            if routed.refusal is not None:
                reply = routed.refusal
                # What is refused as junk is told to nobody but the peer: its sender may be forged.
                later = [] if reply is NOT_FORWARDED or routed.unwanted is not None else [routed.recipient]
            else:
                reply, later = self._reply(routed, plan)
            if not reply.is_positive and not alone:
                reply = WILL_BE_SENT
                plan.instead += later
            elif reply.is_positive:
                plan.instead += later
            receipts.append(Receipt(routed.recipient, reply))
        return tuple(receipts)

    def _reply(self, routed: Routed, plan: _Plan) -> tuple[Reply, list[Recipient]]:
        """The reply for what could be done, and the mailboxes that are to get it later."""
        troubles = [trouble for target in routed.targets if (trouble := plan.refused.get(target.key)) is not None]
        later = [_for_account(routed.recipient, trouble.target) for trouble in troubles]
        if len(troubles) < len(routed.targets):
            return KEPT, later
        if routed.lists:
            return KEPT, later
        if routed.outside:
            return WILL_BE_SENT, later
        return (self._full if troubles[0].full else DISK_TROUBLE), later

    def _commit(self, parcel: Parcel, plan: _Plan) -> Commit:
        local = writes(plan.copies + plan.resting) + tuple(plan.writes)
        account = parcel.client.account if parcel.client is not None else ""
        entries = []
        if plan.queued:
            envelope = replace(parcel.envelope, recipients=tuple(plan.queued))
            entries.append(self._spool.prepare(parcel.trace, parcel.origin, account, envelope, parcel.content))
        for one in plan.outgoing:
            origin = parcel.origin if one.envelope.reverse_path == parcel.envelope.reverse_path else Origin.LOCAL
            entries.append(self._spool.prepare(one.trace, origin, account, one.envelope, one.content))
        local += tuple(write for entry in entries for write in entry.writes)
        return Commit(local, tuple(row for entry in entries for row in entry.rows) + tuple(plan.rows) + parcel.rows)

    # ------------------------------------------------------------ telling

    async def _report_success(self, parcel: Parcel, plan: _Plan, receipts: Sequence[Receipt]) -> None:
        """RFC 3461 §5.2.4: whoever asked hears that his message is in the mailbox; what is queued is told later."""
        if self.reports is None:
            return
        outcome = Outcome(Result.DELIVERED, KEPT)
        now = self._clock.seconds()
        fates = [
            Fate(receipt.recipient, DELIVERED, outcome, now)
            for routed, receipt in zip(plan.routed, receipts, strict=True)
            if "SUCCESS" in receipt.recipient.notify and receipt.reply is KEPT and not routed.expanded
        ]
        if fates:
            await self.reports.tell(parcel.trace, parcel.envelope, now, parcel.content, fates)
        expanded = [Fate(routed.recipient, EXPANDED, outcome, now) for routed in plan.routed if routed.expanded]
        if expanded:
            await self.reports.tell(parcel.trace, parcel.envelope, now, parcel.content, expanded)

    def _disk_trouble(self, parcel: Parcel, trouble: DiskTrouble) -> tuple[Receipt, ...]:
        now = self._clock.seconds()
        if not 0 <= now - self._disk_told < 60:
            # Once a minute is enough to wake the owner; the refused messages are journaled each.
            self._disk_told = now
            self._journal.tell(DiskFull(trace=parcel.trace, reason=str(trouble), full=trouble.full))
        reply = DISK_FULL if trouble.full else DISK_TROUBLE
        for recipient in parcel.envelope.recipients:
            address = str(recipient.forward_path)
            self._journal.tell(Refused(trace=parcel.trace, recipient=address, reply=str(reply), reason=str(trouble)))
        return tuple(Receipt(recipient, reply) for recipient in parcel.envelope.recipients)

    def _tell(self, parcel: Parcel, plan: _Plan, receipts: Sequence[Receipt]) -> None:
        tell, trace = self._journal.tell, parcel.trace
        by_key = {copy.target.key: copy for copy in plan.copies}
        for rest in plan.resting:
            tell(Rested(trace=trace, account=str(rest.target.account), mailbox=rest.target.mailbox))
        for routed in plan.routed:
            if routed.leak is not None:
                domain, given_to = routed.leak
                tell(
                    Leaked(trace=trace, recipient=str(routed.recipient.forward_path), domain=domain, given_to=given_to)
                )
            for target in routed.targets:
                copy = by_key.pop(target.key, None)
                address = str(routed.recipient.forward_path)
                if copy is not None:
                    size = copy.content.wire_size
                    tell(
                        Kept(
                            trace=trace,
                            account=str(target.account),
                            mailbox=copy.target.mailbox,
                            recipient=address,
                            size=size,
                            why=copy.target.why,
                        )
                    )
                else:
                    trouble = plan.refused.get(target.key)
                    if trouble is not None and trouble.full:
                        tell(MailboxFull(trace=trace, account=str(target.account), recipient=address))
        passed_on = [entry for entry in plan.outgoing if entry.trace == trace]
        for archive in plan.archives:
            copy = by_key.pop(archive.key, None)
            if copy is not None:
                where = {"account": str(archive.account), "mailbox": archive.mailbox, "recipient": ""}
                tell(Kept(trace=trace, **where, size=copy.content.wire_size, why="archive"))
            elif archive.key in plan.refused:
                tell(MailboxFull(trace=trace, account=str(archive.account), recipient=""))
        queued = plan.queued + [one for entry in passed_on for one in entry.envelope.recipients]
        if queued:
            tell(
                Queued(
                    trace=trace,
                    sender=show_reverse_path(parcel.envelope.reverse_path),
                    recipient=tuple(str(recipient.forward_path) for recipient in queued),
                    size=parcel.content.wire_size,
                    forwarded=tuple(str(r.recipient.forward_path) for r in plan.routed if r.forwards),
                )
            )
        for event in plan.told:
            tell(event)
        for routed, receipt in zip(plan.routed, receipts, strict=True):
            if not receipt.reply.is_positive:
                troubles = [plan.refused.get(t.key) for t in routed.targets]
                reason = "; ".join(trouble.text for trouble in troubles if trouble is not None)
                tell(
                    Refused(
                        trace=trace,
                        recipient=str(routed.recipient.forward_path),
                        reply=str(receipt.reply),
                        reason=reason,
                    )
                )


def rest_of(settings: Mapping[str, str]) -> int:
    """Seconds that an account's mail rests before it leaves."""
    text = settings.get(REST, "")
    return min(int(text), LONGEST_REST) if text.isascii() and text.isdigit() else 0


def _answered(parcel: Parcel, routed: list[Routed]) -> list[Routed]:
    """Who does not want it refuses it where nobody hears but him and the peer; else it goes where he sees it least."""
    alone = parcel.each_answered or all(one.unwanted is not None or one.refusal is not None for one in routed)
    if not alone or parcel.taken_already:
        return routed
    return [
        replace(one, refusal=one.unwanted.verdict.reply or REFUSED) if one.unwanted is not None else one
        for one in routed
    ]


def _for_account(recipient: Recipient, target: Target) -> Recipient:
    """The queue's recipient for one mailbox out of those behind an address: the others have theirs already.

    What was found out (junk, a leak) is decided: later there is nobody to ask, and the sender may be long gone.
    """
    account, marks = target.account, target.flags & MARKS
    base, _ = recipient.forward_path.folded().without_detail()
    if account in (recipient.forward_path.folded(), base):
        return replace(recipient, marks=marks)  # ann+shop leads to ann alone, and the tag may choose a folder
    return Recipient(account, recipient.notify, recipient.original or f"rfc822;{recipient.forward_path}", marks)


def _held(routed: Routed) -> Routed:
    """For everybody, also for our own, the queue lets it go when its time has come (RFC 4865 §5).

    What is captured stays in the house anyway, and must not wait where things leave from.
    """
    if routed.refusal is not None or any(target.why == "captured" for target in routed.targets):
        return routed
    return Routed(routed.recipient, outside=(routed.recipient,))
