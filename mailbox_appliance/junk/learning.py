"""What people do with their mail becomes lessons: told by the store (ports/habits), learnt in the background.

========================== ========================== =====================================================
from                       to                         lesson
========================== ========================== =====================================================
anything but Junk          Junk                       junk
Junk, Rejects              anything but Trash         wanted (moving back takes the lesson of junk back)
INBOX                      a folder of one's own      wanted: whoever files a letter wants it
keyword $Junk, Junk                                   junk
keyword $NotJunk, NotJunk                             wanted
keyword NonJunk                                       wanted, in Junk or where the contrary was learnt
========================== ========================== =====================================================

Most people only ever show junk, and a filter that has seen nothing else takes everything for it. So after a lesson of
junk, as long as those are more than the others, some letters that have stayed in INBOX are learnt as wanted: answered
or flagged ones, and what was read and kept for days. Whoever moves one to Junk later has changed his mind, no more.

``NonJunk`` is set by some mail programs on everything that their own filter lets pass: believed of every message it
would teach that whatever nobody has marked yet is wanted. What delivery itself marks is never a lesson.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from sqlite3 import Error as SqliteError

from twisted.internet.defer import CancelledError, Deferred

from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.journal.events.junk import LessonsLost, NotLearnt
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.authfields import seen_words
from mailbox_appliance.mail.mailbox import (
    ANSWERED,
    DELETED,
    FIRST_KEYWORD_BIT,
    FLAGGED,
    INBOX,
    SEEN,
    SpecialUse,
)
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.habits import Filed, Keyworded, Opened
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.junk import JunkFilter
from mailbox_appliance.ports.store import Bystander, Mailbox, Mailstore, StoreError, Stores
from mailbox_appliance.ports.workers import Busy

REJECTS = "Rejects"
MOST_WAITING = 2_000  # messages
AT_ONCE = 16
PAUSE = 0.02  # seconds between two lessons: whoever moves a thousand messages must not slow the others
READ = 1 << 17  # octets of a message
KEPT_AT_ONCE = 10  # kept letters that one lesson of junk brings with it
KEPT_FOR = 3 * 86_400.0  # seconds in INBOX after which a letter that was read counts as kept
_LOOKED_AT = 2_000  # the newest of INBOX
_MOST_ACCOUNTS = 100

_JUNK = frozenset({"$junk", "junk"})
_WANTED = frozenset({"$notjunk", "notjunk"})
_PERHAPS_WANTED = frozenset({"nonjunk"})
_TROUBLE = (OSError, DatabaseTrouble, SqliteError, ValueError, Busy, StoreError)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Messages to be learnt. ``only_contrary``: only where the opposite had been learnt. ``said`` False: nobody has
    said it; it is wanted mail to compare with."""

    account: Address
    mailbox: str
    uids: Sequence[int]
    junk: bool
    only_contrary: bool = False
    said: bool = True


def kind_of(name: str, use: SpecialUse | None) -> str:
    """What a mailbox is in the table above."""
    if name in (INBOX, REJECTS):
        return name
    words = {SpecialUse.JUNK: "Junk", SpecialUse.TRASH: "Trash", SpecialUse.DRAFTS: "Drafts", SpecialUse.SENT: "Sent"}
    return words.get(use, "own") if use is not None else "own"


def lesson_of(source: str, target: str) -> bool | None:
    """What filing from one kind of mailbox into another says: junk, wanted, or nothing."""
    if target == "Junk":
        return True if source != "Junk" else None
    if source in ("Junk", REJECTS):
        return False if target not in ("Trash", REJECTS) else None
    return False if source == INBOX and target == "own" else None


