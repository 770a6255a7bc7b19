"""Ports store.Stores, Mailstore and Mailbox in memory: lists, brute force, watchers. For IMAP's tests.

``FakeStores(clock).of(account)`` gives a FakeMailstore; ``store.box("INBOX").deliver(octets)`` is mail that comes in,
``change(uid, flags)`` and ``lose(uid)`` are what another program would do. Searching uses the standard library's email
package, so that it is a second opinion on the real one.
"""

from __future__ import annotations

import calendar
import email
import email.policy
import email.utils
import hashlib
import re
from array import array
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mailbox_appliance.mail import mailbox as words
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import INBOX, MailboxInfo, MailboxStatus, Quota, SpecialUse
from mailbox_appliance.mail.message import SpooledBody
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.rights import ALL as ALL_RIGHTS
from mailbox_appliance.mail.text import casemap
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.store import (
    UNKNOWN_SIZE,
    Appended,
    Column,
    Copied,
    Fields,
    FlagAction,
    Flagged,
    Mailbox,
    NewMessage,
    Problem,
    StoreError,
    Watcher,
)

SPECIAL = {
    "Sent": SpecialUse.SENT,
    "Drafts": SpecialUse.DRAFTS,
    "Trash": SpecialUse.TRASH,
    "Junk": SpecialUse.JUNK,
    "Archive": SpecialUse.ARCHIVE,
}
_SYSTEM = {name.lower(): bit for bit, name in words.SYSTEM_FLAGS}
DAY = 86400


@dataclass
class FakeMessage:
    uid: int
    octets: bytes  # CRLF
    flags: int
    modseq: int
    date: int
    zone: int
    saved: int

    @property
    def header(self) -> bytes:
        end = self.octets.find(b"\r\n\r\n")
        if self.octets.startswith(b"\r\n"):
            return b"\r\n"
        return self.octets if end < 0 else self.octets[: end + 4]


class FakeFile:
    """ports.store.MessageFile over octets."""

    def __init__(self, message: FakeMessage) -> None:
        self.uid = message.uid
        self.size = len(message.octets)
        self._octets = message.octets
        self.is_open = True

    async def read(self, offset: int, length: int) -> bytes:
        return self._octets[offset : offset + length]

    async def structure(self) -> Part:
        from mailbox_appliance.mail.mime_scan import scan

        return scan(self._octets)

    def close(self) -> None:
        self.is_open = False


