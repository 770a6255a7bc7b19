"""The port's real part: judges for an account with its own memory, the family's and the prior; learns and forgets.

All computing runs in the reactor and is short (about a millisecond a message); files are read and written by workers.
A lesson is shared half and half between the person's memory and the family's, so that what one teaches helps the
others at half strength, and a newcomer is not alone (the personal and the common weights of multitask hashing,
Weinberger et al. 2009).
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from array import array
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b

from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.journal.events.junk import FilterDead, Learnt, MemoryUnreadable, Unlearnt
from mailbox_appliance.junk import weighing
from mailbox_appliance.junk.explain import strongest
from mailbox_appliance.junk.features import READ_AT_MOST, Features, features_of
from mailbox_appliance.junk.memory import NO_SLOTS, Lesson, Memory, pack_views
from mailbox_appliance.junk.prior import Table, prior_score, shipped
from mailbox_appliance.junk.selftest import GTUBE, JUNK, PLAIN
from mailbox_appliance.junk.settings import JunkSettings
from mailbox_appliance.junk.turns import Turns
from mailbox_appliance.junk.weighing import Steps
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.junk import Judgement, Token
from mailbox_appliance.ports.workers import Busy, Workers

_TROUBLE = (OSError, DatabaseTrouble, sqlite3.Error, ValueError, Busy)
FILE = "junk.db"
# How much either kind of lesson must be there before the other kind is believed: half at this number.
_ENOUGH_WANTED = 10
_ENOUGH_JUNK = 5
_GONE_OVER = 4  # old lessons that are gone over with each new one
_MUST_BE_ALIKE = 2.2  # logits for each doubling of junk over wanted mail
_MOST_ALIKE = 7.0  # logits; and less at first, when all that was shown may be of one kind:
_ALIKE_AT_FIRST = 3.0
_ALIKE_A_LESSON = 0.1
_CHANCE = 4.0  # logits for junk that few words in common can make up, as long as little was taught
_FEW_JUNK = 8  # lessons about junk before they are heard in full
_LESSON_SAYS = 0.75  # logits at most of each, before that
_PRIOR_UNTIL = 100  # lessons at which the prior is heard half as much
_PRIOR_LEAST = 0.12  # less of it is not worth asking


class _Loaded:
    """One memory in use: its turns keep lessons in order, ``ready`` is set when it has been read."""

    __slots__ = ("memory", "ready", "turns", "users")

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.turns = Turns()
        self.ready = False
        self.users = 0


class StatisticalFilter:
    """Fits ports.junk.JunkFilter."""

    def __init__(self, settings: JunkSettings, workers: Workers, journal: FullJournal, clock: Clock) -> None:
        self.settings = settings
        self._workers = workers
        self._journal = journal
        self._clock = clock
        self._accounts: OrderedDict[str, _Loaded] = OrderedDict()
        self._prior: Table | None = None
        self._told: set[str] = set()

    # ------------------------------------------------------------ the port

    async def judge(
        self, account: Address | None, content: Content, seen: Iterable[str] = (), *, explain: bool = False
    ) -> Judgement:
        octets = await self._beginning(content)
        if GTUBE in octets:
            return Judgement(1.0, 30.0, (Token("GTUBE, the public test text", 30.0),))
        memories: list[Memory] = []
        trouble = ""
        for path in self._paths(account):
            try:
                memories.append(await self._reading(path))
            except _TROUBLE as error:
                trouble = str(error) or type(error).__name__
                self._tell_trouble(path, trouble)
        features = features_of(octets, seen, all_views=bool(_taught(memories)))
        return self._judged(features, memories, trouble, explain)

    async def learn(self, account: Address, octets: bytes, junk: bool, seen: Iterable[str] = ()) -> None:
        key = _key(account, octets)
        views = weighing.views_of(features_of(octets, seen))
        paths = self._paths(account)
        async with self._turn(paths[0]) as memory:
            await self._workers.run("disk", _make_folder, memory.path)
            known = await memory.lesson(key)
            if known is not None and known.junk != junk:
                await self._take_back(account, memory, key)
                known = None
            lesson = known or Lesson(key, int(self._clock.seconds()), junk, Steps(), NO_SLOTS)
            if known is None or any(known.slots):
                await self._teach(paths, memory, lesson, views, known is None)
            for old in await memory.some(_GONE_OVER):
                await self._teach(paths, memory, old, old.views(), False)
            aged = await memory.age(self._clock.seconds() - self.settings.remember, self.settings.most_octets)
        self._journal.tell(Learnt(account=str(account), junk=junk, lessons=memory.lessons, aged=aged))

    async def _teach(
        self, paths: Sequence[str], memory: Memory, lesson: Lesson, views: Sequence[array[int]], is_new: bool
    ) -> None:
        """Make a lesson right by the margin: half in the person's memory, half in the family's."""
        junk = lesson.junk
        family = await self._reading(paths[1]) if len(paths) > 1 else None
        weights = _taught([memory] if family is None else [memory, family])
        score = weighing.score_of(weights, views)
        if is_new and weighing.is_far(score, junk):
            await memory.add(lesson)
            return
        steps = weighing.steps_of(score, views, junk)
        mine, theirs = steps.halves() if family is not None else (steps, Steps())
        mine = mine.on_top_of(lesson.steps, junk)
        if is_new:
            lesson = replace(lesson, slots=pack_views(views))
            await memory.add(replace(lesson, steps=mine))
        elif mine:
            await memory.step(lesson, mine)
        if family is not None and theirs:
            await self._teach_family(paths[1], lesson, theirs)

    async def forget(self, account: Address, octets: bytes) -> bool:
        key = _key(account, octets)
        async with self._turn(self._paths(account)[0]) as memory:
            found = memory.lessons > 0 and await self._take_back(account, memory, key)
        if found:
            self._journal.tell(Unlearnt(account=str(account), lessons=memory.lessons))
        return found

    async def forget_contrary(self, account: Address, octets: bytes, junk: bool) -> bool:
        memory = await self._reading(self._paths(account)[0])
        known = await memory.lesson(_key(account, octets)) if memory.lessons else None
        return known is not None and known.junk != junk and await self.forget(account, octets)

    async def balance(self, account: Address) -> tuple[int, int]:
        memory = await self._reading(self._paths(account)[0])
        return memory.junk, memory.wanted

    async def self_test(self) -> bool:
        try:
            junk, plain = await self.judge(None, JUNK), await self.judge(None, PLAIN)
            prior = prior_score(self._table(), features_of(PLAIN.header + _octets(PLAIN)))
            reason = ""
            if not junk.is_junk:
                reason = "the test text GTUBE was not known for junk"
            elif plain.is_junk or prior >= 0:
                reason = "a plain letter was taken for junk"
            elif junk.trouble or plain.trouble:
                reason = junk.trouble or plain.trouble
        except Exception as error:  # noqa: BLE001 - whatever is broken, the answer is "dead"
            self._journal.broken("junk", error)
            reason = type(error).__name__
        if reason:
            self._journal.tell(FilterDead(reason=reason))
        return not reason

    # ------------------------------------------------------------ life

    async def stop(self) -> None:
        """Wait for lessons under way and close the files."""
        for loaded in list(self._accounts.values()):
            await loaded.turns.take()
            loaded.memory.close()
            loaded.turns.give()
        self._accounts.clear()

    def forget_account(self, account: Address) -> None:
        """The account was removed or its folder moved: let go of its file."""
        loaded = self._accounts.pop(self._paths(account)[0], None)
        if loaded is not None:
            loaded.memory.close()

    # ------------------------------------------------------------ inside

    def _paths(self, account: Address | None) -> list[str]:
        family = os.path.join(self.settings.family, "family.db")
        if account is None:
            return [family]
        own = os.path.join(self.settings.mail, account.domain, account.local.lower(), FILE)
        return [own, family] if self.settings.share else [own]

    def _table(self) -> Table:
        if self._prior is None:
            self._prior = shipped()
        return self._prior

    async def _beginning(self, content: Content) -> bytes:
        body = content.body
        if isinstance(body, SpooledBody):
            body = await self._workers.run("disk", _read_body, body, READ_AT_MOST)
        return content.header + body[:READ_AT_MOST]

    async def _reading(self, path: str) -> Memory:
        """The memory at ``path``, loaded; for reading its weights at once."""
        loaded = await self._loaded(path)
        loaded.users -= 1
        return loaded.memory

    async def _loaded(self, path: str) -> _Loaded:
        """The memory at ``path``, loaded, with one user more."""
        loaded = self._accounts.get(path)
        if loaded is None:
            loaded = self._accounts[path] = _Loaded(Memory(path, self._workers, self._clock))
        self._accounts.move_to_end(path)
        loaded.users += 1
        try:
            await self._make_ready(path, loaded)
        except BaseException:
            loaded.users -= 1
            raise
        if self._accounts.get(path) is not loaded:  # the one before us could not read it and put it away
            loaded.users -= 1
            return await self._loaded(path)
        self._let_go()
        return loaded

    async def _make_ready(self, path: str, loaded: _Loaded) -> None:
        if loaded.ready:
            return
        await loaded.turns.take()
        try:
            if not loaded.ready and self._accounts.get(path) is loaded:
                if await self._workers.run("disk", os.path.exists, path):
                    await loaded.memory.load()
                loaded.ready = True
        except BaseException:
            if self._accounts.get(path) is loaded:
                del self._accounts[path]
            loaded.memory.close()
            raise
        finally:
            loaded.turns.give()

    @contextlib.asynccontextmanager
    async def _turn(self, path: str) -> AsyncIterator[Memory]:
        """The memory at ``path`` for changing it: one lesson at a time."""
        loaded = await self._loaded(path)
        try:
            await loaded.turns.take()
            try:
                yield loaded.memory
            finally:
                loaded.turns.give()
        finally:
            loaded.users -= 1
            self._let_go()

    def _let_go(self) -> None:
        """Close the memories that have rested longest; the family's stays."""
        heavy = sum(not one.memory.is_blank for one in self._accounts.values())
        spare = max(heavy - self.settings.loaded - 1, len(self._accounts) - self.settings.known)
        for path in list(self._accounts) if spare > 0 else ():
            loaded = self._accounts[path]
            if loaded.memory.is_blank and len(self._accounts) <= self.settings.known:
                continue  # it costs next to nothing
            if spare > 0 and loaded.ready and not loaded.users and not path.startswith(self.settings.family):
                del self._accounts[path]
                loaded.memory.close()
                spare -= 1

    async def _teach_family(self, path: str, lesson: Lesson, steps: Steps) -> None:
        async with self._turn(path) as family:
            await self._workers.run("disk", _make_folder, path)
            known = await family.lesson(lesson.key)
            more = steps.on_top_of(known.steps if known is not None else Steps(), lesson.junk)
            if not more:
                return
            if known is not None:
                await family.step(known, more)
                return
            await family.add(replace(lesson, steps=more))
            await family.age(self._clock.seconds() - self.settings.remember, self.settings.family_octets)

    async def _take_back(self, account: Address, memory: Memory, key: bytes) -> bool:
        found = await memory.take_back(key)
        for path in self._paths(account)[1:]:
            async with self._turn(path) as family:
                if family.lessons:
                    await family.take_back(key)
        return found

    def _judged(self, features: Features, memories: Sequence[Memory], trouble: str, explain: bool) -> Judgement:
        weights = _taught(memories)
        taught = weighing.score_of(weights, weighing.views_of(features))
        junk = max([memory.junk for memory in memories], default=0)
        wanted = max([memory.wanted for memory in memories], default=0)
        known = min(junk, wanted * 2) / _PRIOR_UNTIL
        alone = 1.0 / (1.0 + known)  # 1 when nobody has taught anything
        # Who has only ever shown junk has not said what wanted mail looks like: then only more of the same is junk.
        if taught > 0:
            shortage = _ENOUGH_WANTED / (wanted + _ENOUGH_WANTED)
            # What all mail has in common counts as well then, and the more, the more the lessons are of one kind.
            excess = math.log2(1.0 + junk / (wanted + 1.0)) - 1.0
            most = min(_MOST_ALIKE, _ALIKE_AT_FIRST + _ALIKE_A_LESSON * junk)
            needed = min(most, _MUST_BE_ALIKE * max(0.0, excess))
            if len(memories) > 1 and not memories[0].lessons:
                needed /= 2.0  # the family alone speaks, with half a voice
            taught = max(0.0, taught - needed - _CHANCE * alone) * (1.0 + 2.0 * shortage * shortage)
            if junk < _FEW_JUNK:  # one slip of a finger must not send the next letter away
                taught = min(taught, junk * _LESSON_SAYS)
        else:  # and the other way round
            taught *= junk / (junk + _ENOUGH_JUNK)
        share = alone if alone > _PRIOR_LEAST else 0.0
        threshold = self.settings.first_threshold * alone + self.settings.threshold * (1.0 - alone)
        score = taught - threshold
        if share:
            score += share * prior_score(self._table(), features)
        tokens: tuple[Token, ...] = ()
        if explain:
            totals = weighing.totals(weights, features.reading)
            tokens = strongest(totals, self._table(), share, features, self.settings.tokens)
        return Judgement(
            weighing.probability(score),
            round(score, 3),
            tokens,
            memories[0].lessons if memories else 0,
            trouble,
        )

    def _tell_trouble(self, path: str, reason: str) -> None:
        if path not in self._told:
            self._told.add(path)
            self._journal.tell(MemoryUnreadable(path=path, reason=reason))


def _taught(memories: Iterable[Memory]) -> list[array[int]]:
    """The weights of those that have any."""
    return [memory.weights for memory in memories if not memory.is_blank]


def _key(account: Address, octets: bytes) -> bytes:
    """The name of a lesson: whose, and which message, whatever its line ends."""
    head = octets[: 2 * READ_AT_MOST].replace(b"\r\n", b"\n")[:READ_AT_MOST]
    return blake2b(head, digest_size=16, key=str(account.folded()).encode()[:64]).digest()


def _octets(content: Content) -> bytes:
    return content.body if isinstance(content.body, bytes) else b""


def _read_body(body: SpooledBody, most: int) -> bytes:
    with open(body.path, "rb") as file:
        file.seek(body.offset)
        return file.read(min(body.length, most))


def _make_folder(path: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
