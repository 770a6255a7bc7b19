"""SEARCH: keys against arrays first, then against texts, on what the cheaper keys have left.

Exact meaning: substrings under i;unicode-casemap (RFC 5051) in decoded headers and bodies. Header fields that people
search often lie casemapped in the index, where one query finds the needle; everything else is read from the files.
``candidates`` asks the word index, which narrows down who is read and never changes who matches.
"""

from __future__ import annotations

import bisect
import re
import sqlite3
from array import array
from collections.abc import Callable, Sequence
from itertools import compress
from typing import TYPE_CHECKING

from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.dates import parse_date
from mailbox_appliance.mail.header import first, header_end
from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT, RECENT, system_octets
from mailbox_appliance.mail.text import casemap, field_texts
from mailbox_appliance.slices import Slices
from mailbox_appliance.store import message_rows, rendered, rendering, texts, words
from mailbox_appliance.store.files import batches, read_files
from mailbox_appliance.store.keywords import number_of

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

DAY = 86400
BATCH = 2048
INDEXED = 16384  # rows of the index asked in one statement
LACKING = 512  # messages rendered before they are looked at and let go
_ONE = re.compile(b"\1")

Uids = Sequence[int]


async def search(box: OpenMailbox, key: keys.SearchKey, among: Uids, recent_from: int) -> Uids:
    """ports.store.Mailbox.search."""
    box.account.pulse.touch()
    await box.written(0)
    asked = _Question(box, recent_from, int(box.account.clock.seconds()))
    if among is not box.uids:
        held = box.uids
        among = [held[at] for at in box.positions(among)]
    found = await asked.matching(key, among)
    return found[:] if found is box.uids else found


def _octets_of(flags: array[int], bit: int, *, has: bool) -> bytes:
    """An octet for each message: 1 where ``bit`` is set (or is not)."""
    table = bytes((number & bit != 0) == has for number in range(256))
    return system_octets(flags).translate(table)


def _picked(uids: Uids, chosen: bytes) -> list[int]:
    """Those whose octet is 1."""
    if chosen.count(1) * 8 > len(chosen):
        return list(compress(uids, chosen))
    return [uids[at.start()] for at in _ONE.finditer(chosen)]


def cost(key: keys.SearchKey) -> int:
    """How dear a key is: 0 arrays, 1 the index, 2 headers, 3 whole messages."""
    match key:
        case keys.And(parts):
            return max(map(cost, parts), default=0)
        case keys.Or(left, right):
            return max(cost(left), cost(right))
        case keys.Not(inner):
            return cost(inner)
        case keys.SavedDate():
            return 1
        case keys.InHeader(name, _):
            return 1 if name in rendering.SEARCHED else 2
        case keys.SentDate():
            return 2
        case keys.InBody() | keys.InText():
            return 3
        case _:
            return 0


