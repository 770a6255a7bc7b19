"""What SORT and THREAD ask of a mailbox's messages, kept in packed arrays while the mailbox is open (RFC 5256).

Text becomes its rank among all texts of the mailbox, so a message costs four octets a criterion. New messages only
extend the array of dates; ranks are made anew when something arrived. Everything here can be thrown away.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

from mailbox_appliance.imap.kept import Kept, Values
from mailbox_appliance.imap.session import Session
from mailbox_appliance.ports.store import Column
from mailbox_appliance.wire.imap.keys import SortKeys, read_sort_keys, read_thread_keys
from mailbox_appliance.wire.imap.threads import Threadable

_FIELDS = {name: index for index, name in enumerate(SortKeys._fields)}
CHUNK = 500


def kept_of(session: Session) -> Kept:
    """What is kept of the selected mailbox."""
    kept = session.house.kept
    mailbox = session.box.mailbox
    found = kept.get(mailbox)
    if found is None:
        found = kept[mailbox] = Kept()
    return found


async def values_of(session: Session, criterion: str, uids: Sequence[int]) -> Sequence[int]:
    """Comparable numbers for ``uids`` (rising), by a name of SortKeys or "arrival" or "size"."""
    mailbox = session.box.mailbox
    if criterion == "size":
        await mailbox.measure(uids)
    if criterion in ("arrival", "size"):
        values = mailbox.dates if criterion == "arrival" else mailbox.sizes
        return _picked(mailbox.uids, values, uids)
    if len(uids) * 4 < len(mailbox.uids) and criterion not in kept_of(session).criteria:
        texts = await _texts(session, criterion, uids)
        return _dated(session, uids, texts) if criterion == "sent" else _ranked(texts)
    kept = kept_of(session).criteria.get(criterion)
    if kept is None or not _covers(kept.uids, uids):
        kept = await _fill(session, criterion, kept)
    return _picked(kept.uids, kept.values, uids)


def _covers(have: array[int], uids: Sequence[int]) -> bool:
    return bool(have) and have[-1] >= uids[-1]


async def _fill(session: Session, criterion: str, old: Values | None) -> Values:
    mailbox = session.box.mailbox
    uids = mailbox.uids[:]
    if criterion == "sent" and old is not None and old.uids:
        new = uids[bisect_left(uids, old.uids[-1] + 1) :]
        texts = await _texts(session, criterion, new)
        left = _picked(old.uids, old.values, old.uids)
        values = Values(old.uids + new, array("q", [*left, *_dated(session, new, texts)]))
    else:
        texts = await _texts(session, criterion, uids)
        numbers = _dated(session, uids, texts) if criterion == "sent" else _ranked(texts)
        values = Values(uids, array("q" if criterion == "sent" else "I", numbers))
    kept_of(session).criteria[criterion] = values
    return values


def _picked(have: Sequence[int], values: Sequence[int], uids: Sequence[int]) -> Sequence[int]:
    """The values of ``uids``; 0 for one that is gone."""
    if len(have) == len(uids) and have[0] == uids[0] and have[-1] == uids[-1]:
        return values[: len(uids)]
    picked = []
    place = 0
    end = len(have)
    for uid in uids:
        place = bisect_left(have, uid, place, end)
        picked.append(values[place] if place < end and have[place] == uid else 0)
    return picked


def _dated(session: Session, uids: Sequence[int], texts: Sequence[bytes]) -> Sequence[int]:
    """Sent dates; INTERNALDATE where there is none (RFC 5256 §2.2)."""
    mailbox = session.box.mailbox
    arrivals = _picked(mailbox.uids, mailbox.dates, uids) if uids else ()
    return [int(text) if text else arrival for text, arrival in zip(texts, arrivals, strict=True)]


def _ranked(texts: Sequence[bytes]) -> Sequence[int]:
    ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    return [ranks[text] for text in texts]


async def _texts(session: Session, criterion: str, uids: Sequence[int]) -> list[bytes]:
    """One field of the keys, in step with ``uids``."""
    which = _FIELDS[criterion]
    found: dict[int, bytes] = {}
    async for batch in session.box.mailbox.rows(uids, [Column.SORTKEYS]):
        for start in range(0, len(batch), CHUNK):
            for uid, row in batch[start : start + CHUNK]:
                found[uid] = read_sort_keys(row[0])[which]
            await session.room()
    return [found.get(uid, b"") for uid in uids]


async def threadables(session: Session, uids: Sequence[int], numbers: Sequence[int]) -> list[Threadable]:
    """What THREAD compares, in step with ``uids``; the answer names ``numbers``. What is gone is left out."""
    mailbox = session.box.mailbox
    arrivals = dict(zip(uids, _picked(mailbox.uids, mailbox.dates, uids), strict=True)) if uids else {}
    named = dict(zip(uids, numbers, strict=True))
    found: list[Threadable] = []
    async for batch in mailbox.rows(uids, [Column.THREADKEYS]):
        for start in range(0, len(batch), CHUNK):
            for uid, row in batch[start : start + CHUNK]:
                sent, is_reply, subject, own, references = read_thread_keys(row[0])
                date = int(sent) if sent else arrivals[uid]
                found.append((named[uid], date, is_reply == b"1", subject, own, references))
            await session.room()
    return found