class FakeMailbox:
    """ports.store.Mailbox. ``messages`` is the truth; the arrays are made from it."""

    def __init__(self, store: FakeMailstore, name: str, uidvalidity: int) -> None:
        self.store = store
        self.name = name
        self.uidvalidity = uidvalidity
        self.uidnext = 1
        self.highest_modseq = 1
        self.mailbox_id = f"F{uidvalidity}"
        self.read_only = False
        self._names_known: list[str] = []
        self.keywords: Sequence[str] = self._names_known
        self.messages: list[FakeMessage] = []
        self.watchers: list[Watcher] = []
        self.gone: list[tuple[int, int]] = []  # (modseq, uid)
        self.batch = 50
        self.special_use: SpecialUse | None = None
        self._recent_from = 1
        self.uids: array[int] = array("I")
        self._fill()

    # ------------------------------------------------------------ what tests do

    def deliver(self, octets: bytes, flags: Iterable[str] = (), date: int | None = None, zone: int = 0) -> int:
        """A message arrives (LF or CRLF line ends); returns its UID."""
        uid = self._add(octets, self._bits(flags), date, zone)
        self._grown()
        return uid

    def change(self, uid: int, flags: Iterable[str]) -> None:
        """Another program sets the flags."""
        self._set([self._message(uid)], self._bits(flags), None)

    def lose(self, *uids: int) -> None:
        """Another program removes messages."""
        self._remove(set(uids))

    # ------------------------------------------------------------ the port

    def watch(self, watcher: Watcher) -> None:
        if watcher not in self.watchers:
            self.watchers.append(watcher)

    def release(self, watcher: Watcher) -> None:
        if watcher in self.watchers:
            self.watchers.remove(watcher)

    def claim_recent(self, *, peek: bool = False) -> int:
        first = self._recent_from
        if not peek:
            self._recent_from = self.uidnext
        return first

    async def refresh(self) -> None:
        return None

    async def measure(self, uids: Sequence[int]) -> None:
        self._fill()

    async def written(self, lowest: int) -> None:
        return None

    def forget_sizes(self) -> None:
        """As after another program's mail: nobody knows sizes before ``measure``."""
        self.sizes = array("I", [UNKNOWN_SIZE] * len(self.sizes))
        self.is_measured = False

    async def rows(
        self, uids: Sequence[int], columns: Sequence[Column | Fields]
    ) -> AsyncIterator[Sequence[tuple[int, Sequence[bytes]]]]:
        wanted = set(uids)
        found = [m for m in self.messages if m.uid in wanted]
        for start in range(0, len(found), self.batch):
            yield [(m.uid, [_column(m, column) for column in columns]) for m in found[start : start + self.batch]]

    async def files(self, uids: Sequence[int]) -> AsyncIterator[Sequence[FakeFile]]:
        wanted = set(uids)
        found = [m for m in self.messages if m.uid in wanted]
        for start in range(0, len(found), self.batch):
            yield [FakeFile(m) for m in found[start : start + self.batch]]

    async def mark(
        self,
        uids: Sequence[int],
        action: FlagAction,
        flags: Iterable[str],
        unchanged_since: int | None = None,
        by: Watcher | None = None,
    ) -> Flagged:
        if self.read_only:
            raise StoreError(Problem.NOT_ALLOWED, "this mailbox is read-only")
        bits = self._bits(flags, make=action is not FlagAction.REMOVE)
        changed: list[FakeMessage] = []
        conflicting: list[int] = []
        wanted = set(uids)
        for message in self.messages:
            if message.uid not in wanted:
                continue
            if unchanged_since is not None and message.modseq > unchanged_since:
                conflicting.append(message.uid)
            elif _changed(message.flags, action, bits) != message.flags:
                changed.append(message)
        if changed:
            self.highest_modseq += 1
            for message in changed:
                message.flags = _changed(message.flags, action, bits)
                message.modseq = self.highest_modseq
            self._tell_flags(changed, by)
        return Flagged(tuple(m.uid for m in changed), tuple(conflicting), self.highest_modseq)

    rights = ALL_RIGHTS

    async def advance(self) -> int:
        self.highest_modseq += 1
        return self.highest_modseq

    async def expunge(self, uids: Sequence[int] | None = None) -> tuple[int, ...]:
        if self.read_only:
            raise StoreError(Problem.NOT_ALLOWED, "this mailbox is read-only")
        among = None if uids is None else set(uids)
        return self._remove(
            {m.uid for m in self.messages if m.flags & words.DELETED and (among is None or m.uid in among)}
        )

    async def copy(self, uids: Sequence[int], target: str, *, move: bool = False) -> Copied:
        box = self.store.box(target)
        wanted = set(uids)
        source = [m for m in self.messages if m.uid in wanted]
        new = [box._add(m.octets, box._bits(self._names(m.flags)), m.date, m.zone) for m in source]
        if new:
            box._grown()
        if move:
            self._remove({m.uid for m in source})
        return Copied(box.uidvalidity, tuple(m.uid for m in source), tuple(new))

    async def search(self, key: keys.SearchKey, among: Sequence[int], recent_from: int) -> Sequence[int]:
        wanted = set(among)
        now = int(self.store.clock.seconds())
        return [m.uid for m in self.messages if m.uid in wanted and self._matches(key, m, recent_from, now)]

    async def vanished_since(self, modseq: int) -> tuple[int, ...] | None:
        return tuple(sorted(uid for when, uid in self.gone if when > modseq))

    # ------------------------------------------------------------ inside

    def _message(self, uid: int) -> FakeMessage:
        return next(m for m in self.messages if m.uid == uid)

    def _bits(self, flags: Iterable[str], make: bool = True) -> int:
        bits = 0
        grown = False
        for flag in flags:
            if flag.startswith("\\"):
                bits |= _SYSTEM.get(flag.lower(), 0)
                continue
            known = [keyword.lower() for keyword in self.keywords]
            if flag.lower() not in known:
                if not make:
                    continue
                if len(known) >= words.MOST_KEYWORDS:
                    raise StoreError(Problem.LIMIT, "this mailbox has too many keywords")
                self._names_known.append(flag)
                known.append(flag.lower())
                grown = True
            bits |= 1 << words.FIRST_KEYWORD_BIT + known.index(flag.lower())
        if grown:
            for watcher in list(self.watchers):
                watcher.keywords_changed()
        return bits

    def _names(self, bits: int) -> list[str]:
        names = [name for bit, name in words.SYSTEM_FLAGS if bits & bit]
        return names + [k for i, k in enumerate(self.keywords) if bits >> words.FIRST_KEYWORD_BIT + i & 1]

    def _add(self, octets: bytes, flags: int, date: int | None, zone: int) -> int:
        octets = re.sub(rb"\r?\n", b"\r\n", octets)
        now = int(self.store.clock.seconds())
        self.highest_modseq += 1
        message = FakeMessage(
            self.uidnext, octets, flags, self.highest_modseq, now if date is None else date, zone, now
        )
        self.messages.append(message)
        self.uidnext += 1
        self.uids.append(message.uid)
        self._fill()
        return message.uid

    def _grown(self) -> None:
        for watcher in list(self.watchers):
            watcher.arrived(len(self.uids))

    def _set(self, messages: Sequence[FakeMessage], bits: int, by: Watcher | None) -> None:
        self.highest_modseq += 1
        for message in messages:
            message.flags = bits
            message.modseq = self.highest_modseq
        self._tell_flags(messages, by)

    def _tell_flags(self, messages: Sequence[FakeMessage], by: Watcher | None) -> None:
        self._fill()
        for watcher in list(self.watchers):
            watcher.flags_changed([m.uid for m in messages], self.highest_modseq, by)

    def _remove(self, uids: set[int]) -> tuple[int, ...]:
        gone = tuple(m.uid for m in self.messages if m.uid in uids)
        if not gone:
            return ()
        self.highest_modseq += 1
        self.gone += [(self.highest_modseq, uid) for uid in gone]
        self.messages = [m for m in self.messages if m.uid not in uids]
        self.uids = array("I", [m.uid for m in self.messages])
        self._fill()
        for watcher in list(self.watchers):
            watcher.expunged(gone, self.highest_modseq)
        return gone

    def _fill(self) -> None:
        self.flags: array[int] = array("Q", [m.flags for m in self.messages])
        self.modseqs: array[int] = array("Q", [m.modseq for m in self.messages])
        self.is_measured = True
        self.sizes: array[int] = array("I", [len(m.octets) for m in self.messages])
        self.dates: array[int] = array("q", [m.date for m in self.messages])
        self.zones: array[int] = array("h", [m.zone for m in self.messages])

    def _matches(self, key: keys.SearchKey, m: FakeMessage, recent_from: int, now: int) -> bool:
        match key:
            case keys.All():
                return True
            case keys.And(parts):
                return all(self._matches(part, m, recent_from, now) for part in parts)
            case keys.Or(left, right):
                return self._matches(left, m, recent_from, now) or self._matches(right, m, recent_from, now)
            case keys.Not(inner):
                return not self._matches(inner, m, recent_from, now)
            case keys.HasFlag(bit):
                return m.uid >= recent_from if bit == words.RECENT else bool(m.flags & bit)
            case keys.HasKeyword(name):
                return name.lower() in [n.lower() for n in self._names(m.flags)]
            case keys.InHeader(name, needle):
                return any(casemap(needle) in casemap(text) for text in _fields(m, name))
            case keys.InBody(needle):
                return casemap(needle) in casemap(_body_text(m))
            case keys.InText(needle):
                text = m.header.decode("utf-8", "replace") + "\n".join(_fields(m, None)) + _body_text(m)
                return casemap(needle) in casemap(text)
            case keys.InternalDate(order, day):
                return _compare((m.date + m.zone * 60) // DAY, order, day)
            case keys.SavedDate(order, day):
                return _compare(m.saved // DAY, order, day)
            case keys.SentDate(order, day):
                sent = _sent_day(m)
                return sent is not None and _compare(sent, order, day)
            case keys.Age(seconds, younger):
                return (m.date >= now - seconds) if younger else (m.date <= now - seconds)
            case keys.Size(octets, larger):
                return len(m.octets) > octets if larger else len(m.octets) < octets
            case keys.ModSeq(value):
                return m.modseq >= value
            case keys.Among(ranges):
                return any(low <= m.uid <= high for low, high in ranges)
        raise TypeError(f"{key!r} does not belong into the store")


class FakeMailstore:
    """ports.store.Mailstore. ``refuse`` set to a StoreError makes every append, copy and create fail with it."""

    def __init__(self, account: Address, clock: Clock, limit: int = 0) -> None:
        self.account = account
        self.clock = clock
        self.limit = limit
        self.refuse: StoreError | None = None
        self.boxes: dict[str, FakeMailbox] = {}
        self.subscriptions: set[str] = set()
        self.notes: dict[str, dict[str, bytes]] = {}
        self._validity = 1000
        for name in (INBOX, *SPECIAL):
            self._make(name, SPECIAL.get(name))
            self.subscriptions.add(name)

    def box(self, name: str) -> FakeMailbox:
        """The mailbox. Raises StoreError."""
        try:
            return self.boxes[name]
        except KeyError:
            raise StoreError(Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}") from None

    async def mailboxes(self) -> tuple[MailboxInfo, ...]:
        parents = {".".join(name.split(".")[:n]) for name in self.boxes for n in range(1, name.count(".") + 1)}
        names = sorted({*self.boxes, *parents, *self.subscriptions})
        return tuple(
            MailboxInfo(
                name,
                selectable=name in self.boxes,
                special_use=self.boxes[name].special_use if name in self.boxes else None,
                subscribed=name in self.subscriptions,
                has_children=any(other.startswith(name + ".") for other in {*self.boxes, *parents}),
                exists=name in self.boxes or name in parents,
            )
            for name in names
        )

    async def create(self, name: str, use: SpecialUse | None = None) -> None:
        self._may()
        if name in self.boxes:
            raise StoreError(Problem.MAILBOX_EXISTS, f"there is a mailbox {name} already")
        if not name or name.startswith(".") or name.endswith(".") or ".." in name or "/" in name:
            raise StoreError(Problem.NOT_ALLOWED, "a mailbox cannot have this name")
        self._make(name, use)

    async def delete(self, name: str) -> None:
        if name == INBOX:
            raise StoreError(Problem.NOT_ALLOWED, "INBOX cannot be deleted")
        box = self.box(name)
        del self.boxes[name]
        self.notes.pop(name, None)
        for watcher in list(box.watchers):
            watcher.vanished("the mailbox was deleted")

    async def rename(self, name: str, to: str) -> None:
        box = self.box(name)
        if to in self.boxes:
            raise StoreError(Problem.MAILBOX_EXISTS, f"there is a mailbox {to} already")
        if name == INBOX:
            self._make(to, None)
            await box.copy(list(box.uids), to, move=True)
            return
        for old in [n for n in self.boxes if n == name or n.startswith(name + ".")]:
            moved = self.boxes.pop(old)
            moved.name = to + old[len(name) :]
            if old in self.notes:
                self.notes[moved.name] = self.notes.pop(old)
            self.boxes[moved.name] = moved

    async def subscribe(self, name: str, wanted: bool) -> None:
        if wanted:
            self.subscriptions.add(name)
        else:
            self.subscriptions.discard(name)

    async def status(self, name: str, *, sized: bool = True) -> MailboxStatus:
        box = self.box(name)
        return MailboxStatus(
            messages=len(box.messages),
            recent=sum(m.uid >= box.claim_recent(peek=True) for m in box.messages),
            uidnext=box.uidnext,
            uidvalidity=box.uidvalidity,
            unseen=sum(not m.flags & words.SEEN for m in box.messages),
            highest_modseq=box.highest_modseq,
            size=sum(box.sizes),
            deleted=sum(bool(m.flags & words.DELETED) for m in box.messages),
            mailbox_id=box.mailbox_id,
        )

    async def open(self, name: str, watcher: Watcher, *, read_only: bool = False) -> FakeMailbox:
        box = self.box(name)
        box.watch(watcher)
        return box

    async def append(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        self._may()
        box = self.box(name)
        if self.limit and self._used() + sum(m.content.wire_size for m in messages) > self.limit:
            raise StoreError(Problem.OVER_QUOTA, "the mailbox is full")
        uids = []
        for message in messages:
            body = message.content.body
            if isinstance(body, SpooledBody):
                with open(body.path, "rb") as spool:
                    spool.seek(body.offset)
                    body = spool.read(body.length)
            date = None if message.date is None else int(message.date)
            uids.append(box._add(message.content.header + body, box._bits(message.flags), date, message.date_zone))
        box._grown()
        return Appended(box.uidvalidity, tuple(uids))

    async def metadata(self, name: str) -> Mapping[str, bytes]:
        return self.notes.get(name, {})

    async def set_metadata(self, name: str, entries: Mapping[str, bytes | None]) -> None:
        held = self.notes.setdefault(name, {})
        for entry, value in entries.items():
            if value is None:
                held.pop(entry, None)
            else:
                held[entry] = value
        if len(held) > 1000:
            raise StoreError(Problem.LIMIT, "too many notes")

    async def check_room(self, name: str, octets: int) -> None:
        self.box(name)
        if self.limit and self._used() + octets > self.limit:
            raise StoreError(Problem.OVER_QUOTA, "the mailbox is full")

    async def copy(self, source: Mailbox, uids: Sequence[int], target: str, *, move: bool = False) -> Copied:
        return await source.copy(uids, target, move=move)

    async def quota(self, name: str = "") -> Quota:
        return Quota(self._used(), self.limit, sum(len(box.messages) for box in self.boxes.values()))

    def _used(self) -> int:
        return sum(sum(box.sizes) for box in self.boxes.values())

    def _may(self) -> None:
        if self.refuse is not None:
            raise self.refuse

    def _make(self, name: str, use: SpecialUse | None) -> None:
        self._validity += 1
        self.boxes[name] = FakeMailbox(self, name, self._validity)
        self.boxes[name].special_use = use


@dataclass
class FakeStores:
    """ports.store.Stores."""

    clock: Clock
    limit: int = 0
    stores: dict[str, FakeMailstore] = field(default_factory=dict)

    async def of(self, account: Address) -> FakeMailstore:
        return self.get(account)

    def get(self, account: Address) -> FakeMailstore:
        """The same without waiting."""
        key = str(account.folded())
        if key not in self.stores:
            self.stores[key] = FakeMailstore(account, self.clock, self.limit)
        return self.stores[key]


def _changed(flags: int, action: FlagAction, bits: int) -> int:
    if action is FlagAction.ADD:
        return flags | bits
    if action is FlagAction.REMOVE:
        return flags & ~bits
    return bits


def _column(m: FakeMessage, column: Column | Fields) -> bytes:
    from mailbox_appliance.mail.mime_scan import scan
    from mailbox_appliance.wire.imap import render
    from mailbox_appliance.wire.imap.columns import render_one

    if isinstance(column, Fields):
        return render.filter_header(m.header, column.names, column.exclude)
    match column:
        case Column.ENVELOPE:
            return render.render_envelope(m.header)
        case Column.BODY:
            return render.render_body(scan(m.octets), m.octets)
        case Column.BODYSTRUCTURE:
            return render.render_bodystructure(scan(m.octets), m.octets)
        case Column.INTERNALDATE:
            return render.render_internaldate(m.date, m.zone)
        case Column.SAVEDATE:
            return render.render_internaldate(m.saved, 0)
        case Column.SIZE:
            return b"%d" % len(m.octets)
        case Column.EMAILID:
            return b"M" + hashlib.sha256(m.octets).hexdigest()[:24].encode()
        case Column.SORTKEYS | Column.THREADKEYS:
            return render_one(m.octets, [column.value])[column.value]
        case Column.PREVIEW:
            return " ".join(_body_text(m).split())[:200].encode()


def _parsed(m: FakeMessage) -> email.message.EmailMessage:
    return email.message_from_bytes(m.octets, policy=email.policy.default)


def _fields(m: FakeMessage, name: str | None) -> list[str]:
    return [f"{v}" if name else f"{k}: {v}" for k, v in _parsed(m).items() if name is None or k.lower() == name]


def _body_text(m: FakeMessage) -> str:
    texts = []
    for part in _parsed(m).walk():
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                texts.append(payload.decode(part.get_content_charset() or "utf-8", "replace"))
    return "\n".join(texts)


def _sent_day(m: FakeMessage) -> int | None:
    parsed = email.utils.parsedate(str(_parsed(m)["date"] or ""))
    return None if parsed is None else calendar.timegm((*parsed[:3], 0, 0, 0)) // DAY


def _compare(day: int, order: str, wanted: int) -> bool:
    return {"before": day < wanted, "on": day == wanted, "since": day >= wanted}[order]
