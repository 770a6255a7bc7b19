"""What one recipient's own evidence makes of a verdict (fills ports/checks.PersonalChecks).

::

    sender     his list of allowed and blocked senders
    known      has he written to the author, has he had mail from him
    content    his junk filter
    greylist   a suspicious first-time sender shall come again (off by default)

A source of evidence is a coroutine that gives pieces of it; ``SOURCES`` is their order. Where checks are off only what
the person himself has said and taught is heard, and nothing is refused but for his own list.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from sqlite3 import Error as SqliteError

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailbox_appliance.checks.author import author_of
from mailbox_appliance.checks.greylist import Greylist
from mailbox_appliance.checks.senders import Senders
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.verdict import decide, turning_points
from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.journal.events.checks import AcquaintanceLost, JudgedFor
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.authfields import seen_words
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Action, Evidence, Personal, Verdict
from mailbox_appliance.mailauth.canonical import HeaderBlock
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.junk import JunkFilter
from mailbox_appliance.ports.workers import Busy

_REMEMBERED = 64  # verdicts: several recipients may lead to one account
_TROUBLE = (OSError, DatabaseTrouble, SqliteError, Busy)


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """Whom to ask about a person: ``has_written_to`` (account, author); ``waits`` (account): just made an address.

    ``put_off`` (account) is told that a letter of his waits, so that he finds a Rejects to look into."""

    senders: Senders
    greylist: Greylist
    has_written_to: Callable[[Address, Address], Awaitable[bool]]
    waits: Callable[[Address], bool] = lambda account: False
    put_off: Callable[[Address], None] = lambda account: None


@dataclass(frozen=True, slots=True)
class Case:
    """One message for one person. ``account`` None: for nobody in particular."""

    parcel: Parcel
    account: Address | None
    author: Address | None
    proven: bool
    before: Verdict  # what was decided without the source that is asked


Source = Callable[[Case], Awaitable[Sequence[Evidence]]]


class PersonalVerdicts:
    """Fits ports.checks.PersonalChecks. ``settings`` is replaced on reload."""

    def __init__(
        self, settings: ChecksSettings, junk: JunkFilter, acquaintance: Acquaintance, journal: FullJournal
    ) -> None:
        self.settings = settings
        self._filter = junk
        self._acquaintance = acquaintance
        self._journal = journal
        self._made: OrderedDict[tuple[str, Address | None], Personal] = OrderedDict()
        self.sources: list[tuple[str, Source]] = [
            ("sender", self._listed),
            ("known", self._known),
            ("content", self._content),
        ]

    async def examine_for(self, parcel: Parcel, account: Address | None) -> Personal:
        key = (parcel.trace, account)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = await self._judged(parcel, account)
            while len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        return found

    async def _judged(self, parcel: Parcel, account: Address | None) -> Personal:
        settings, verdict = self.settings, parcel.verdict
        author = verdict.author or author_of(HeaderBlock(parcel.content.header))
        proven = verdict.is_proven or not settings.enabled  # where nothing is checked there is no proof to ask for
        case = Case(parcel, account, author, proven, verdict)
        own: list[Evidence] = []
        for check, source in self.sources:
            if check not in settings.switched_off:
                own += await self._ask(check, source, case)
        decided = self._decide(verdict, own)
        otherwise = Action.JUNK if decided.action is Action.REJECT else decided.action
        if settings.greylist and decided.action in (Action.ACCEPT, Action.JUNK):
            own += await self._ask("greylist", self._greylisted, replace(case, before=decided))
            decided = self._decide(verdict, own)
        if account is not None and author is not None and decided.action is Action.ACCEPT:
            # The letter need not wait for it.
            if self._acquaintance.senders.meet(account, author):
                Deferred.fromCoroutine(self._write_met(account)).addErrback(self._not_met)
        self._tell(parcel, account, decided, own)
        return Personal(decided, otherwise)

    def _decide(self, verdict: Verdict, own: Sequence[Evidence]) -> Verdict:
        decided = decide((*verdict.evidence, *own), self.settings)
        if not self.settings.enabled and decided.action is Action.REJECT and "blocked" not in decided.reason:
            decided = replace(decided, action=Action.JUNK, reply=None, rests=False)
        return replace(decided, fields=verdict.fields, author=verdict.author, is_proven=verdict.is_proven)

    async def _ask(self, check: str, source: Source, case: Case) -> Sequence[Evidence]:
        try:
            return await source(case)
        except _TROUBLE as error:
            return (Evidence(check, "temperror", reason=str(error)[:200] or type(error).__name__),)
        except Exception as error:  # noqa: BLE001 - one source's trouble must not keep the message from anybody
            self._journal.broken("checks", error, case.parcel.trace)
            return (Evidence(check, "temperror", reason=type(error).__name__),)

    def _tell(self, parcel: Parcel, account: Address | None, verdict: Verdict, own: Sequence[Evidence]) -> None:
        if account is None or not own:
            return
        checks = {one.check for one in own}
        weighed = [one for one in verdict.evidence if one.check in checks]
        self._journal.tell(
            JudgedFor(
                trace=parcel.trace,
                account=str(account),
                action=verdict.action.value,
                score=verdict.score,
                reason=verdict.reason[:500],
                evidence=tuple(one.shown for one in weighed),
                otherwise=turning_points(verdict, self.settings),
            )
        )

    # ------------------------------------------------------------ sources

    async def _listed(self, case: Case) -> Sequence[Evidence]:
        if case.account is None or case.author is None:
            return ()
        standing = await self._acquaintance.senders.judged_by(case.account, case.author)
        if standing is Standing.BLOCKED:
            remedy = f"`mailappliance sender remove {case.account} {case.author}`"
            return (Evidence("sender", "blocked", reason=f"{case.account} has blocked {case.author}", remedy=remedy),)
        if standing is Standing.ALLOWED and case.proven:
            return (Evidence("sender", "allowed", reason=f"{case.account} allows {case.author}"),)
        if standing is Standing.ALLOWED:
            reason = f"{case.account} allows {case.author}, but nothing proves that it is he"
            return (Evidence("sender", "allowed unproven", reason=reason),)
        return ()

    async def _known(self, case: Case) -> Sequence[Evidence]:
        if case.account is None or case.author is None or not self.settings.enabled:
            return ()
        proof = "" if case.proven else " unproven"
        found = []
        if await self._acquaintance.has_written_to(case.account, case.author):
            reason = f"{case.account} has written to {case.author}"
            found.append(Evidence("known", f"correspondent{proof}", reason=reason))
        past = await self._acquaintance.senders.acquainted(case.account, case.author, proven=case.proven)
        if past.junk > past.wanted:
            times = "often" if past.junk - past.wanted > 1 else ""
            reason = f"{case.account} called {past.junk} letter(s) from {case.author} junk, {past.wanted} wanted"
            remedy = f"moving one out of Junk; or `mailappliance sender allow {case.account} {case.author}`"
            found.append(Evidence("known", f"unwanted {times}".rstrip(), reason=reason, remedy=remedy))
        elif found:
            pass
        elif past.wanted > past.junk and case.proven:
            reason = f"{case.account} called {past.wanted} letter(s) from {case.author} wanted"
            found.append(Evidence("known", "wanted", reason=reason))
        elif past.letters and case.proven:
            reason = f"{past.letters} earlier letter(s) from {case.author}"
            found.append(Evidence("known", "sender" if past.is_old else "newcomer", reason=reason))
        else:
            reason = f"{case.account} has had no letter from {case.author} before"
            found.append(Evidence("known", "first-time", reason=reason))
        return found

    async def _content(self, case: Case) -> Sequence[Evidence]:
        parcel = case.parcel
        if not self.settings.enabled and case.account is not None:
            # Whom nobody has taught enough the filter says nothing for: then the message need not be read either.
            if sum(await self._filter.balance(case.account)) < self.settings.least_lessons:
                return ()
        seen = seen_words(parcel.verdict.fields + b"\n", self.settings.authserv_id)
        path = parcel.envelope.reverse_path
        kept = parcel.content.with_prefix(f"Return-Path: <{path or ''}>\n".encode("utf-8", "replace"))
        judgement = await self._filter.judge(case.account, kept, seen)
        if not self.settings.enabled and judgement.lessons < self.settings.least_lessons:
            return ()
        return (judgement.as_evidence(),)

    async def _greylisted(self, case: Case) -> Sequence[Evidence]:
        acquaintance, client = self._acquaintance, case.parcel.client
        is_new = any(one.check == "known" and one.result == "first-time" for one in case.before.evidence)
        if case.account is None or client is None or not is_new or case.before.score < self.settings.suspicious_at:
            return ()
        if acquaintance.greylist.has_lane(case.account) or acquaintance.waits(case.account):
            return (Evidence("greylist", "lane", reason=f"{case.account} waits for a letter"),)
        sender = str(case.author or case.parcel.envelope.reverse_path or "")
        if acquaintance.greylist.must_wait(client.address, sender, case.account):
            acquaintance.put_off(case.account)
            return (Evidence("greylist", "wait", reason="a suspicious first-time sender shall come again"),)
        return (Evidence("greylist", "pass", reason="the sender has come again"),)

    async def _write_met(self, account: Address) -> None:
        try:
            await self._acquaintance.senders.write()
        except _TROUBLE as error:
            self._journal.tell(AcquaintanceLost(account=str(account), reason=str(error)[:200]))

    def _not_met(self, failure: Failure) -> None:
        assert failure.value is not None
        self._journal.broken("checks", failure.value)
