"""Sequence numbers of one session: what its client has been told, whatever has happened to the mailbox since.

A client knows messages by their place in the list it was told of; the list may lose messages only at moments the
protocol allows (RFC 3501 §7.4.1, RFC 2180). The *view* is the first ``count`` of ``uids``. ``uids`` is the mailbox's
own array as it was when the client was last told of expunges: it grows in place, and an expunge replaces it, so a view
costs nothing while nothing is expunged and one shared old array while something is.

Invariant: ``uids[:count]`` is exactly the client's list, message number n being ``uids[n-1]``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence


class Tracker:
    """One session's view of one mailbox."""

    __slots__ = ("_gone", "_recent", "count", "uids")

    def __init__(self, uids: array[int]) -> None:
        self.uids = uids
        self.count = len(uids)
        self._gone: set[int] = set()
        self._recent: list[tuple[int, int]] = []  # UIDs, both ends included, rising

    # ------------------------------------------------------------ the view

    def place(self, uid: int) -> int:
        """The place (message number - 1) of ``uid`` in the view, or -1."""
        place = bisect_left(self.uids, uid, 0, self.count)
        return place if place < self.count and self.uids[place] == uid else -1

    def places(self, uids: Sequence[int]) -> list[int]:
        """The places of rising ``uids``, all of them in the view."""
        view, count = self.uids, self.count
        if not uids:
            return []
        low, high = self.place(uids[0]), self.place(uids[-1])
        if low >= 0 and high - low == uids[-1] - uids[0]:  # no UID is missing between them
            shift = low - uids[0]
            return [uid + shift for uid in uids]
        found = []
        for uid in uids:
            low = bisect_left(view, uid, max(low, 0), count)
            found.append(low)
        return found

    @property
    def last_uid(self) -> int:
        """The highest UID the client knows, 0 if it knows none."""
        return self.uids[self.count - 1] if self.count else 0

    # ------------------------------------------------------------ what happens

    def expunged(self, uids: Sequence[int]) -> None:
        """Take note that these are gone from the mailbox; the client is told later."""
        last = self.last_uid
        self._gone.update(uid for uid in uids if uid <= last)

    @property
    def owes_expunges(self) -> bool:
        """Is there an expunge that the client has not heard of?"""
        return bool(self._gone)

    def differs(self, uids: array[int]) -> bool:
        """Is there anything to tell?"""
        return bool(self._gone) or uids is not self.uids or len(uids) != self.count

    def is_gone(self, uid: int) -> bool:
        """Has this message of the view been expunged?"""
        return uid in self._gone

    def tell_expunges(self, uids: array[int]) -> tuple[list[int], list[int]]:
        """Bring the view up to ``uids`` (the mailbox's array now), new messages excepted.

        Returns the message numbers for EXPUNGE in the order to say them (each is right after those before it), and
        the UIDs gone, rising, for VANISHED.
        """
        last = self.last_uid
        count = bisect_right(uids, last)
        gone = sorted(uid for uid in self._gone if self.place(uid) >= 0)
        if self.count - len(gone) != count:
            # The notes do not add up to what is there: the arrays are right.
            left = set(uids[:count])
            gone = [uid for uid in self.uids[: self.count] if uid not in left]
        numbers = [self.place(uid) + 1 for uid in reversed(gone)]
        self.uids = uids
        self.count = count
        self._gone.clear()
        return numbers, gone

    def grow(self, uids: array[int]) -> bool:
        """Take new messages into the view if it can be done now; True when the client must be told EXISTS."""
        if self._gone:
            return False
        if uids is not self.uids:
            # Only messages that the client never heard of were expunged: the new array begins with the same view.
            if bisect_right(uids, self.last_uid) != self.count:
                return False
            self.uids = uids
        if len(uids) <= self.count:
            return False
        self.count = len(uids)
        return True

    # ------------------------------------------------------------ \\Recent

    def claim(self, first: int) -> None:
        """Messages of the view with UIDs from ``first`` on are \\Recent for this session."""
        last = self.last_uid
        if first > last:
            return
        if self._recent and first <= self._recent[-1][1] + 1:
            self._recent[-1] = (min(self._recent[-1][0], first), last)
        else:
            self._recent.append((first, last))

    def is_recent(self, uid: int) -> bool:
        """Is \\Recent one of its flags here?"""
        return any(low <= uid <= high for low, high in self._recent)

    @property
    def recent_from(self) -> int:
        """No UID below this one is \\Recent."""
        return self._recent[0][0] if self._recent else 1 << 32

    @property
    def recent_ranges(self) -> tuple[tuple[int, int], ...]:
        """UIDs that are \\Recent, both ends included."""
        return tuple(self._recent)

    @property
    def recent_count(self) -> int:
        """For RECENT."""
        uids, count = self.uids, self.count
        return sum(bisect_right(uids, high, 0, count) - bisect_left(uids, low, 0, count) for low, high in self._recent)
