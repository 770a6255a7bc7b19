"""SEARCH and SORT (RFC 3501 §6.4.4, RFC 5256, RFC 5957; RFC 4731 ESEARCH, RFC 5182 SEARCHRES, RFC 5267 CONTEXT).

SORT is a SEARCH whose answer has an order; RFC 7162 §3.1.5 adds MODSEQ to both.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from operator import eq, gt

from mailbox_appliance.imap import ration
from mailbox_appliance.imap.commands.chosen import chosen_uids
from mailbox_appliance.imap.commands.esearch import highest_of, say_esearch
from mailbox_appliance.imap.contexts import MOST_CONTEXTS, Context
from mailbox_appliance.imap.order import ordered
from mailbox_appliance.imap.patience import cancellable
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Done, Row, State
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.mailbox import RECENT
from mailbox_appliance.ports.store import Column
from mailbox_appliance.wire.imap import commands, parse, responses, sets
from mailbox_appliance.wire.imap.grammar import BadSyntax
from mailbox_appliance.wire.imap.search import searching, sorting
from mailbox_appliance.wire.imap.strings import string

_CHUNK = 5000


def resolved(session: Session, key: keys.SearchKey) -> keys.SearchKey:
    """The key as the store understands it: message numbers, "*", "$" and \\Recent become UIDs.

    A message number that there is not matches nothing (RFC 3501 §9 allows it nowhere else, and clients do it here).
    """
    match key:
        case keys.SequenceSet(uids=uids):
            if "UIDONLY" in session.enabled and not uids and not key.saved:
                raise BadSyntax("message numbers are not used here", b"UIDREQUIRED")
            return keys.Among(sets.as_ranges(chosen_uids(session, key, lenient=True)))
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
    """SEARCH or SORT: ask the store, put it in order, answer in the old form or as ESEARCH."""
    box = session.box
    if command.modseq:
        session.enable("CONDSTORE")
    if command.give is None and not command.order and "IMAP4REV2" in session.enabled:
        command = replace(command, give=frozenset({"ALL"}))  # RFC 9051 §6.4.4: the old answer is no more
    try:
        key, lowest = ration.narrowed(session, resolved(session, command.key), whole=bool(command.order))
        found = await find(session, key)
        if command.order:
            found = await ordered(session, command.order, found)
    except BaseException:
        if command.give is not None and "SAVE" in command.give:
            session.saved = []  # RFC 5182 §2.1: a failed SAVE leaves nothing
        raise
    numbers = found if command.uids else await numbers_of(session, found)
    if command.give is None:
        said = numbers[::-1] if lowest else numbers  # RFC 9738 §3.1: from the highest down
        await _say_list(session, command, said, highest_of(session, found) if command.modseq else 0)
        return ration.told(session, Done("Searched."), lowest)
    if "UPDATE" in command.give:
        if len(box.contexts) < MOST_CONTEXTS:
            box.renew = partial(_renew, session)
            box.contexts[session.tag] = Context(key, command.uids, command.order, array("I", found))
        else:
            session.say(responses.condition(b"NO", "Too many.", b"NOUPDATE %b" % string(session.tag)))
    say_esearch(session, command, numbers, found)
    return ration.told(session, Done("Searched."), lowest)


async def _known_ids(session: Session, key: keys.SearchKey, known: dict[str, keys.Among]) -> None:
    """The UIDs of every message id that the key names, into ``known``."""
    match key:
        case keys.And(members):
            for member in members:
                await _known_ids(session, member, known)
        case keys.Or(left, right):
            await _known_ids(session, left, known)
            await _known_ids(session, right, known)
        case keys.Not(inner):
            await _known_ids(session, inner, known)
        case keys.HasObjectId(value, thread=False) if value not in known:
            wanted = value.encode("ascii")
            found: list[int] = []
            tracker = session.box.tracker
            async for batch in session.box.mailbox.rows(tracker.uids[: tracker.count], [Column.EMAILID]):
                found += [uid for uid, row in batch if row[0] == wanted]
                await session.room()
            known[value] = keys.Among(sets.as_ranges(found))


def _with_ids(key: keys.SearchKey, known: dict[str, keys.Among]) -> keys.SearchKey:
    match key:
        case keys.And(members):
            return keys.And(tuple([_with_ids(member, known) for member in members]))
        case keys.Or(left, right):
            return keys.Or(_with_ids(left, known), _with_ids(right, known))
        case keys.Not(inner):
            return keys.Not(_with_ids(inner, known))
        case keys.HasObjectId(value, thread):
            return keys.Among(()) if thread else known[value]  # threads have no ids here (RFC 8474 §5.3)
    return key


async def find(session: Session, key: keys.SearchKey) -> Sequence[int]:
    """UIDs out of the session's view that match, rising; the client hears now and then that we are still at it."""
    known: dict[str, keys.Among] = {}
    await _known_ids(session, key, known)
    key = _with_ids(key, known)
    tracker = session.box.tracker
    among = tracker.uids if len(tracker.uids) == tracker.count else tracker.uids[: tracker.count]
    found = await cancellable(session, session.box.mailbox.search(key, among, tracker.recent_from))
    # What arrived while the store searched is not ours to name yet.
    return found[: bisect_right(found, tracker.last_uid)]


