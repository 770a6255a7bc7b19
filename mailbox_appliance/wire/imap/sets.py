"""Sets of message numbers and UIDs: read, resolved against a sorted array of UIDs, and said (RFC 3501 §9).

A resolved set is a *selection*: disjoint, sorted ranges ``(low, high)`` of places in the array, ``high`` not included.
Everything that works on messages works on such ranges, so ``1:*`` of 100,000 messages costs nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from mailbox_appliance.mail.search import SequenceSet
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor

Selection = list[tuple[int, int]]

_SET = re.compile(rb"[0-9*:,]+")
_MOST = (1 << 32) - 1


def read_set(cursor: Cursor, *, uids: bool) -> SequenceSet:
    """sequence-set, or "$" (RFC 5182). Raises BadSyntax."""
    if cursor.skip(b"$"):
        return SequenceSet((), uids, saved=True)
    found = _SET.match(cursor.octets, cursor.at)
    if found is None:
        raise BadSyntax("expected a set of message numbers")
    cursor.at = found.end()
    ranges: list[tuple[int | None, int | None]] = []
    for piece in found[0].split(b","):
        first, colon, last = piece.partition(b":")
        low = _number(first)
        ranges.append((low, _number(last) if colon else low))
    return SequenceSet(tuple(ranges), uids)


def partial_range(cursor: Cursor) -> tuple[int, int]:
    """partial-range (RFC 9394 §4): two numbers, both from the beginning or both ("-1:-100") from the end."""
    from_end = cursor.comes(b"-")
    numbers = []
    for sign in (b"", b":"):
        cursor.expect(sign)
        if from_end:
            cursor.expect(b"-")
        numbers.append(cursor.nonzero())
    low, high = sorted(numbers)
    return (-low, -high) if from_end else (low, high)


def _number(digits: bytes) -> int | None:
    if digits == b"*":
        return None
    if not digits.isdigit() or len(digits) > 10 or not 0 < (value := int(digits)) <= _MOST:
        raise BadSyntax("this is no set of message numbers")
    return value


def select_numbers(ranges: Iterable[tuple[int | None, int | None]], count: int, *, lenient: bool = False) -> Selection:
    """Message numbers of a mailbox with ``count`` messages. Raises BadSyntax for a number it does not have.

    "*" in an empty mailbox selects nothing. ``lenient``: numbers beyond the end select nothing.
    """
    chosen: Selection = []
    for first, last in ranges:
        if not count and (first is None or last is None):
            continue
        low = count if first is None else first
        high = count if last is None else last
        if low > high:
            low, high = high, low
        if high > count:
            if not lenient:
                raise BadSyntax("there is no message of that number")
            high = count
        if low <= high:
            chosen.append((low - 1, high))
    return merged(chosen)


def select_uids(ranges: Iterable[tuple[int | None, int | None]], uids: Sequence[int], count: int) -> Selection:
    """UIDs among the first ``count`` of ``uids`` (sorted); those not there are left out.

    ``n:*`` with n beyond the end means the last message (RFC 3501 §9, seq-range).
    """
    if not count:
        return []
    top = uids[count - 1]
    chosen: Selection = []
    for first, last in ranges:
        low = top if first is None else first
        high = top if last is None else last
        if low > high:
            low, high = high, low
        start = bisect_left(uids, low, 0, count)
        stop = bisect_right(uids, high, start, count)
        if start < stop:
            chosen.append((start, stop))
    return merged(chosen)


def merged(ranges: Selection) -> Selection:
    """The same places as sorted, disjoint, non-touching ranges."""
    if len(ranges) < 2:
        return ranges
    ranges.sort()
    done = [ranges[0]]
    for low, high in ranges[1:]:
        if low <= done[-1][1]:
            if high > done[-1][1]:
                done[-1] = (done[-1][0], high)
        else:
            done.append((low, high))
    return done


def sliced(selection: Selection, start: int, stop: int) -> Selection:
    """The places from the ``start``-th chosen one up to the ``stop``-th, not included."""
    chosen: Selection = []
    for low, high in selection:
        first, last = low + max(start, 0), min(low + stop, high)
        if first < last:
            chosen.append((first, last))
        start -= high - low
        stop -= high - low
    return chosen


def window(partial: tuple[int, int], count: int) -> tuple[int, int]:
    """The slice of ``count`` results that PARTIAL asks for; negative numbers count from the end (RFC 9394 §3.1)."""
    first, last = partial
    if first > 0:
        return min(first - 1, count), min(last, count)
    return max(count + last, 0), max(count + first + 1, 0)


def common(one: Selection, other: Selection) -> Selection:
    """The places that are in both."""
    both: Selection = []
    rest = iter(other)
    low, high = next(rest, (0, 0))
    for first, last in one:
        while high and low < last:
            if max(low, first) < min(high, last):
                both.append((max(low, first), min(high, last)))
            if high > last:
                break
            low, high = next(rest, (0, 0))
    return both


def size_of(selection: Selection) -> int:
    """How many places."""
    return sum(high - low for low, high in selection)


def places(selection: Selection) -> Iterable[int]:
    """Every place, in order."""
    for low, high in selection:
        yield from range(low, high)


def pick(selection: Selection, uids: Sequence[int]) -> Sequence[int]:
    """The UIDs at these places."""
    if len(selection) == 1:
        low, high = selection[0]
        return uids[low:high]
    picked: list[int] = []
    for low, high in selection:
        picked += uids[low:high]
    return picked


def say_set(numbers: Iterable[int]) -> bytes:
    """Numbers as a set with ranges: ``1:3,5``; nothing gives b"".

    Their order is kept (COPYUID's two lists run in step, RFC 4315 §3): only what runs up by one becomes a range.
    """
    pieces: list[str] = []
    start = previous = -2
    for number in numbers:
        if number == previous + 1:
            previous = number
            continue
        if start > 0:
            pieces.append(f"{start}:{previous}" if previous > start else str(start))
        start = previous = number
    if start > 0:
        pieces.append(f"{start}:{previous}" if previous > start else str(start))
    return ",".join(pieces).encode("ascii")


def as_ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Sorted numbers as disjoint ranges, both ends included (mail.search.Among)."""
    ranges: list[tuple[int, int]] = []
    start = previous = -2
    for number in numbers:
        if number != previous + 1:
            if start >= 0:
                ranges.append((start, previous))
            start = number
        previous = number
    if start >= 0:
        ranges.append((start, previous))
    return tuple(ranges)
