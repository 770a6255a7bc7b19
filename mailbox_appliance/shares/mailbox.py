"""A mailbox as one reader who is not its owner has it: the owner's open mailbox, with \\Seen marks of the reader's own.

One SharedMailbox serves all sessions of a reader. Its arrays keep step with the owner's (``shares.in_step``). A mark of
the reader's gets a modification sequence out of the owner's mailbox (``Mailbox.advance``), so that CONDSTORE and
QRESYNC stay exact: no change that a reader can see ever has a lower one than what he was told before.

RFC 4314 §4 says which right each command needs; here is where they are asked.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import cast

from twisted.internet.defer import DeferredLock

from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import DELETED, SEEN, SYSTEM_FLAGS, MailboxStatus, unseen_and_deleted
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.store import (
    Column,
    Copied,
    Fields,
    FlagAction,
    Flagged,
    Mailbox,
    MessageFile,
    Problem,
    StoreError,
    Watcher,
)
from mailbox_appliance.shares.in_step import InStep
from mailbox_appliance.shares.searching import matching
from mailbox_appliance.shares.seen import Place, SeenMarks
from mailbox_appliance.shielded import Held, shielded

NEVER_RECENT = 1 << 32  # \\Recent is the owner's affair
_WRITE = tuple(name for bit, name in SYSTEM_FLAGS if bit not in (SEEN, DELETED))
_SEEN, _DELETED = "\\Seen", "\\Deleted"

Copy = Callable[[Mailbox, Sequence[int], str, bool], Awaitable[Copied]]


def no_right(what: str) -> StoreError:
    """What to raise when the reader may know of the mailbox but not do that."""
    return StoreError(Problem.NO_RIGHT, f"you may not {what} in this mailbox")


class SharedMailbox(InStep):
    """ports.store.Mailbox for ``place.reader``; ``rights_now`` and ``name_now`` are asked each time."""

    def __init__(
        self,
        base: Mailbox,
        owner: Address,
        place: Place,
        marks: SeenMarks,
        rights_now: Callable[[], frozenset[str]],
        name_now: Callable[[], str],
        copying: Copy,
        left: Callable[[SharedMailbox], None],
        clock: Clock,
    ) -> None:
        super().__init__(base, clock)
        self._owner = owner
        self.place = place
        self.lock = DeferredLock()
        self._marks = marks
        self._rights_now = rights_now
        self._name_now = name_now
        self._copying = copying
        self._left = left
        self._held_at: int | None = None  # highest_modseq while a mark of ours is being written

    async def load(self) -> None:
        """Read the reader's marks; from here on the arrays are right. Raises StoreError, DatabaseTrouble."""
        self.base.watch(self)
        try:
            marks = await self._marks.of(self.place, self.base.uids[:])
        except BaseException:
            self.leave()
            raise
        if self.is_dead:
            raise StoreError(Problem.NO_SUCH_MAILBOX, "the mailbox is gone")
        try:
            await self._fill(marks)
        except BaseException:
            self.leave()
            raise

    # ------------------------------------------------------------ plain facts

    @property
    def owner(self) -> Address:
        """Whose mailbox it is."""
        return self._owner

    @property
    def rights(self) -> frozenset[str]:
        return self._rights_now()

    @property
    def name(self) -> str:
        return self._name_now()

    @property
    def read_only(self) -> bool:
        """Can the reader change nothing at all?"""
        return self.base.read_only or self.rights.isdisjoint("swte")

    @property
    def uidvalidity(self) -> int:
        return self.base.uidvalidity

    @property
    def uidnext(self) -> int:
        return self.base.uidnext

    @property
    def highest_modseq(self) -> int:
        highest = max(self.base.highest_modseq, 1)
        return highest if self._held_at is None else min(highest, self._held_at)

    @property
    def mailbox_id(self) -> str:
        return self.base.mailbox_id

    @property
    def keywords(self) -> Sequence[str]:
        return self.base.keywords

    @property
    def uids(self) -> array[int]:
        return self.base.uids

    @property
    def sizes(self) -> array[int]:
        return self.base.sizes

    @property
    def is_measured(self) -> bool:
        return self.base.is_measured

    @property
    def dates(self) -> array[int]:
        return self.base.dates

    @property
    def zones(self) -> array[int]:
        return self.base.zones

    def status(self) -> MailboxStatus:
        """What STATUS tells this reader; ``measure`` first."""
        unseen, deleted = unseen_and_deleted(self.flags)
        return MailboxStatus(
            messages=len(self.uids),
            recent=0,
            uidnext=self.uidnext,
            uidvalidity=self.uidvalidity,
            unseen=unseen,
            highest_modseq=self.highest_modseq,
            size=sum(self.sizes),
            deleted=deleted,
            mailbox_id=self.mailbox_id,
        )

    def check(self, right: str, what: str) -> None:
        """Raises StoreError when the reader lacks the right."""
        if self.is_dead:
            raise StoreError(Problem.NO_SUCH_MAILBOX, "this mailbox is gone; select another")
        if right not in self.rights:
            raise no_right(what)

    # ------------------------------------------------------------ watchers

    def release(self, watcher: Watcher) -> None:
        if watcher in self.watchers:
            self.watchers.remove(watcher)
            if not self.watchers:
                self.leave()

    def leave(self) -> None:
        """Nobody looks any longer."""
        if not self.is_dead:
            self.is_dead = True
            self._left(self)
            self.base.release(self)

    def rights_changed(self) -> None:
        """Something was given or taken: without "r" nobody stays."""
        if self._ready and not self.is_dead and "r" not in self.rights:
            self.base.release(self)
            self.vanished("you may not read this mailbox any longer")

    def vanished(self, text: str) -> None:
        self.is_dead = True
        self._left(self)
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            watcher.vanished(text)

    # ------------------------------------------------------------ reading

    def claim_recent(self, *, peek: bool = False) -> int:
        return NEVER_RECENT

    def refresh(self) -> Awaitable[None]:
        return self.base.refresh()

    def advance(self) -> Awaitable[int]:
        return self.base.advance()

    def measure(self, uids: Sequence[int]) -> Awaitable[None]:
        return self.base.measure(uids)

    def written(self, lowest: int) -> Awaitable[None]:
        return self.base.written(lowest)

    def rows(
        self, uids: Sequence[int], columns: Sequence[Column | Fields]
    ) -> AsyncIterator[Sequence[tuple[int, Sequence[bytes]]]]:
        self.check("r", "read")
        return self.base.rows(uids, columns)

    def files(self, uids: Sequence[int]) -> AsyncIterator[Sequence[MessageFile]]:
        self.check("r", "read")
        return self.base.files(uids)

    async def search(self, key: keys.SearchKey, among: Sequence[int], recent_from: int) -> Sequence[int]:
        self.check("r", "search")
        return await matching(self, key, among)

    async def vanished_since(self, modseq: int) -> tuple[int, ...] | None:
        return await self.base.vanished_since(modseq)

    # ------------------------------------------------------------ changing

    def mark(
        self,
        uids: Sequence[int],
        action: FlagAction,
        flags: Iterable[str],
        unchanged_since: int | None = None,
        by: Watcher | None = None,
    ) -> Awaitable[Flagged]:
        return shielded(self._mark(list(uids), action, list(flags), unchanged_since, by))

    async def _mark(
        self, uids: list[int], action: FlagAction, flags: list[str], unchanged_since: int | None, by: Watcher | None
    ) -> Flagged:
        """Flags without a right are passed over; with no right for any of them all is refused (RFC 4314 §4, STORE)."""
        rights = self.rights
        allowed = [_SEEN if flag.lower() == "\\seen" else flag for flag in flags if right_for(flag) in rights]
        if action is FlagAction.REPLACE:
            if rights.isdisjoint("swt"):
                raise no_right("change flags")
        elif flags and not allowed:
            raise no_right("change these flags")
        async with Held(self.lock):
            self.check("r", "change flags")
            conflicting: set[int] = set()
            if unchanged_since is not None:
                places = [(uid, self.position(uid)) for uid in uids]
                conflicting.update(uid for uid, at in places if at >= 0 and self.modseqs[at] > unchanged_since)
            changed: set[int] = set()
            for how, names in self._steps(action, allowed, rights):
                left = [uid for uid in uids if uid not in conflicting]
                # What happened since we compared is a conflict as well.
                guard = None if unchanged_since is None else self.base.highest_modseq
                done = await self.base.mark(left, how, names, guard, by)
                conflicting.update(done.conflicting)
                changed.update(done.changed)
            if "s" in rights and (action is FlagAction.REPLACE or _SEEN in allowed):
                wanted = _SEEN in allowed and action is not FlagAction.REMOVE
                changed.update(await self._set_seen([uid for uid in uids if uid not in conflicting], wanted, by))
        return Flagged(tuple(sorted(changed)), tuple(sorted(conflicting)), self.highest_modseq)

    def _steps(
        self, action: FlagAction, allowed: Sequence[str], rights: frozenset[str]
    ) -> list[tuple[FlagAction, tuple[str, ...]]]:
        """What is to be done to the owner's mailbox: never REPLACE, which would take the owner's own \\Seen."""
        shared = tuple(flag for flag in allowed if flag != _SEEN)
        if action is not FlagAction.REPLACE:
            return [(action, shared)] if shared else []
        named = {flag.lower() for flag in shared}
        others = [*_WRITE, *self.base.keywords, _DELETED]
        dropped = tuple(flag for flag in others if right_for(flag) in rights and flag.lower() not in named)
        steps = [(FlagAction.REMOVE, dropped), (FlagAction.ADD, shared)]
        return [(how, names) for how, names in steps if names]

    async def set_seen(self, uids: Sequence[int], seen: bool) -> None:
        """Mark messages that came in by the reader's own hand. Raises StoreError."""
        async with Held(self.lock):
            await self._set_seen(uids, seen, None)

    async def _set_seen(self, uids: Sequence[int], seen: bool, by: Watcher | None) -> Sequence[int]:
        bit = SEEN if seen else 0
        wanted = [uid for uid in uids if (at := self.position(uid)) >= 0 and self.flags[at] & SEEN != bit]
        if not wanted:
            return wanted
        # Nobody is told of a higher one before the mark has its place: he would miss the mark when he comes back.
        self._held_at = self.base.highest_modseq
        try:
            modseq = await self.base.advance()
            await self._marks.keep(self.place, wanted, seen, modseq)
        finally:
            self._held_at = None
        return self._put_seen(wanted, seen, modseq, by)

    def expunge(self, uids: Sequence[int] | None = None) -> Awaitable[tuple[int, ...]]:
        self.check("e", "expunge messages")
        return self.base.expunge(uids)

    def copy(self, uids: Sequence[int], target: str, *, move: bool = False) -> Awaitable[Copied]:
        return self._copying(as_mailbox(self), uids, target, move)


def right_for(flag: str) -> str:
    """The right that a flag needs (RFC 4314 §4)."""
    return {"\\seen": "s", "\\deleted": "t"}.get(flag.lower(), "w")


def as_mailbox(shared: SharedMailbox) -> Mailbox:
    """It is one, but for its plain facts being properties."""
    return cast(Mailbox, shared)
