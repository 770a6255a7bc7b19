"""Which messages a command means: its set resolved against what the client has been told (RFC 3501 §9, RFC 5182)."""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.imap.session import Session
from mailbox_appliance.mail.search import SequenceSet
from mailbox_appliance.wire.imap import sets
from mailbox_appliance.wire.imap.sets import Selection


def chosen_places(session: Session, messages: SequenceSet, *, lenient: bool = False) -> Selection:
    """Ranges of places in the session's view.

    Raises BadSyntax for a message number that there is not, unless ``lenient``: then it chooses nothing.
    """
    tracker = session.box.tracker
    if messages.saved:
        return sets.merged([(place, place + 1) for uid in session.saved if (place := tracker.place(uid)) >= 0])
    if messages.uids:
        return sets.select_uids(messages.ranges, tracker.uids, tracker.count)
    return sets.select_numbers(messages.ranges, tracker.count, lenient=lenient)


def chosen_uids(session: Session, messages: SequenceSet, *, lenient: bool = False) -> Sequence[int]:
    """The UIDs, rising."""
    places = chosen_places(session, messages, lenient=lenient)
    return sets.pick(places, session.box.tracker.uids) if places else ()