async def numbers_of(session: Session, found: Sequence[int]) -> Sequence[int]:
    """Message numbers of UIDs of the view, in their order."""
    tracker = session.box.tracker
    if len(found) == tracker.count and found and found[0] == tracker.uids[0] and found[-1] == tracker.last_uid:
        uids = tracker.uids
        if all(map(eq, found, uids)):
            return range(1, tracker.count + 1)
    numbers: list[int] = []
    rising = not any(map(gt, found, islice(found, 1, None)))
    for start in range(0, len(found), _CHUNK):
        chunk = found[start : start + _CHUNK]
        numbers += [place + 1 for place in (tracker.places(chunk) if rising else map(tracker.place, chunk))]
        await session.room()
    return numbers


async def _say_list(session: Session, command: commands.Search, numbers: Sequence[int], modseq: int) -> None:
    session.say(b"* SORT" if command.order else b"* SEARCH")
    for start in range(0, len(numbers), _CHUNK):
        session.say(f" {' '.join(map(str, numbers[start : start + _CHUNK]))}".encode("ascii"))
        if start + _CHUNK < len(numbers):
            await session.room()
    session.say(b" (MODSEQ %d)\r\n" % modseq if modseq else b"\r\n")


async def _renew(session: Session, touched: Sequence[int]) -> None:
    """What became of the searches that are kept up to date."""
    box = session.box

    async def find_among(key: keys.SearchKey, uids: Sequence[int]) -> Sequence[int]:
        return await cancellable(session, box.mailbox.search(key, uids, box.tracker.recent_from))

    known = [uid for uid in touched if box.tracker.place(uid) >= 0]
    for tag, context in list(box.contexts.items()):
        session.say(await context.renew(tag, known, find_among, partial(ordered, session), box.number_of))
        await session.room()


async def cancel_update(session: Session, command: commands.CancelUpdate) -> Done:
    """No more updates of these searches (RFC 5267 §4.3.4)."""
    for tag in command.tags:
        session.box.contexts.pop(tag, None)
    return Done("Cancelled.")


ROWS = (
    Row("SEARCH", State.SELECTED, searching(uids=False), search, expunges=False),
    Row("UID SEARCH", State.SELECTED, searching(uids=True), search),
    Row("SORT", State.SELECTED, sorting(uids=False), search, expunges=False),
    Row("UID SORT", State.SELECTED, sorting(uids=True), search),
    Row("CANCELUPDATE", State.SELECTED, parse.cancel_update, cancel_update),
)
