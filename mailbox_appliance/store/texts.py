"""Reading messages for their texts: to look for a needle, and to feed the word index on the way.

Where there are processes for it (``store.sifters``), they read; the reactor only hands batches out and takes answers
in. Usually a mailbox has been fed to the word index before anybody searches it, when nobody wanted anything. If not,
the first search feeds what it reads, which takes two or three times as long as reading alone, and the next is answered
in milliseconds. Where very many messages have not been fed, searches only read, and feeding goes on beside them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.shielded import Held, shielded
from mailbox_appliance.store import words
from mailbox_appliance.store.changes import MailboxGone
from mailbox_appliance.store.files import Read, batches, read_ahead, read_files
from mailbox_appliance.store.sift import INDEXED_OCTETS, SEAM, TEXT_OCTETS, Texts, held_by, holds, texts_of
from mailbox_appliance.store.sifters import Sifted

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

ADDED_AT_ONCE = 128  # messages; larger batches make a smaller index with less work
CHARACTERS_AT_ONCE = 3 << 19
SIFTED_AT_ONCE = 128  # messages
SIFTED_OCTETS = 2 << 20
FEW = 8  # messages that are not worth a process
LOOKED_AT = 2048
FED_ALONG = 25_000  # messages that a search feeds on its way; some seconds
FED_ON_AT_ONCE = 64  # messages
LEAST_PAUSE = 0.02  # seconds


async def matching(box: OpenMailbox, needle: str, uids: Sequence[int], *, whole: bool) -> list[int]:
    """Those of ``uids`` that hold the needle, by reading them; their texts go into the word index, where they lack."""
    account = box.account
    lacking: set[int] = set()
    if account.settings.word_index and len(needle) < SEAM:
        lacking = set(await _lacking(box, uids))
    found: list[int] = []
    unread: Sequence[int] = uids
    if account.sifters.are_there and len(uids) > FEW:
        feeds = len(lacking) <= FED_ALONG
        box.feeds_along += feeds
        try:
            found, unread = await _sifted(box, needle, uids, lacking if feeds else set(), whole=whole)
        finally:
            box.feeds_along -= feeds
        if lacking:
            feed_on(box)
    if unread:
        found += await _read(box, needle, unread, lacking, whole=whole)
    return sorted(found)


async def _sifted(
    box: OpenMailbox, needle: str, uids: Sequence[int], lacking: set[int], *, whole: bool
) -> tuple[list[int], list[int]]:
    """Who holds the needle, and who could not be read."""
    todo = batches(box, uids, SIFTED_OCTETS, SIFTED_AT_ONCE)
    at_once = box.account.sifters.at_once
    under_way: deque[tuple[Deferred[Sifted], bool]] = deque()
    found: list[int] = []
    unread: list[int] = []
    adding: Deferred[None] = succeed(None)
    try:
        while True:
            while len(under_way) < at_once and (batch := next(todo, None)) is not None:
                feeds = not lacking.isdisjoint(batch)
                job = _sift(box, batch, needle, whole=whole, texts=feeds)
                under_way.append((Deferred.fromCoroutine(job), feeds))
            if not under_way:
                break
            asked, feeds = under_way.popleft()
            sifted = await asked
            found += sifted.found
            unread += sifted.unread
            if feeds:
                await adding
                made = [one for one in sifted.texts if one.uid in lacking]
                lacking.difference_update([one.uid for one in made])
                adding = shielded(_add(box, made, quietly=False))
    finally:
        for asked, _ in under_way:
            asked.addErrback(lambda failure: None)  # whoever asked has gone
        await adding
    return found, sorted(unread)


async def _sift(box: OpenMailbox, uids: Sequence[int], needle: str, *, whole: bool, texts: bool) -> Sifted:
    account = box.account
    return await account.quietly.ask(
        lambda: account.sifters.sift(account.index, box.folder, box.number, uids, needle, whole, texts)
    )


async def _read(box: OpenMailbox, needle: str, uids: Sequence[int], lacking: set[int], *, whole: bool) -> list[int]:
    """The same in the reactor, message by message."""
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
                hit = held_by(texts, one.octets, needle, whole=whole)
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
    if account.sifters.are_there and waiting:
        for batch in batches(box, waiting[-most:], SIFTED_OCTETS, SIFTED_AT_ONCE):
            sifted = await _sift(box, batch, "", whole=True, texts=True)
            known = {one.uid for one in sifted.texts}.union(sifted.unread)
            # Too large to be added, or with too long words: read whenever it is searched.
            large = [Texts(uid, "", "X" * SEAM) for uid in batch if uid not in known]
            await _add(box, [*sifted.texts, *large], quietly=True)
            if not account.pulse.is_calm and batch[-1] != waiting[-1]:
                complete = False
                break
        if complete:
            box.fed.done(uids)
        return True
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


def feed_on(box: OpenMailbox) -> None:
    """Somebody searches in texts, and most likely will again: feed the index whether others are at work or not.

    Half of the time at most, by a process of lower priority, in steps that keep the index from nobody for long.
    """
    if not box.feeds_on:
        box.feeds_on = True
        shielded(_feed_on(box)).addErrback(_feeding_failed, box)


async def _feed_on(box: OpenMailbox) -> None:
    account = box.account
    took = LEAST_PAUSE
    try:
        while box.watchers and not box.is_dead and account.sifters.are_there:
            pause: Deferred[None] = Deferred()
            account.clock.callLater(max(took, LEAST_PAUSE), pause.callback, None)
            await pause
            if box.feeds_along:
                continue
            async with Held(account.pulse.turn):
                began = account.clock.seconds()
                if not await feed_some(box, FED_ON_AT_ONCE):
                    break
                took = account.clock.seconds() - began
    finally:
        box.feeds_on = False


def _feeding_failed(failure: Failure, box: OpenMailbox) -> None:
    if isinstance(failure.value, Exception) and not isinstance(failure.value, (StoreError, MailboxGone)):
        box.account.journal.broken("store", failure.value)


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
