"""How many messages one command may take, where the owner has set a limit (RFC 9738 MESSAGELIMIT).

A limited command takes the newest of the messages it names, from the highest UID down, and tells the lowest UID it has
come to; the client says the rest again. What must happen to all messages or to none is refused instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Done, Refused
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.search import SearchKey
from mailbox_appliance.wire.imap import responses, sets
from mailbox_appliance.wire.imap.sets import Selection

_TEXT = "Only the newest of the messages were taken, say the rest again."
_TOP = (1 << 32) - 1


def limit_of(session: Session) -> int:
    """Messages of one command; 0 = as many as there are."""
    return session.house.settings.messages_per_command


def newest_places(session: Session, selection: Selection) -> tuple[Selection, int]:
    """What of ``selection`` may be taken, and the lowest UID in it; 0 when that is all (RFC 9738 §3.1)."""
    limit = limit_of(session)
    count = sets.size_of(selection)
    if not limit or count <= limit:
        return selection, 0
    kept = sets.sliced(selection, count - limit, count)
    return kept, session.box.tracker.uids[kept[0][0]]


def newest(session: Session, uids: Sequence[int]) -> tuple[Sequence[int], int]:
    """The same of rising UIDs."""
    limit = limit_of(session)
    if not limit or len(uids) <= limit:
        return uids, 0
    kept = uids[len(uids) - limit :]
    return kept, kept[0]


def narrowed(session: Session, key: SearchKey, *, whole: bool) -> tuple[SearchKey, int]:
    """A resolved key that looks at no more messages than it may, and the lowest UID it looks at; 0 when that is all.

    Those that the top of the key leaves out (sets of messages, UIDAFTER, UIDBEFORE) are not counted. ``whole``: for
    SORT and THREAD, which are refused when they are too many (RFC 9738 §3.3). Raises Refused.
    """
    limit = limit_of(session)
    tracker = session.box.tracker
    if not limit or tracker.count <= limit:
        return key, 0
    places: Selection = [(0, tracker.count)]
    for member in key.keys if isinstance(key, keys.And) else (key,):
        if isinstance(member, keys.Among):
            places = sets.common(places, sets.select_uids(member.ranges, tracker.uids, tracker.count))
    _, lowest = newest_places(session, places)
    if lowest and whole:
        raise too_many(session)
    # What comes later belongs to a search that is kept up to date (RFC 5267), so there is no upper end.
    return (keys.And((keys.Among(((lowest, _TOP),)), key)), lowest) if lowest else (key, 0)


def check(session: Session, count: int, lowest: int = 0) -> None:
    """All or nothing: COPY, APPEND, FETCH of a PARTIAL range (RFC 9738 §3.1). Raises Refused."""
    limit = limit_of(session)
    if limit and count > limit:
        raise too_many(session, lowest)


def too_many(session: Session, lowest: int = 0) -> Refused:
    """The NO of a command that takes all its messages or none; ``lowest``: the UID a smaller one could begin with."""
    return Refused(f"At most {limit_of(session)} messages can be taken at once.", _code(session, lowest))


def told(session: Session, done: Done, lowest: int) -> Done:
    """The tagged OK, with the lowest UID that was taken; where it has a code already, a NO before it tells this one."""
    if not lowest:
        return done
    if done.code:
        session.say(responses.condition(b"NO", _TEXT, _code(session, lowest)))
        return done
    return replace(done, text=_TEXT, code=_code(session, lowest))


def _code(session: Session, lowest: int) -> bytes:
    """ "MESSAGELIMIT" SP message-limit [SP uniqueid]"""
    return b"MESSAGELIMIT %d %d" % (limit_of(session), lowest) if lowest else b"MESSAGELIMIT %d" % limit_of(session)