class Learner:
    """Fits ports.habits.Habits. One lesson at a time, all accounts in one line of bounded length."""

    def __init__(self, junk: JunkFilter, stores: Stores, clock: Clock, journal: FullJournal, hostname: str) -> None:
        self._filter = junk
        self._stores = stores
        self._clock = clock
        self._journal = journal
        self._hostname = hostname
        self.also: list[Callable[[Address, bytes, bool], Awaitable[None]]] = []  # who else learns from a lesson
        self._waiting: deque[Filed | Lesson] = deque()
        self._size = 0
        self._lost = 0
        self._taken: OrderedDict[Address, set[int]] = OrderedDict()
        self._working: Deferred[None] | None = None
        self._stopped = False

    # ------------------------------------------------------------ the port

    def filed(self, what: Filed) -> None:
        if what.source != what.target:
            self._add(what)

    def keyworded(self, what: Keyworded) -> None:
        words = {word.lower() for word in what.keywords}
        junk, wanted, perhaps = words & _JUNK, words & _WANTED, words & _PERHAPS_WANTED
        if bool(junk) is bool(wanted or perhaps):
            return
        self._add(Lesson(what.account, what.mailbox, what.uids, bool(junk), only_contrary=not junk and not wanted))

    def opened(self, what: Opened) -> None:
        pass

    # ------------------------------------------------------------ life

    async def stop(self) -> None:
        """End the lesson under way; what waits is forgotten."""
        self._stopped = True
        self._waiting.clear()
        if self._working is not None:
            self._working.cancel()
            self._working = None

    @property
    def is_idle(self) -> bool:
        """Nothing waits."""
        return self._working is None

    # ------------------------------------------------------------ inside

    def _add(self, what: Filed | Lesson) -> None:
        if self._stopped:
            return
        if self._size + len(what.uids) > MOST_WAITING:
            if not self._lost:
                self._journal.tell(LessonsLost(account=str(what.account), messages=len(what.uids)))
            self._lost += len(what.uids)
            return
        self._waiting.append(what)
        self._size += len(what.uids)
        if self._working is None:
            self._working = Deferred.fromCoroutine(self._work())
            self._working.addErrback(self._broken)

    def _broken(self, failure: object) -> None:
        self._working = None
        error = getattr(failure, "value", None)
        if isinstance(error, Exception) and not isinstance(error, CancelledError):
            self._journal.broken("junk", error)

    async def _work(self) -> None:
        await self._pause()  # whoever moved them gets his answer first
        while self._waiting:
            what = self._waiting.popleft()
            self._size -= len(what.uids)
            try:
                if await self._teach(what):
                    await self._teach_kept(what.account)
            except _TROUBLE as error:
                words = str(error) or type(error).__name__
                self._journal.tell(NotLearnt(account=str(what.account), reason=words[:250]))
        self._lost = 0
        self._working = None

    async def _pause(self) -> None:
        pause: Deferred[None] = Deferred()
        timer = self._clock.callLater(PAUSE, pause.callback, None)
        try:
            await pause
        finally:
            if timer.active():
                timer.cancel()

    async def _teach(self, what: Filed | Lesson) -> bool:
        """True when it was a lesson of junk."""
        store = await self._stores.of(what.account)
        lesson = what if isinstance(what, Lesson) else await self._lesson(store, what)
        if lesson is None:
            return False
        if lesson.only_contrary and await self._kind(store, lesson.mailbox) in ("Junk", REJECTS):
            lesson = Lesson(lesson.account, lesson.mailbox, lesson.uids, junk=False)
        watcher = Bystander()
        box = await store.open(lesson.mailbox, watcher, read_only=True)
        try:
            uids = sorted(lesson.uids)
            for start in range(0, len(uids), AT_ONCE):
                async for batch in box.files(uids[start : start + AT_ONCE]):
                    for file in batch:
                        try:
                            octets = await file.read(0, min(READ, file.size))
                        finally:
                            file.close()
                        await self._learn(lesson, octets)
                        await self._pause()
        finally:
            box.release(watcher)
        return lesson.junk

    async def _teach_kept(self, account: Address) -> None:
        """Wanted mail to compare with, where there is too little."""
        junk, wanted = await self._filter.balance(account)
        missing = min(junk - wanted, KEPT_AT_ONCE)
        if missing <= 0:
            return
        store = await self._stores.of(account)
        watcher = Bystander()
        box = await store.open(INBOX, watcher, read_only=True)
        try:
            uids = self._kept(account, box, missing)
        finally:
            box.release(watcher)
        if uids:
            await self._teach(Lesson(account, INBOX, uids, junk=False, said=False))

    def _kept(self, account: Address, box: Mailbox, most: int) -> list[int]:
        """The newest that nobody has marked as junk and that were not taken before, answered ones first."""
        marks = 0
        for number, word in enumerate(box.keywords):
            if word.lower() in _JUNK:
                marks |= 1 << FIRST_KEYWORD_BIT + number
        taken = self._taken.setdefault(account, set())
        self._taken.move_to_end(account)
        while len(self._taken) > _MOST_ACCOUNTS:
            self._taken.popitem(last=False)
        long_ago = self._clock.seconds() - KEPT_FOR
        sure: list[int] = []
        likely: list[int] = []
        for at in range(len(box.uids) - 1, max(-1, len(box.uids) - 1 - _LOOKED_AT), -1):
            flags = box.flags[at]
            if flags & (marks | DELETED) or box.uids[at] in taken:
                continue
            if flags & (ANSWERED | FLAGGED):
                sure.append(box.uids[at])
            elif flags & SEEN and box.dates[at] < long_ago:
                likely.append(box.uids[at])
        chosen = (sure + likely)[:most]
        if len(taken) < _LOOKED_AT:
            taken.update(chosen)
        return chosen

    async def _learn(self, lesson: Lesson, octets: bytes) -> None:
        if lesson.only_contrary:
            await self._filter.forget_contrary(lesson.account, octets, lesson.junk)
            return
        await self._filter.learn(lesson.account, octets, lesson.junk, seen_words(octets, self._hostname))
        for tell in self.also if lesson.said else ():
            await tell(lesson.account, octets, lesson.junk)

    async def _lesson(self, store: Mailstore, what: Filed) -> Lesson | None:
        kinds = {info.name: kind_of(info.name, info.special_use) for info in await store.mailboxes()}
        junk = lesson_of(kinds.get(what.source, "own"), kinds.get(what.target, "own"))
        return None if junk is None else Lesson(what.account, what.target, what.uids, junk)

    async def _kind(self, store: Mailstore, name: str) -> str:
        for info in await store.mailboxes():
            if info.name == name:
                return kind_of(name, info.special_use)
        return "own"
