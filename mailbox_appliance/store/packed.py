"""An open mailbox's messages in memory: packed arrays in step, sorted by UID, and what is done to them.

Nobody is told anything here: ``store.mailbox`` changes the arrays first and tells the watchers then.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Sequence
from itertools import compress

from twisted.internet.defer import Deferred, succeed

from mailbox_appliance.store.first import Numbered
from mailbox_appliance.store.message_rows import Arrays, MessageRow
from mailbox_appliance.store.unwritten import Unwritten


class PackedMessages:
    """The arrays that ports.store.Mailbox shows."""

    def __init__(self, arrays: Arrays) -> None:
        self.uids: array[int] = arrays.uids
        self.flags: array[int] = arrays.flags
        self.modseqs: array[int] = arrays.modseqs
        self.sizes: array[int] = arrays.sizes
        self.dates: array[int] = arrays.dates
        self.zones: array[int] = arrays.zones
        self.unwritten = Unwritten()

    def position(self, uid: int) -> int:
        """Where ``uid`` stands in the arrays, or -1."""
        at = bisect.bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def positions(self, uids: Sequence[int]) -> Sequence[int]:
        """Where sorted ``uids`` stand; those that are gone are left out."""
        if not uids or not len(self.uids):
            return ()
        first = bisect.bisect_left(self.uids, uids[0])
        stop = bisect.bisect_right(self.uids, uids[-1])
        if stop - first == len(uids) and self.uids[first:stop] == array("I", uids):
            return range(first, stop)
        if len(uids) < 50:
            return [at for at in map(self.position, uids) if at >= 0]
        places = {uid: at for at, uid in enumerate(self.uids[first:stop], first)}
        return [places[uid] for uid in uids if uid in places]

    def _add_rows(self, rows: Sequence[MessageRow]) -> None:
        self.uids.extend([row.uid for row in rows])
        self.flags.extend([row.flags for row in rows])
        self.modseqs.extend([row.modseq for row in rows])
        self.sizes.extend([row.size for row in rows])
        self.dates.extend([row.date for row in rows])
        self.zones.extend([row.zone for row in rows])

    def _add_crowd(self, numbered: Numbered) -> None:
        self.uids.extend(numbered.uids)
        self.flags.extend(numbered.flags)
        self.modseqs.extend(array("Q", [numbered.row.highest_modseq]) * len(numbered.uids))
        self.sizes.extend(numbered.sizes)
        self.dates.extend(numbered.dates)
        self.zones.extend(array("h", [0]) * len(numbered.uids))

    def rows_written(self, start: int, dates: Sequence[int]) -> None:
        """Those of a crowd have their rows from this place on, and their files have told these times."""
        self.dates[start : start + len(dates)] = array("q", dates)
        self.unwritten.reached(start)

    def written(self, lowest: int) -> Deferred[None]:
        """ports.store.Mailbox.written: is it time to ask the index for the rows of ``lowest`` and what is newer?"""
        return self.unwritten.wait(max(self.position(lowest), 0)) if self.unwritten else succeed(None)

    def _put_flags(self, changes: Sequence[tuple[int, int]], modseq: int) -> list[int]:
        """(uid, flags) as they are on disk now; returns the UIDs of those that are there, sorted."""
        wanted = dict(sorted(changes))
        places = self.positions(list(wanted))
        if isinstance(places, range) and places:
            self.flags[places.start : places.stop] = array("Q", wanted.values())
            self.modseqs[places.start : places.stop] = array("Q", [modseq]) * len(places)
            return list(wanted)
        told = [self.uids[at] for at in places]
        for at, uid in zip(places, told, strict=True):
            self.flags[at] = wanted[uid]
            self.modseqs[at] = modseq
        return told

    def _take_out(self, uids: Sequence[int]) -> list[int]:
        """New arrays without these (sorted); returns those that were there."""
        places = self.positions(uids)
        if not places:
            return []
        keep = bytearray(b"\1") * len(self.uids)
        for at in places:
            keep[at] = 0
        told = [self.uids[at] for at in places]
        for name in ("uids", "flags", "modseqs", "sizes", "dates", "zones"):
            old: array[int] = getattr(self, name)
            setattr(self, name, array(old.typecode, compress(old, keep)))
        return told
