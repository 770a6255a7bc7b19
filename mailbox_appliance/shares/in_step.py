"""The arrays of a shared mailbox, which keep step with those of the owner's mailbox.

``flags`` and ``modseqs`` are the reader's own: the owner's, but for \\Seen. What happens in the owner's mailbox is done
to them, and what the reader can see of it is passed on to the reader's sessions.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import compress

from mailbox_appliance.mail.mailbox import SEEN
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.store import Mailbox, Problem, StoreError, Watcher
from mailbox_appliance.shares.overlay import ALL_BUT_SEEN, overlay
from mailbox_appliance.shares.seen import Mark
from mailbox_appliance.slices import Slices

_ATTEMPTS = 4


class InStep:
    """Most of a ports.store.Watcher of ``base``, the owner's open mailbox."""

    def __init__(self, base: Mailbox, clock: Clock) -> None:
        self.base = base
        self.flags: array[int] = array("Q")
        self.modseqs: array[int] = array("Q")
        self.watchers: list[Watcher] = []
        self.is_dead = False
        self._uids: array[int] = array("I")  # the owner's array that ours are in step with
        self._clock = clock
        self._ready = False
        self._stale = False  # the owner's mailbox has changed while our arrays were being made

    async def _fill(self, marks: Sequence[Mark]) -> None:
        """In slices; a change of the owner's mailbox meanwhile makes it begin again, at last without a pause."""
        slices: Slices | None = Slices(self._clock)
        for attempt in range(_ATTEMPTS):
            self._stale = False
            slices = slices if attempt < _ATTEMPTS - 1 else None
            self.flags, self.modseqs = await overlay(self.base, marks, slices)
            if self.is_dead:
                raise StoreError(Problem.NO_SUCH_MAILBOX, "the mailbox is gone")
            if not self._stale:
                break
        self._uids = self.base.uids
        self._ready = True

    def position(self, uid: int) -> int:
        """Where ``uid`` stands in the arrays, or -1."""
        at = bisect_left(self._uids, uid)
        return at if at < len(self._uids) and self._uids[at] == uid else -1

    def has_read(self, uid: int) -> bool:
        """Is the message \\Seen for this reader?"""
        at = self.position(uid)
        return at >= 0 and self.flags[at] & SEEN != 0

    def watch(self, watcher: Watcher) -> None:
        if watcher not in self.watchers:
            self.watchers.append(watcher)

    # ------------------------------------------------------------ ports.store.Watcher: the owner's mailbox has changed

    def arrived(self, count: int) -> None:
        if not self._ready:
            self._stale = True
            return
        self._uids = self.base.uids
        start = len(self.flags)
        self.flags.extend(map(ALL_BUT_SEEN.__and__, self.base.flags[start:count]))
        self.modseqs.extend(self.base.modseqs[start:count])
        for watcher in tuple(self.watchers):
            watcher.arrived(count)

    def expunged(self, uids: Sequence[int], modseq: int) -> None:
        if not self._ready:
            self._stale = True
            return
        keep = bytearray(b"\1") * len(self._uids)
        for uid in uids:
            at = self.position(uid)
            if at >= 0:
                keep[at] = 0
        self.flags = array("Q", compress(self.flags, keep))
        self.modseqs = array("Q", compress(self.modseqs, keep))
        self._uids = self.base.uids
        for watcher in tuple(self.watchers):
            watcher.expunged(uids, modseq)

    def flags_changed(self, uids: Sequence[int], modseq: int, by: object) -> None:
        if not self._ready:
            self._stale = True
            return
        told = []
        for uid in uids:
            at = self.position(uid)
            if at < 0:
                continue
            flags = self.base.flags[at] & ALL_BUT_SEEN | self.flags[at] & SEEN
            if flags != self.flags[at]:  # what the owner has read is not the reader's affair
                self.flags[at] = flags
                self.modseqs[at] = modseq
                told.append(uid)
        if told:
            for watcher in tuple(self.watchers):
                watcher.flags_changed(told, modseq, by)

    def keywords_changed(self) -> None:
        for watcher in tuple(self.watchers):
            watcher.keywords_changed()

    # ------------------------------------------------------------ the reader's own marks

    def _put_seen(self, uids: Sequence[int], seen: bool, modseq: int, by: Watcher | None) -> Sequence[int]:
        """Marks that are kept by now: arrays first, then the watchers. Returns the UIDs that are there."""
        bit = SEEN if seen else 0
        told = []
        for uid in uids:
            at = self.position(uid)
            if at >= 0:
                self.flags[at] = self.flags[at] & ALL_BUT_SEEN | bit
                self.modseqs[at] = max(modseq, self.modseqs[at])
                told.append(uid)
        for watcher in tuple(self.watchers) if told else ():
            watcher.flags_changed(told, modseq, by)
        return told
