"""A reader's \\Seen marks laid over the owner's flags: arrays of his own, made in slices when he opens the mailbox."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

from mailbox_appliance.mail.mailbox import SEEN
from mailbox_appliance.ports.store import Mailbox
from mailbox_appliance.shares.seen import Mark
from mailbox_appliance.slices import Slices

ALL_BUT_SEEN = (1 << 64) - 1 - SEEN
_STEP = 4096
_FEW = 256


async def overlay(base: Mailbox, marks: Sequence[Mark], slices: Slices | None) -> tuple[array[int], array[int]]:
    """Flags and modification sequences as they are at the call; ``marks`` by rising UID. None: without a pause."""
    uids, theirs, modseqs = base.uids[:], base.flags[:], base.modseqs[:]
    flags: array[int] = array("Q")
    for start in range(0, len(theirs), _STEP):
        flags.extend(map(ALL_BUT_SEEN.__and__, theirs[start : start + _STEP]))
        if slices is not None:
            await slices.breathe()
    at = 0
    for start in range(0, len(marks), _FEW):
        for mark in marks[start : start + _FEW]:
            at = bisect_left(uids, mark.uid, at)
            if at == len(uids):
                break
            if uids[at] == mark.uid:
                flags[at] |= SEEN if mark.seen else 0
                modseqs[at] = max(modseqs[at], mark.modseq)
        if slices is not None:
            await slices.breathe()
    return flags, modseqs
