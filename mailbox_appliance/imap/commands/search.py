"""SEARCH and UID SEARCH (RFC 3501 §6.4.4; RFC 4731 ESEARCH, RFC 5182 SEARCHRES, RFC 7162 §3.1.5 MODSEQ)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from mailbox_appliance.imap.commands.chosen import chosen_uids
from mailbox_appliance.imap.notify import Notices
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Done, Row, State
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.mailbox import RECENT
from mailbox_appliance.wire.imap import commands, sets
from mailbox_appliance.wire.imap.search import searching
from mailbox_appliance.wire.imap.strings import string

_CHUNK = 5000


def resolved(session: Session, key: keys.SearchKey) -> keys.SearchKey:
    """The key as the store understands it: message numbers, "*", "$" and \\Recent become UIDs.

    Raises BadSyntax for a message number that there is not.
    """
    match key:
        case keys.SequenceSet():
            return keys.Among(sets.as_ranges(chosen_uids(session, key)))
        case keys.HasFlag(bit) if bit == RECENT:
            return keys.Among(session.box.tracker.recent_ranges)
        case keys.And(members):
            return keys.And(tuple([resolved(session, member) for member in members]))
        case keys.Or(left, right):
            return keys.Or(resolved(session, left), resolved(session, right))
        case keys.Not(inner):
            return keys.Not(resolved(session, inner))
    return key


async def search(session: Session, command: commands.Search) -> Done:
    """Ask the store, answer in the old form or as ESEARCH."""
    box = session.box
    tracker = box.tracker
    if command.modseq:
        session.enable("CONDSTORE")
    try:
        key = resolved(session, command.key)
        among = tracker.uids if len(tracker.uids) == tracker.count else tracker.uids[: tracker.count]
        found = await session.cancellable(box.mailbox.search(key, among, tracker.recent_from))
        # What arrived while the store searched is not ours to name yet.
        found = found[: bisect_right(found, tracker.last_uid)]
    except BaseException:
        if command.give is not None and "SAVE" in command.give:
            session.saved = []  # RFC 5182 §2.1: a failed SAVE leaves nothing
        raise
    numbers = found if command.uids else await _numbers(session, box, found)
    if command.give is None:
        await _say_search(session, command, numbers, _highest(box, found) if command.modseq else 0)
    else:
        _say_esearch(session, command, command.give, numbers, found, box)
    return Done("Searched.")


async def _numbers(session: Session, box: Notices, found: Sequence[int]) -> Sequence[int]:
    """Message numbers of UIDs; found ones that are gone meanwhile have none."""
    uids, count = box.tracker.uids, box.tracker.count
    if len(found) == count:
        return range(1, count + 1)
    numbers: list[int] = []
    place = 0
    for start in range(0, len(found), _CHUNK):
        for uid in found[start : start + _CHUNK]:
            place = bisect_left(uids, uid, place, count)
            if place < count and uids[place] == uid:
                numbers.append(place + 1)
        await session.room()
    return numbers


def _highest(box: Notices, found: Sequence[int]) -> int:
    """The highest modification sequence among these messages."""
    if not found:
        return 0
    wanted = set(found)
    pairs = zip(box.mailbox.uids, box.mailbox.modseqs, strict=False)
    return max((modseq for uid, modseq in pairs if uid in wanted), default=0)


async def _say_search(session: Session, command: commands.Search, numbers: Sequence[int], modseq: int) -> None:
    session.say(b"* SEARCH")
    for start in range(0, len(numbers), _CHUNK):
        session.say(f" {' '.join(map(str, numbers[start : start + _CHUNK]))}".encode("ascii"))
        if start + _CHUNK < len(numbers):
            await session.room()
    session.say(b" (MODSEQ %d)\r\n" % modseq if modseq else b"\r\n")


def _say_esearch(
    session: Session,
    command: commands.Search,
    give: frozenset[str],
    numbers: Sequence[int],
    found: Sequence[int],
    box: Notices,
) -> None:
    """ESEARCH; with SAVE, MIN and MAX alone save only these (RFC 5182 §2.4)."""
    items = []
    told: Sequence[int] = found
    if numbers:
        if "MIN" in give:
            items.append(b"MIN %d" % numbers[0])
        if "MAX" in give:
            items.append(b"MAX %d" % numbers[-1])
        if "ALL" in give:
            items.append(b"ALL %b" % sets.say_set(numbers))
        if not give & {"ALL", "COUNT"} and give & {"MIN", "MAX"}:
            ends = (found[0],) if "MIN" in give else ()
            told = sorted({*ends, found[-1]}) if "MAX" in give else ends
    if "COUNT" in give:
        items.append(b"COUNT %d" % len(numbers))
    if command.modseq and found:
        items.append(b"MODSEQ %d" % _highest(box, told))
    if "SAVE" in give:
        session.saved = list(told)
        if give == {"SAVE"}:
            return  # nothing was asked to be told
    head = b"* ESEARCH (TAG %b)" % string(session.tag)
    session.say(head + (b" UID" if command.uids else b"") + b"".join([b" " + item for item in items]) + b"\r\n")


ROWS = (
    Row("SEARCH", State.SELECTED, searching(uids=False), search, expunges=False),
    Row("UID SEARCH", State.SELECTED, searching(uids=True), search),
)
