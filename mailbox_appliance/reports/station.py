"""Reports about our domains, from the mailbox on: recognized at delivery, read one after the other, remembered."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred

from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.journal.events.reports import ReportRead, ReportUnread
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.authfields import seen_words
from mailbox_appliance.mail.header import from_addresses
from mailbox_appliance.mail.message import SpooledBody
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.reports.memory import Kept, ReportMemory
from mailbox_appliance.reports.reading import looks_like_report, read_letter
from mailbox_appliance.reports.unpack import MOST_MAIL
from mailbox_appliance.reports.values import Report, ReportWrong, clean_domain

# Where reports are sent: what `dns records` publishes, and what owners like to name an alias for them.
LOCAL_PARTS = frozenset({"postmaster", "dmarc-reports", "dmarc", "tls-reports", "tlsrpt", "reports"})
MOST_WAITING = 20


@dataclass(frozen=True, slots=True)
class _Waiting:
    trace: str
    message: bytes
    received: float
    sender: str
    proven: bool


class ReportStation:
    """Fills ports.reports.ReportReading. ``edge_name`` tells who judged before us, "" when we judge ourselves."""

    def __init__(
        self,
        memory: ReportMemory,
        directory: Directory,
        workers: Workers,
        clock: Clock,
        journal: FullJournal,
        edge_name: Callable[[], str] = str,
    ) -> None:
        self.memory = memory
        self._directory = directory
        self._workers = workers
        self._clock = clock
        self._journal = journal
        self._edge_name = edge_name
        self._waiting: deque[_Waiting] = deque()
        self._reading: Deferred[None] | None = None

    def is_report(self, parcel: Parcel, to: Address) -> bool:
        """ports.reports.ReportReading."""
        if to.domain not in self._directory.domains() or to.local.partition("+")[0].lower() not in LOCAL_PARTS:
            return False
        body = parcel.content.body
        return looks_like_report(parcel.content.header, body if isinstance(body, bytes) else b"")

    async def take(self, parcel: Parcel) -> None:
        """ports.reports.ReportReading."""
        content = parcel.content
        author = next((one.domain for one in from_addresses(content.header) if one.domain is not None), b"")
        sender = clean_domain(author.decode("utf-8", "replace"))
        reason = ""
        if content.size > MOST_MAIL:
            reason = f"the message has more than {MOST_MAIL >> 20} MB"
        elif len(self._waiting) >= MOST_WAITING:
            reason = "too many reports came at once"
        else:
            try:
                body = content.body
                if isinstance(body, SpooledBody):
                    body = await self._workers.run("disk", _read, body)
            except (OSError, Busy) as error:
                reason = f"it could not be read: {error}"
        if reason:
            self._journal.tell(ReportUnread(trace=parcel.trace, sender=sender, reason=reason[:200]))
            return
        assert isinstance(body, bytes)
        now = self._clock.seconds()
        self._waiting.append(_Waiting(parcel.trace, content.header + body, now, sender, self._is_proven(parcel)))
        if self._reading is None:
            self._reading = Deferred.fromCoroutine(self._read_all())
            self._reading.addBoth(self._done)

    def _is_proven(self, parcel: Parcel) -> bool:
        """Does the domain in From stand behind it? Where nobody judges, nobody is doubted."""
        if parcel.verdict.evidence or parcel.verdict.author is not None:
            return parcel.verdict.is_proven
        edge = self._edge_name()
        words = seen_words(parcel.content.header, edge) if edge else ()
        return "dmarc pass" in words or not words

    def _done(self, result: object) -> None:
        self._reading = None

    async def _read_all(self) -> None:
        while self._waiting:
            one = self._waiting.popleft()
            try:
                await self._read_one(one)
            except (ReportWrong, OSError, DatabaseTrouble, sqlite3.Error, Busy) as error:
                reason = str(error)[:200] or type(error).__name__
                self._journal.tell(ReportUnread(trace=one.trace, sender=one.sender, reason=reason))
            except Exception as error:  # noqa: BLE001 - the next report may be better
                self._journal.broken("reports", error)

    async def _read_one(self, one: _Waiting) -> None:
        for report in await read_letter(one.message, one.received, self._workers, self._clock):
            reason = "" if self._is_ours(report.domain) else f"it speaks of {report.domain or 'no domain'}: not ours"
            reason = reason or await self.memory.keep(Kept(report, one.sender, one.received, one.proven))
            if reason:
                self._journal.tell(ReportUnread(trace=one.trace, sender=one.sender, reason=reason))
                continue
            good, bad = figures(report)
            self._journal.tell(
                ReportRead(
                    trace=one.trace,
                    kind=report.kind,
                    domain=report.domain,
                    sender=one.sender,
                    good=good,
                    bad=bad,
                    proven=one.proven,
                )
            )

    def _is_ours(self, domain: str) -> bool:
        """A domain of ours, or a name below one."""
        ours = self._directory.domains()
        labels = domain.split(".")
        return any(".".join(labels[at:]) in ours for at in range(len(labels)))

    async def stop(self) -> None:
        """What has not been read is in its mailbox; the report under way is finished."""
        self._waiting.clear()
        if self._reading is not None:
            await self._reading
        self.memory.database.close()


def figures(report: Report) -> tuple[int, int]:
    """Messages or sessions: good ones, bad ones."""
    good = sum(row.messages for row in report.sources if row.dkim or row.spf)
    good += sum(row.sessions for row in report.tls if not row.result)
    bad = sum(row.messages for row in report.sources if not (row.dkim or row.spf))
    bad += sum(row.sessions for row in report.tls if row.result)
    return good, bad


def _read(body: SpooledBody) -> bytes:
    with open(body.path, "rb") as file:
        file.seek(body.offset)
        return file.read(min(body.length, MOST_MAIL))
