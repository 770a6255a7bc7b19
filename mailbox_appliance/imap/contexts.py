"""Searches whose results are kept up to date while the mailbox is selected (RFC 5267 §4.3).

A context remembers what it told. When the client may hear of changes, the messages that changed are asked again, and
what came in or fell out is told as ADDTO and REMOVEFROM: with position 0 for a SEARCH, which has no order, and with the
place in the list, one by one, for a SORT.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Sequence

from mailbox_appliance.mail.search import SearchKey
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.imap.commands import Criterion
from mailbox_appliance.wire.imap.sets import say_set
from mailbox_appliance.wire.imap.strings import string

MOST_CONTEXTS = 10  # of one session

Find = Callable[[SearchKey, Sequence[int]], Awaitable[Sequence[int]]]
Order = Callable[[tuple[Criterion, ...], Sequence[int]], Awaitable[Sequence[int]]]
Number = Callable[[int], int]


@dataclass(slots=True)
class Context:
    """``told`` are UIDs in the order of the answer. ``uids``: the client wants UIDs and no message numbers."""

    key: SearchKey
    uids: bool
    order: tuple[Criterion, ...]
    told: array[int]

    def forget(self, tag: bytes, gone: set[int], number: Number) -> bytes:
        """REMOVEFROM for what is expunged, to be said while the numbers still hold."""
        return self._changed(tag, [uid for uid in self.told if uid not in gone], number)

    async def renew(self, tag: bytes, touched: Sequence[int], find: Find, order: Order, number: Number) -> bytes:
        """Ask ``touched`` (rising) again; what is to be told, or nothing."""
        matching = set(await find(self.key, touched))
        had = set(self.told)
        asked = set(touched)
        now: Sequence[int] = sorted((had - asked) | matching)
        if self.order:
            now = await order(self.order, now)
        elif had == set(now):
            return b""
        return self._changed(tag, now, number)

    def _changed(self, tag: bytes, now: Sequence[int], number: Number) -> bytes:
        kept, wanted = set(now), list(now)
        removed = [uid for uid in self.told if uid not in kept]
        had = set(self.told)
        added = [uid for uid in now if uid not in had]
        said = []
        if self.order:
            left = list(self.told)
            for uid in removed:
                place = left.index(uid)
                del left[place]
                said.append(b"REMOVEFROM (%d %d)" % (place + 1, uid if self.uids else number(uid)))
            said += [b"ADDTO (%d %d)" % (now.index(uid) + 1, uid if self.uids else number(uid)) for uid in added]
        else:
            for word, uids in ((b"REMOVEFROM", sorted(removed)), (b"ADDTO", sorted(added))):
                if uids:
                    numbers = uids if self.uids else [number(uid) for uid in uids]
                    said.append(b"%b (0 %b)" % (word, say_set(numbers)))
        self.told = array("I", wanted)
        if not said:
            return b""
        return b"* ESEARCH (TAG %b)%b %b\r\n" % (string(tag), b" UID" if self.uids else b"", b" ".join(said))
