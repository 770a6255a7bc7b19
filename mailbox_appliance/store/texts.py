"""Reading messages for their texts: to look for a needle, and to feed the word index on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.mime_scan import find_parts
from mailbox_appliance.mail.text import body_texts, casemap, field_texts
from mailbox_appliance.store import words
from mailbox_appliance.store.files import Read, batches, read_ahead, read_files
from mailbox_appliance.store.shielded import shielded
from mailbox_appliance.store.words import SEAM, Texts

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

TEXT_OCTETS = 64 * 1024 * 1024  # of one message; what lies behind is not searched
INDEXED_OCTETS = 4 * 1024 * 1024  # of one message; a larger one is not added to the word index
ADDED_AT_ONCE = 128  # messages; larger batches make a smaller index with less work
CHARACTERS_AT_ONCE = 3 << 19
LOOKED_AT = 2048


def texts_of(uid: int, octets: bytes) -> Texts:
    """The casemapped texts of one message. Texts are set apart by line ends."""
    header = "\n".join(map(casemap, field_texts(octets[: header_end(octets)])))
    return Texts(uid, header, "\n".join(map(casemap, body_texts(find_parts(octets), octets, overlap=SEAM))))


def holds(octets: bytes, needle: str, *, whole: bool) -> bool:
    """Is ``needle`` (casemapped) in one of the texts of the body, or (``whole``) in those of the header?"""
    if whole and any(needle in casemap(text) for text in field_texts(octets[: header_end(octets)])):
        return True
    parts = find_parts(octets)
    return any(needle in casemap(text) for text in body_texts(parts, octets, overlap=len(needle) + 8))


async def matching(box: OpenMailbox, needle: str, uids: Sequence[int], *, whole: bool) -> list[int]:
    """Those of ``uids`` that hold the needle, by reading them; their texts go into the word index, where they lack."""
    account = box.account
    lacking: set[int] = set()
    if account.settings.word_index and len(needle) < SEAM:
        lacking = set(await _lacking(box, uids))
    slices = box.slices()
    found: list[int] = []
    made: list[Texts] = []
    adding: Deferred[None] = succeed(None)  # while we read on, a worker adds what was read before
    characters = 0
    try:
        async for one in _each(box, uids):
            slices.begin()
            if one.uid in lacking and len(one.octets) <= INDEXED_OCTETS:
                texts = texts_of(one.uid, one.octets)
                made.append(texts)
                characters += len(texts.header) + len(texts.body)
                # A line end in the needle may be one between two texts: such a message is looked at again.
                hit = needle in texts.body or (whole and needle in texts.header)
                if hit and "\n" in needle:
                    hit = holds(one.octets, needle, whole=whole)
            else:
                hit = holds(one.octets, needle, whole=whole)
            if hit:
                found.append(one.uid)
            await slices.breathe()
            if len(made) >= ADDED_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
                await adding
                adding = shielded(_add(box, made, quietly=False))
                made, characters = [], 0
    finally:
        await adding
    await _add(box, made, quietly=False)
    return found


async def _each(box: OpenMailbox, uids: Sequence[int]) -> AsyncIterator[Read]:
    async with aclosing(read_ahead(box, uids, TEXT_OCTETS)) as reading:
        async for read, _ in reading:
            for one in read:
                yield one


async def feed_some(box: OpenMailbox, most: int) -> bool:
    """One step of what nobody waits for: texts of the newest messages that lack them. False: none does."""
    uids = box.fed.next(box.uids, LOOKED_AT)
    if not uids:
        return False
    waiting = await _lacking(box, uids, quietly=True)
    account, slices = box.account, box.slices()
    complete = len(waiting) <= most
    for batch in batches(box, waiting[-most:], messages=most):
        read, _ = await account.quietly.disk(
            read_files, account.index, box.folder, box.number, batch, {}, INDEXED_OCTETS + 1
        )
        slices.begin()
        made: list[Texts] = []
        for one in read:
            if not account.pulse.is_calm:
                complete = False
                break
            if len(one.octets) > INDEXED_OCTETS:
                made.append(Texts(one.uid, "", "X" * SEAM))  # too large to be added: read whenever it is searched
            else:
                made.append(texts_of(one.uid, one.octets))
            await slices.breathe()
        await _add(box, made, quietly=True)
        if not complete:
            break
    if complete:
        box.fed.done(uids)
    return True


async def _lacking(box: OpenMailbox, uids: Sequence[int], *, quietly: bool = False) -> list[int]:
    number = box.number
    ground = box.account.quietly if quietly else box.account
    return await ground.run(lambda connection: words.lacking(connection, number, uids))


async def _add(box: OpenMailbox, made: Sequence[Texts], *, quietly: bool) -> None:
    if not made:
        return
    number = box.number
    ground = box.account.quietly if quietly else box.account
    await ground.run(lambda connection: words.add(connection, number, made))