class _Question:
    """One SEARCH: what holds for all its keys."""

    def __init__(self, box: OpenMailbox, recent_from: int, now: int) -> None:
        self._box = box
        self._recent_from = recent_from
        self._now = now
        self._slices = Slices(box.account.clock)

    async def matching(self, key: keys.SearchKey, uids: Uids) -> Uids:
        """Those of ``uids`` (sorted) that match, sorted."""
        if not uids:
            return uids
        at_once = self._at_once(key, uids)
        if at_once is not None:
            return at_once
        match key:
            case keys.All():
                return uids
            case keys.And(parts):
                for part in sorted(parts, key=cost):
                    uids = await self.matching(part, uids)
                return uids
            case keys.Or(left, right):
                if cost(right) < cost(left):
                    left, right = right, left
                found = set(await self.matching(left, uids))
                found.update(await self.matching(right, [uid for uid in uids if uid not in found]))
                return [uid for uid in uids if uid in found]
            case keys.Not(inner):
                found = set(await self.matching(inner, uids))
                return [uid for uid in uids if uid not in found]
            case keys.InHeader(name, needle):
                return await self._in_header(name, casemap(needle), uids)
            case keys.InBody(needle):
                return await self._in_texts(casemap(needle), uids, whole=False)
            case keys.InText(needle):
                return await self._in_texts(casemap(needle), uids, whole=True)
            case keys.SentDate(order, day):
                return await self._sent(order, day, uids)
            case keys.SavedDate(order, day):
                return await self._saved(order, day, uids)
            case keys.Size():
                await self._box.measure(uids)
                return await self._in_arrays(self._test(key), uids)
            case _:
                return await self._in_arrays(self._test(key), uids)

    def _test(self, key: keys.SearchKey) -> Callable[[int], bool]:
        """A test on the place in the arrays."""
        box = self._box
        flags, sizes, dates, zones, modseqs, uids = box.flags, box.sizes, box.dates, box.zones, box.modseqs, box.uids
        match key:
            case keys.HasFlag(bit):
                if bit == RECENT:
                    return lambda at: uids[at] >= self._recent_from
                return lambda at: flags[at] & bit != 0
            case keys.HasKeyword(name):
                number = number_of(box.keywords, name)
                if number is None:
                    return lambda at: False
                mask = 1 << FIRST_KEYWORD_BIT + number
                return lambda at: flags[at] & mask != 0
            case keys.InternalDate(order, day):
                start, end = day * DAY, (day + 1) * DAY
                if order == "before":
                    return lambda at: dates[at] + zones[at] * 60 < start
                if order == "since":
                    return lambda at: dates[at] + zones[at] * 60 >= start
                return lambda at: start <= dates[at] + zones[at] * 60 < end
            case keys.Age(seconds, younger):
                moment = self._now - seconds
                return (lambda at: dates[at] >= moment) if younger else (lambda at: dates[at] <= moment)
            case keys.Size(octets, larger):
                return (lambda at: sizes[at] > octets) if larger else (lambda at: sizes[at] < octets)
            case keys.ModSeq(value):
                return lambda at: modseqs[at] >= value
            case keys.Among(ranges):
                return lambda at: any(low <= uids[at] <= high for low, high in ranges)
            case _:
                raise TypeError(f"{key!r} does not belong into the store")

    async def _in_arrays(self, test: Callable[[int], bool], uids: Uids) -> Uids:
        found: list[int] = []
        box = self._box
        for start in range(0, len(uids), BATCH):
            # Positions are asked anew in every slice: messages may go while others work.
            held = box.uids
            found += [held[at] for at in box.positions(uids[start : start + BATCH]) if test(at)]
            if self._slices.spent():
                await self._slices.breathe()
        return found

    def _at_once(self, key: keys.SearchKey, uids: Uids) -> Uids | None:
        """What whole arrays tell without a look at each message, for all messages; None: look at each."""
        box = self._box
        if uids is not box.uids:
            return None
        match key:
            case keys.HasFlag(bit) if bit < RECENT:
                return _picked(uids, _octets_of(box.flags, bit, has=True))
            case keys.Not(keys.HasFlag(bit)) if bit < RECENT:
                return _picked(uids, _octets_of(box.flags, bit, has=False))
            case keys.InternalDate(order, day) if order in ("before", "since") and not any(box.zones):
                start = day * DAY
                dates = box.dates
                chosen = map(start.__gt__, dates) if order == "before" else map(start.__le__, dates)
                return list(compress(uids, chosen))
            case keys.Among(ranges) if len(ranges) < 1000:
                found: list[int] = []
                for low, high in sorted(ranges):
                    if low > (found[-1] if found else 0):
                        found += uids[bisect.bisect_left(uids, low) : bisect.bisect_right(uids, high)]
                    elif high > found[-1]:
                        found += uids[bisect.bisect_right(uids, found[-1]) : bisect.bisect_right(uids, high)]
                return found
        return None

    # ------------------------------------------------------------ texts

    async def _in_header(self, name: str, needle: str, uids: Uids) -> Uids:
        if name in rendering.SEARCHED and needle:
            return await self._in_index(f"text:{name}", needle, uids)

        def test(octets: bytes) -> bool:
            texts = field_texts(octets[: header_end(octets)], name)
            return any(needle in casemap(text) for text in texts) if needle else next(texts, None) is not None

        return await self._reading(test, uids, rendering.HEAD)

    async def _in_index(self, kind: str, needle: str, uids: Uids) -> Uids:
        box = self._box
        tables = await rendering.register(box, [kind])
        wanted = needle.encode("utf-8", "surrogatepass")
        found: set[int] = set()
        for start in range(0, len(uids), INDEXED):
            batch = uids[start : start + INDEXED]
            lacking = batch
            if kind in tables:
                number, table = box.number, tables[kind]

                def work(
                    connection: sqlite3.Connection, number: int = number, table: int = table, batch: Uids = batch
                ) -> tuple[list[int], list[int]]:
                    return rendered.find_rendered(connection, number, table, batch, wanted)

                matching, lacking = await box.account.read(work)
                found.update(matching)
            for at in range(0, len(lacking), LACKING):
                made = await rendering.make(box, lacking[at : at + LACKING], [kind])
                found.update(uid for uid, value in made[kind].items() if wanted in value)
                self._slices.begin()
        return [uid for uid in uids if uid in found]

    async def _in_texts(self, needle: str, uids: Uids, *, whole: bool) -> Uids:
        if not needle:
            return uids
        found, unsure = await self.candidates(needle, uids, whole=whole)
        if unsure:
            found = [*found, *await texts.matching(self._box, needle, unsure, whole=whole)]
            found.sort()
        return found

    async def candidates(self, needle: str, uids: Uids, *, whole: bool) -> tuple[list[int], Uids]:
        """Who has ``needle`` in the text for certain, and who else may have it and is to be read."""
        box = self._box
        if not box.account.settings.word_index or not words.runs_of(needle):
            return [], uids
        number, known = box.number, box.account.vocabularies.of(str(box.account.address))

        def work(connection: sqlite3.Connection) -> words.Found | None:
            return words.find(connection, number, needle, uids, known, header=whole)

        asked = await box.account.run(work)
        self._slices.begin()
        if asked is None:
            return [], uids
        if words.is_exact(needle):
            return sorted(asked.holding), sorted(asked.unread)
        return [], sorted(asked.holding | asked.unread)

    async def _sent(self, order: str, day: int, uids: Uids) -> Uids:
        def test(octets: bytes) -> bool:
            value = first(octets, "date")
            sent = parse_date(value) if value else None
            return sent is not None and _compare(sent.day, order, day)

        return await self._reading(test, uids, rendering.HEAD)

    async def _saved(self, order: str, day: int, uids: Uids) -> Uids:
        number = self._box.number
        saved = dict(await self._box.account.run(lambda connection: message_rows.saved_of(connection, number, uids)))
        return [uid for uid in uids if uid in saved and _compare(saved[uid] // DAY, order, day)]

    async def _reading(self, test: Callable[[bytes], bool], uids: Uids, most: int) -> Uids:
        """Those whose octets (the first ``most``, more if the header is longer) pass the test."""
        box = self._box
        found: list[int] = []
        heads = most == rendering.HEAD
        limits = {"octets": 1 << 40, "messages": 200} if heads else {}
        for batch in batches(box, uids, **limits):
            read, _ = await box.account.disk(read_files, box.account.index, box.folder, box.number, batch, {}, most)
            self._slices.begin()
            for one in read:
                octets = one.octets
                if heads and len(octets) == most and header_end(octets) == most:
                    octets = await rendering.longer_head(box, one.uid)
                    self._slices.begin()
                if test(octets):
                    found.append(one.uid)
                if self._slices.spent():
                    await self._slices.breathe()
        return found


def _compare(value: int, order: str, wanted: int) -> bool:
    if order == "before":
        return value < wanted
    return value >= wanted if order == "since" else value == wanted
