"""What happens in a selected mailbox, kept until the client may be told (RFC 3501 §5.2, §7.4; RFC 7162 §3.2.10).

The store calls Notices at once; a session that idles is woken and tells its client within the same turn of the
reactor, every other one tells at the end of its next command. Order: keywords, expunges, new messages, flags.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence

from mailbox_appliance.imap.contexts import Context
from mailbox_appliance.imap.outlet import Outlet
from mailbox_appliance.imap.tracker import Tracker
from mailbox_appliance.mail.mailbox import DELETED, RECENT, SEEN, SYSTEM_FLAGS
from mailbox_appliance.ports.store import Mailbox
from mailbox_appliance.wire.imap.responses import FlagNames, OctetFlagNames, is_keyword
from mailbox_appliance.wire.imap.sets import say_set

# More changed UIDs than this are not listed; the modification sequences tell them when it comes to telling.
MOST_NOTES = 4096
LOOKED_AT = 512
_RIGHT_FOR = {SEEN: "s", DELETED: "t"}
_SYSTEM_NAMES = " ".join(name for _, name in SYSTEM_FLAGS)


class Notices:
    """A session's Watcher, and its view of the mailbox. ``wake`` is called whenever there is something to tell."""

    __slots__ = (
        "__weakref__",
        "_begun",
        "_changed",
        "_changed_since",
        "_keywords_told",
        "_touched",
        "_wake",
        "contexts",
        "lost",
        "mailbox",
        "names",
        "octet_names",
        "read_only",
        "renew",
        "tell_modseq",
        "tell_recent",
        "tell_vanished",
        "tracker",
        "uid_only",
    )

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._begun = False  # the store may call while it still opens the mailbox
        self._changed: set[int] = set()
        self._changed_since: int | None = None
        self._keywords_told = 0
        self._touched: set[int] = set()  # by anybody, while there are contexts
        self.contexts: dict[bytes, Context] = {}
        self.renew: Callable[[Sequence[int]], Awaitable[None]] | None = None
        self.lost = ""
        self.read_only = False
        self.tell_modseq = False
        self.tell_vanished = False
        self.tell_recent = True
        self.uid_only = False
        self.mailbox: Mailbox
        self.tracker: Tracker
        self.names: FlagNames
        self.octet_names: OctetFlagNames

    def begin(self, mailbox: Mailbox, *, read_only: bool) -> None:
        """The mailbox is open: from here on its changes count."""
        self.mailbox = mailbox
        self.read_only = read_only or mailbox.read_only
        self.tracker = Tracker(mailbox.uids)
        self._claim()
        self.names = FlagNames(mailbox.keywords)
        self.octet_names = OctetFlagNames(self.names)
        self._changed.clear()
        self._changed_since = None
        self._keywords_told = len(mailbox.keywords)
        self._begun = True

    def _claim(self) -> None:
        if self.tell_recent:
            self.tracker.claim(self.mailbox.claim_recent(peek=self.read_only))

    def modes(self, enabled: frozenset[str]) -> None:
        """What the client has enabled (RFC 5161) changes how things are told."""
        self.tell_modseq = "CONDSTORE" in enabled
        self.uid_only = "UIDONLY" in enabled  # RFC 9586
        self.tell_vanished = self.uid_only or "QRESYNC" in enabled
        self.tell_recent = "IMAP4REV2" not in enabled  # RFC 9051 knows no \\Recent

    # ------------------------------------------------------------ ports.store.Watcher

    def arrived(self, count: int) -> None:
        """The mailbox has grown."""
        self._wake()

    def expunged(self, uids: Sequence[int], modseq: int) -> None:
        """Messages are gone."""
        if self._begun:
            self.tracker.expunged(uids)
            self._wake()

    def flags_changed(self, uids: Sequence[int], modseq: int, by: object) -> None:
        """Flags have changed, by somebody else or by us (then the answer to our command tells it)."""
        if self.contexts:
            self._touched.update(uids)
        if by is self:
            return
        if self._changed_since is None and len(self._changed) + len(uids) > MOST_NOTES:
            self._changed_since = modseq - 1
        if self._changed_since is None:
            self._changed.update(uids)
        self._wake()

    def keywords_changed(self) -> None:
        """The mailbox knows more keywords."""
        self._wake()

    def vanished(self, text: str) -> None:
        """The mailbox is no more."""
        self.lost = text or "the mailbox is gone"
        self._wake()

    # ------------------------------------------------------------ telling

    @property
    def waiting(self) -> bool:
        """Is there anything to tell?"""
        return (
            bool(self._changed)
            or self._changed_since is not None
            or len(self.mailbox.keywords) > self._keywords_told
            or bool(self._touched)
            or self.tracker.differs(self.mailbox.uids)
        )

    async def tell(self, outlet: Outlet, *, expunges: bool) -> None:
        """Say what has happened; ``expunges`` False (FETCH, STORE, SEARCH): message numbers must not move.

        Raises ConnectionGone.
        """
        if not self.waiting:
            return
        self.tell_keywords(outlet)
        if expunges and self.tracker.owes_expunges:
            await self._tell_expunges(outlet)
        known = self.tracker.count
        if self.tracker.grow(self.mailbox.uids):
            self._claim()
            if self.contexts:
                self._touched.update(self.tracker.uids[known : self.tracker.count])
            outlet.say(self.count_lines())
        if self._changed or self._changed_since is not None:
            await self._tell_flags(outlet)
        if self._touched and self.renew is not None:
            touched, self._touched = sorted(self._touched), set()
            await self.renew(touched)

    def count_lines(self) -> bytes:
        """EXISTS, and RECENT for those who know it."""
        if not self.tell_recent:
            return b"* %d EXISTS\r\n" % self.tracker.count
        return b"* %d EXISTS\r\n* %d RECENT\r\n" % (self.tracker.count, self.tracker.recent_count)

    def tell_keywords(self, outlet: Outlet) -> None:
        """FLAGS and PERMANENTFLAGS, when there are keywords that the client has not heard of."""
        if len(self.mailbox.keywords) > self._keywords_told:
            outlet.say(self.flags_lines())

    def flags_lines(self) -> bytes:
        """FLAGS and PERMANENTFLAGS (RFC 3501 §7.2.6, §7.1)."""
        keywords = self.mailbox.keywords
        self._keywords_told = len(keywords)
        flags = " ".join([_SYSTEM_NAMES, *filter(is_keyword, keywords)])
        permanent = "" if self.read_only else f"{flags} \\*" if self._may_all() else self._permanent(keywords)
        text = "No flag can be changed here." if self.read_only else "Flags that last."
        return f"* FLAGS ({flags})\r\n* OK [PERMANENTFLAGS ({permanent})] {text}\r\n".encode("ascii")

    def _may_all(self) -> bool:
        return {"s", "w", "t"} <= self.mailbox.rights

    def _permanent(self, keywords: Sequence[str]) -> str:
        """The flags that the reader's rights let him change (RFC 4314 §5.1.1)."""
        rights = self.mailbox.rights
        flags = [name for bit, name in SYSTEM_FLAGS if _RIGHT_FOR.get(bit, "w") in rights]
        return " ".join([*flags, *filter(is_keyword, keywords), "\\*"] if "w" in rights else flags)

    async def _tell_expunges(self, outlet: Outlet) -> None:
        if self.contexts:
            self._tell_contexts_of_expunges(outlet)
        numbers, uids = self.tracker.tell_expunges(self.mailbox.uids)
        if self.tell_vanished:
            if uids:
                outlet.say(b"* VANISHED %b\r\n" % say_set(uids))
            return
        for start in range(0, len(numbers), 1000):
            outlet.say("".join([f"* {number} EXPUNGE\r\n" for number in numbers[start : start + 1000]]).encode("ascii"))
            await outlet.room()

    def _tell_contexts_of_expunges(self, outlet: Outlet) -> None:
        """While the numbers still hold (RFC 5267 §4.3.2)."""
        gone = set(self.tracker.uids[: self.tracker.count]).difference(self.mailbox.uids)
        for tag, context in self.contexts.items():
            outlet.say(context.forget(tag, gone, self.number_of))

    def number_of(self, uid: int) -> int:
        """Its message number."""
        return self.tracker.place(uid) + 1

    async def _tell_flags(self, outlet: Outlet) -> None:
        changed, self._changed = sorted(self._changed), set()
        since, self._changed_since = self._changed_since, None
        if since is not None:
            among = set(changed)
            pairs = zip(self.mailbox.uids, self.mailbox.modseqs, strict=False)
            changed = [uid for uid, modseq in pairs if modseq > since or uid in among]
        for start in range(0, len(changed), 500):
            outlet.say(self.flag_lines(changed[start : start + 500]))
            await outlet.room()

    def changed_since(self, modseq: int, low: int, high: int) -> list[int]:
        """The places from ``low`` to ``high`` whose modification sequence is above ``modseq``; gone messages left out.

        Nearly always few have changed: C finds the highest of a few hundred at a time.
        """
        tracker, mailbox = self.tracker, self.mailbox
        if mailbox.uids is not tracker.uids:
            changed = {u for u, m in zip(mailbox.uids, mailbox.modseqs, strict=False) if m > modseq}
            return [place for place in range(low, high) if tracker.uids[place] in changed]
        found: list[int] = []
        for start in range(low, high, LOOKED_AT):
            modseqs = mailbox.modseqs[start : min(start + LOOKED_AT, high)]
            if max(modseqs, default=0) > modseq:
                found += [place for place, value in enumerate(modseqs, start) if value > modseq]
        return found

    def index(self, uid: int) -> int:
        """Where ``uid`` stands in the mailbox's arrays now, or -1."""
        uids = self.mailbox.uids
        index = bisect_left(uids, uid)
        return index if index < len(uids) and uids[index] == uid else -1

    def flags_of(self, uid: int) -> int | None:
        """The flags now, None when the message is gone."""
        index = self.index(uid)
        return None if index < 0 else self.mailbox.flags[index]

    def flag_lines(self, uids: Sequence[int], *, silent: bool = False) -> bytes:
        """A FETCH response with UID and FLAGS for each of ``uids`` that the client knows and that is still there.

        ``silent``: the modification sequence without the flags.
        """
        mailbox, tracker, names = self.mailbox, self.tracker, self.names
        aligned = mailbox.uids is tracker.uids
        recent_from = tracker.recent_from
        flags, modseqs = mailbox.flags, mailbox.modseqs
        lines = []
        for uid in uids:
            place = tracker.place(uid)
            index = place if aligned else self.index(uid)
            if place < 0 or index < 0:
                continue
            mask = flags[index]
            if uid >= recent_from and tracker.is_recent(uid):
                mask |= RECENT
            modseq = f" MODSEQ ({modseqs[index]})" if self.tell_modseq else ""
            told = "" if silent else f" FLAGS ({names[mask]})"
            if self.uid_only:
                lines.append(f"* {uid} UIDFETCH ({f'{told}{modseq}'.lstrip()})\r\n")
            else:
                lines.append(f"* {place + 1} FETCH (UID {uid}{modseq}{told})\r\n")
        return "".join(lines).encode("ascii")
