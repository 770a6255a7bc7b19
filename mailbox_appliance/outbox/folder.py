"""A small mailbox in memory (ports.store.Mailbox): what the Outbox and the address folders have in common.

``lay`` gives it the messages that are there now; it finds out what is new, gone or changed, and tells the watchers.
What a user does with them (delete, flag, move) is up to the folder that is made of it.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from mailbox_appliance.mail import rights
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.mailbox import DELETED, FIRST_KEYWORD_BIT, RECENT, SEEN, SYSTEM_FLAGS, MailboxStatus
from mailbox_appliance.mail.text import casemap
from mailbox_appliance.outbox.sheets import Octets, Sheet, in_header, in_text, open_sheet, render_all, sent_day
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.store import (
    Column,
    Copied,
    Fields,
    FlagAction,
    Flagged,
    MessageFile,
    Problem,
    StoreError,
    Watcher,
)
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.slices import Slices
from mailbox_appliance.wire.imap.columns import kind_of
from mailbox_appliance.wire.imap.render import render_internaldate

DAY = 86_400
BATCH = 16
_SYSTEM = {name.lower(): bit for bit, name in SYSTEM_FLAGS}
_SYSTEM_BITS = (1 << FIRST_KEYWORD_BIT) - 1


class SmallFolder:
    """``names`` are the keywords that its messages may carry; clients add none."""

    def __init__(
        self, name: str, uidvalidity: int, mailbox_id: str, clock: Clock, workers: Workers, names: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.uidvalidity = uidvalidity
        self.uidnext = 1
        self.mailbox_id = mailbox_id
        self.read_only = False
        self.keywords: Sequence[str] = tuple(names)
        self.clock = clock
        self.workers = workers
        # As of an index that was lost: no earlier modification sequence is higher.
        self.highest_modseq = self._first_modseq = int(clock.seconds() * (1 << 20))
        self.sheets: list[Sheet] = []
        self.watchers: list[Watcher] = []
        self.is_measured = True
        self.uids: array[int] = array("I")
        self._gone: list[tuple[int, int]] = []  # (modseq, uid)
        self._recent_from = 1
        self._fill()

    # ------------------------------------------------------------ what is there

    def lay(self, sheets: Sequence[Sheet], uidnext: int) -> None:
        """These are there now, sorted by UID. A message that was there keeps the flags a user gave it."""
        known = {sheet.uid: sheet for sheet in self.sheets}
        there = {sheet.uid for sheet in sheets}
        gone = [uid for uid in known if uid not in there]
        if gone:
            self._take(gone)
        changed = [
            one for sheet in sheets if (one := known.get(sheet.uid)) is not None and one.keywords != sheet.keywords
        ]
        if changed:
            words = {sheet.uid: sheet.keywords for sheet in sheets}
            self.highest_modseq += 1
            for one in changed:
                one.keywords = words[one.uid]
                one.flags = one.flags & _SYSTEM_BITS | self._bits(one.keywords)
                one.modseq = self.highest_modseq
            self._fill()
            self._tell(lambda watcher: watcher.flags_changed([one.uid for one in changed], self.highest_modseq, None))
        new = [sheet for sheet in sheets if sheet.uid not in known]
        self.uidnext = max(uidnext, self.uidnext)
        if new:
            self.highest_modseq += 1
            for sheet in new:
                sheet.flags |= self._bits(sheet.keywords)
                sheet.modseq = self.highest_modseq
            self.sheets = sorted([*self.sheets, *new], key=lambda sheet: sheet.uid)
            self.uids.extend(sheet.uid for sheet in new)
            if list(self.uids) != sorted(self.uids):
                self.uids = array("I", [sheet.uid for sheet in self.sheets])
            self._fill()
            self._tell(lambda watcher: watcher.arrived(len(self.uids)))

    def _bits(self, names: Iterable[str]) -> int:
        return sum(1 << FIRST_KEYWORD_BIT + self.keywords.index(name) for name in names if name in self.keywords)

    def _take(self, uids: Sequence[int]) -> None:
        self.highest_modseq += 1
        going = set(uids)
        self._gone += [(self.highest_modseq, uid) for uid in uids]
        self.sheets = [sheet for sheet in self.sheets if sheet.uid not in going]
        self.uids = array("I", [sheet.uid for sheet in self.sheets])
        self._fill()
        self._tell(lambda watcher: watcher.expunged(uids, self.highest_modseq))

    def _fill(self) -> None:
        self.flags: array[int] = array("Q", [sheet.flags for sheet in self.sheets])
        self.modseqs: array[int] = array("Q", [sheet.modseq for sheet in self.sheets])
        self.sizes: array[int] = array("I", [sheet.size for sheet in self.sheets])
        self.dates: array[int] = array("q", [sheet.date for sheet in self.sheets])
        self.zones: array[int] = array("h", [0] * len(self.sheets))

    def _tell(self, say: Callable[[Watcher], None]) -> None:
        for watcher in list(self.watchers):
            say(watcher)

    def die(self, text: str) -> None:
        """The folder is no more."""
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            watcher.vanished(text)

    def chosen(self, uids: Sequence[int]) -> list[Sheet]:
        """Those of ``uids`` that are there, by UID."""
        wanted = set(uids)
        return [sheet for sheet in self.sheets if sheet.uid in wanted]

    def status(self) -> MailboxStatus:
        """What STATUS tells."""
        return MailboxStatus(
            messages=len(self.sheets),
            recent=len(self.uids) - bisect.bisect_left(self.uids, self._recent_from),
            uidnext=self.uidnext,
            uidvalidity=self.uidvalidity,
            unseen=sum(not sheet.flags & SEEN for sheet in self.sheets),
            highest_modseq=self.highest_modseq,
            size=sum(self.sizes),
            deleted=sum(bool(sheet.flags & DELETED) for sheet in self.sheets),
            mailbox_id=self.mailbox_id,
        )

    # ------------------------------------------------------------ ports.store.Mailbox

    @property
    def rights(self) -> frozenset[str]:
        return rights.ALL

    async def advance(self) -> int:
        self.highest_modseq += 1
        return self.highest_modseq

    def watch(self, watcher: Watcher) -> None:
        if watcher not in self.watchers:
            self.watchers.append(watcher)

    def release(self, watcher: Watcher) -> None:
        if watcher in self.watchers:
            self.watchers.remove(watcher)

    def claim_recent(self, *, peek: bool = False) -> int:
        first = self._recent_from
        if not peek:
            self._recent_from = self.uidnext
        return first

    async def refresh(self) -> None:
        """Nothing changes behind our back."""

    async def measure(self, uids: Sequence[int]) -> None:
        """All sizes are known."""

    async def written(self, lowest: int) -> None:
        """All dates are."""

    async def rows(
        self, uids: Sequence[int], columns: Sequence[Column | Fields]
    ) -> AsyncIterator[Sequence[tuple[int, Sequence[bytes]]]]:
        kinds = [kind_of(column) for column in columns]
        wanted = list(dict.fromkeys(kind for kind in kinds if kind is not None))
        sheets = self.chosen(uids)
        for start in range(0, len(sheets), BATCH):
            batch = sheets[start : start + BATCH]
            made: dict[int, dict[str, bytes]] = {sheet.uid: {} for sheet in batch}
            if wanted:
                made = await self.workers.run("disk", render_all, batch, wanted)
            found = []
            for sheet in batch:
                if sheet.uid in made:
                    pairs = zip(columns, kinds, strict=True)
                    found.append((sheet.uid, [_value(sheet, made[sheet.uid], *pair) for pair in pairs]))
            if found:
                yield found

    async def files(self, uids: Sequence[int]) -> AsyncIterator[Sequence[MessageFile]]:
        for sheet in self.chosen(uids):
            opened = await open_sheet(self.workers, sheet)
            if opened is not None:
                yield [opened]

    async def mark(
        self,
        uids: Sequence[int],
        action: FlagAction,
        flags: Iterable[str],
        unchanged_since: int | None = None,
        by: Watcher | None = None,
    ) -> Flagged:
        if self.read_only:
            raise StoreError(Problem.NOT_ALLOWED, "this mailbox is read-only")
        # Keywords say how a message stands, and are ours to set; system flags are the user's.
        bits = sum({_SYSTEM[flag.lower()] for flag in flags if flag.lower() in _SYSTEM})
        changed: list[Sheet] = []
        conflicting: list[int] = []
        for sheet in self.chosen(uids):
            if unchanged_since is not None and sheet.modseq > unchanged_since:
                conflicting.append(sheet.uid)
                continue
            low = sheet.flags & _SYSTEM_BITS
            after = {
                FlagAction.REPLACE: bits,
                FlagAction.ADD: low | bits,
                FlagAction.REMOVE: low & ~bits,
            }[action]
            if after != low:
                sheet.flags = sheet.flags - low + after
                changed.append(sheet)
        if changed:
            self.highest_modseq += 1
            for sheet in changed:
                sheet.modseq = self.highest_modseq
            self._fill()
            marked = [sheet.uid for sheet in changed]
            self._tell(lambda watcher: watcher.flags_changed(marked, self.highest_modseq, by))
        return Flagged(tuple(sheet.uid for sheet in changed), tuple(conflicting), self.highest_modseq)

    async def expunge(self, uids: Sequence[int] | None = None) -> tuple[int, ...]:
        if self.read_only:
            raise StoreError(Problem.NOT_ALLOWED, "this mailbox is read-only")
        among = None if uids is None else set(uids)
        going = [sheet.uid for sheet in self.sheets if sheet.flags & DELETED and (among is None or sheet.uid in among)]
        return await self.remove(going) if going else ()

    async def remove(self, uids: Sequence[int]) -> tuple[int, ...]:
        """The user wants these gone; returns what has gone. Raises StoreError."""
        raise StoreError(Problem.NOT_ALLOWED, "what is in this folder cannot be removed")

    async def copy(self, uids: Sequence[int], target: str, *, move: bool = False) -> Copied:
        raise StoreError(Problem.NOT_ALLOWED, "what is in this folder stays here")

    async def vanished_since(self, modseq: int) -> tuple[int, ...] | None:
        if modseq < self._first_modseq:
            return None
        return tuple(sorted(uid for when, uid in self._gone if when > modseq))

    async def search(self, key: keys.SearchKey, among: Sequence[int], recent_from: int) -> Sequence[int]:
        now = int(self.clock.seconds())
        if not needs_text(key):
            return [sheet.uid for sheet in self.chosen(among) if self._matches(key, sheet, b"", recent_from, now)]
        found: list[int] = []
        slices = Slices(self.clock)
        for sheet in self.chosen(among):

            def judge(octets: Octets, sheet: Sheet = sheet) -> bool:
                return self._matches(key, sheet, octets, recent_from, now)

            try:
                if sheet.is_large:
                    hit = await self.workers.run("disk", sheet.look, judge)
                else:
                    octets = await self.workers.run("disk", sheet.look, bytes) if sheet.path else sheet.octets
                    slices.begin()
                    hit = judge(octets)
            except OSError:
                continue  # it has left meanwhile
            if hit:
                found.append(sheet.uid)
            await slices.breathe()
        return found

    def _matches(self, key: keys.SearchKey, sheet: Sheet, octets: Octets, recent_from: int, now: int) -> bool:
        """One message against the tree of keys (ports.store.Mailbox.search)."""

        def asked(part: keys.SearchKey) -> bool:
            return self._matches(part, sheet, octets, recent_from, now)

        match key:
            case keys.All():
                return True
            case keys.And(parts):
                return all(map(asked, parts))
            case keys.Or(left, right):
                return asked(left) or asked(right)
            case keys.Not(inner):
                return not asked(inner)
            case keys.HasFlag(bit):
                return sheet.uid >= recent_from if bit == RECENT else bool(sheet.flags & bit)
            case keys.HasKeyword(name):
                return name.lower() in (word.lower() for word in sheet.keywords)
            case keys.InHeader(name, needle):
                return in_header(octets, name, casemap(needle))
            case keys.InBody(needle) | keys.InText(needle):
                return not needle or in_text(octets, casemap(needle), whole=isinstance(key, keys.InText))
            case keys.InternalDate(order, day) | keys.SavedDate(order, day):
                return _compare(sheet.date // DAY, order, day)
            case keys.SentDate(order, day):
                sent = sent_day(octets)
                return sent is not None and _compare(sent, order, day)
            case keys.Age(seconds, younger):
                return sheet.date >= now - seconds if younger else sheet.date <= now - seconds
            case keys.Size(limit, larger):
                return sheet.size > limit if larger else sheet.size < limit
            case keys.ModSeq(value):
                return sheet.modseq >= value
            case keys.Among(ranges):
                return any(low <= sheet.uid <= high for low, high in ranges)
        raise TypeError(f"{key!r} does not belong into the store")


def _value(sheet: Sheet, made: dict[str, bytes], column: Column | Fields, kind: str | None) -> bytes:
    if kind is not None:
        return made[kind]
    return b"%d" % sheet.size if column is Column.SIZE else render_internaldate(sheet.date)


def needs_text(key: keys.SearchKey) -> bool:
    """Must the messages themselves be read?"""
    match key:
        case keys.And(parts):
            return any(map(needs_text, parts))
        case keys.Or(left, right):
            return needs_text(left) or needs_text(right)
        case keys.Not(inner):
            return needs_text(inner)
    return isinstance(key, keys.InHeader | keys.InBody | keys.InText | keys.SentDate)


def _compare(value: int, order: str, wanted: int) -> bool:
    if order == "before":
        return value < wanted
    return value >= wanted if order == "since" else value == wanted
