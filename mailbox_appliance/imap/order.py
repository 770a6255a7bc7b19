"""SORT's order (RFC 5256 §3, RFC 5957): stable sorts from the last criterion to the first, ties by message number."""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.sortkeys import values_of
from mailbox_appliance.wire.imap.commands import Criterion

_VALUES = {
    "ARRIVAL": "arrival",
    "CC": "cc",
    "DATE": "sent",
    "DISPLAYFROM": "display_from",
    "DISPLAYTO": "display_to",
    "FROM": "sender",
    "SIZE": "size",
    "SUBJECT": "subject",
    "TO": "to",
}


async def ordered(session: Session, order: tuple[Criterion, ...], found: Sequence[int]) -> Sequence[int]:
    """``found`` (UIDs, rising) as the criteria have it."""
    if len(found) < 2:
        return found
    places = list(range(len(found)))
    for name, reverse in reversed(order):
        if name == "RELEVANCY":
            continue  # all are alike (RFC 6203 §4)
        values = await values_of(session, _VALUES[name], found)
        places.sort(key=values.__getitem__, reverse=reverse)
        await session.room()
    return [found[place] for place in places]
