"""The door through which every message is accepted: copies, queue entries, one commit round, then the replies.

All of a parcel becomes durable together or not at all. When anybody has taken it, what could not be done now for the
others (a full mailbox, an address that vanished after RCPT) is queued in the same round, and the queue delivers it
later or tells the sender; so nobody is lost behind one common 250. When nobody has taken it, or every recipient hears
its own reply, the reasons are the replies. What is to be done stands in ``plan``, what leaves in ``leaving``, what
the journal hears in ``telling``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailbox_appliance.delivery.forwarding import Forwarding
from mailbox_appliance.delivery.leaving import Leaving
from mailbox_appliance.delivery.local import LocalCopies, writes
from mailbox_appliance.delivery.plan import KEPT, Plan, answered, held
from mailbox_appliance.delivery.rests import Resting
from mailbox_appliance.delivery.routing import REJECTS, Routed, Routing, Target
from mailbox_appliance.delivery.space import Backlog, Space
from mailbox_appliance.delivery.telling import DISK_FULL, Telling
from mailbox_appliance.delivery.vacation import Vacation
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.report import DELIVERED, EXPANDED, Fate
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Parcel, Receipt
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.lists import Mailings
from mailbox_appliance.ports.queue import Reports, Spool
from mailbox_appliance.ports.reports import ReportReading
from mailbox_appliance.ports.rounds import Commit, DiskTrouble, Rounds
from mailbox_appliance.ports.store import Depot
from mailbox_appliance.ports.users import Directory, Known, LocalMailbox
from mailbox_appliance.ports.workers import Busy

FULL_FOR_GOOD = Reply(552, "5.2.2", "The mailbox is full")
FULL_NOW = Reply(452, "4.2.2", "The mailbox is full")
DISK_SLOW = Reply(452, "4.3.1", "The disk does not keep up just now, try again later")
TOO_BUSY = Reply(451, "4.3.2", "Too much to do just now, try again later")

REPORTS, REPORT = "Reports", "report"  # the folder, and why something goes there
REST = "undo_send"  # the account's setting, in seconds
LONGEST_REST = 86_400


@dataclass(frozen=True, slots=True)
class AcceptanceSettings:
    """``full_is_temporary``: a full mailbox says 452, so that senders try again for days, instead of 552.

    ``slow``: when something has waited for the disk so many seconds, nothing new is taken at RCPT. Senders wait ten
    minutes for the reply to a message (RFC 5321 §4.5.3.2.6), but impatient ones send it again.
    """

    full_is_temporary: bool = False
    slow: float = 20.0


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
        self._settings = settings or AcceptanceSettings()
        self._leaving = Leaving(routing, forwarding, vacation, mailings)
        self._telling = Telling(journal, clock)
        self._resting = Resting(clock)
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
            plan = Plan([await self._routing.route(parcel, recipient) for recipient in recipients])
            plan.routed = [self._filed(parcel, one) for one in answered(parcel, plan.routed)]
            if parcel.envelope.hold_until > self._clock.seconds():
                plan.routed = [held(routed) for routed in plan.routed]
            plan.take_outside()
            await self._leaving.ask_lists(parcel, plan)
            await self._leaving.prepare(parcel, plan)
            await self._take_places(parcel, plan)
            await self._leaving.answer(parcel, plan)
        except Busy:
            return tuple(Receipt(recipient, TOO_BUSY) for recipient in recipients)
        except OSError as error:  # the key of our return paths
            return self._telling.disk_trouble(parcel, DiskTrouble(f"{error.filename}: {error.strerror}", full=False))
        receipts = plan.receipts(parcel, self._full)
        commit = self._commit(parcel, plan)
        if commit.writes or commit.rows:
            try:
                with self._backlog.waiting():
                    await self._rounds.commit(commit)
            except DiskTrouble as trouble:
                self._local.abandon(plan.copies + plan.resting)
                return self._telling.disk_trouble(parcel, trouble)
            except BaseException:
                self._local.abandon(plan.copies + plan.resting)
                raise
            self._local.arrived(plan.copies + plan.resting)
            if plan.queued or plan.outgoing:
                self._spool.entered(parcel.trace)
        self._telling.outcome(parcel, plan, receipts)
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

    async def _take_places(self, parcel: Parcel, plan: Plan) -> None:
        wanted, addressed = plan.places()
        plan.copies, refused = await self._local.place(parcel.content, parcel.envelope.reverse_path, wanted, addressed)
        plan.refused = {one.target.key: one for one in refused}
        rests = self._rests(parcel, plan)
        if rests:
            plan.resting, _ = await self._local.place(parcel.content, parcel.envelope.reverse_path, rests, ())

    def _rests(self, parcel: Parcel, plan: Plan) -> list[Target]:
        """Copies in Rejects for those who refuse; none yet when the whole message will be tried again."""
        refusing = [(one, one.unwanted.verdict) for one in plan.routed if one.unwanted and one.refusal is not None]
        if not parcel.each_answered and any(verdict.action is Action.DEFER for _, verdict in refusing):
            return []
        accounts = dict.fromkeys(target.account for one, verdict in refusing if verdict.rests for target in one.targets)
        return [Target(account, REJECTS, why="refused") for account in accounts if self._resting.may_rest(account)]

    def _commit(self, parcel: Parcel, plan: Plan) -> Commit:
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

    async def _report_success(self, parcel: Parcel, plan: Plan, receipts: Sequence[Receipt]) -> None:
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


def rest_of(settings: Mapping[str, str]) -> int:
    """Seconds that an account's mail rests before it leaves."""
    text = settings.get(REST, "")
    return min(int(text), LONGEST_REST) if text.isascii() and text.isdigit() else 0
