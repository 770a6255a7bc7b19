"""The mail store: what delivery puts in and what IMAP reads. Filled by ``store/``.

Two faces. *Depot* is delivery's: where a new file goes, and "it has arrived". *Mailstore* and *Mailbox* are IMAP's:
an open Mailbox is one object shared by all sessions of the process; sessions keep only what they were told.

Sequence numbers are the sessions' affair: ``Mailbox.uids`` is an array that only grows in place; an expunge replaces
it by a new array. A session remembers (array, count) and learns of changes through its Watcher, so an idle session
costs no copy.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import MailboxInfo, MailboxStatus, Quota, SpecialUse
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.mail.search import SearchKey
from mailbox_appliance.mail.values import dataclass

UNKNOWN_SIZE = 0xFFFFFFFF  # of a message of another program's that nobody has counted yet
MOST_METADATA = 16_384  # octets of one note (RFC 5464)


class Problem(enum.Enum):
    """Why the store says no; IMAP turns it into a response code (RFC 5530)."""

    NO_SUCH_MAILBOX = "NONEXISTENT"
    MAILBOX_EXISTS = "ALREADYEXISTS"
    NOT_ALLOWED = "CANNOT"
    NO_RIGHT = "NOPERM"
    HAS_CHILDREN = "HASCHILDREN"
    OVER_QUOTA = "OVERQUOTA"
    LIMIT = "LIMIT"
    BUSY = "INUSE"
    DISK = "UNAVAILABLE"
    GONE = "EXPUNGEISSUED"


class StoreError(Exception):
    """The store refuses; ``str()`` is fit for the user's eyes."""

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__(text)
        self.problem = problem


# ---------------------------------------------------------------- delivery's face


@dataclass(frozen=True, slots=True)
class Place:
    """Where one copy goes: write or link ``first`` (in tmp/), link it to ``final`` (in new/ or cur/)."""

    account: Address
    mailbox: str
    first: str
    final: str


class Depot(Protocol):
    """How delivery puts a message into a mailbox, in two steps around the commit round."""

    def place(
        self, account: Address, mailbox: str, content: Content, flags: frozenset[str] = frozenset()
    ) -> Awaitable[Place]:
        """Choose the file name (``S=``, ``W=``) and make sure the mailbox is there; quota is checked and reserved.

        ``flags`` are system flags and keywords; with any the file goes to cur/. A mailbox that is missing is made
        (and subscribed). Raises StoreError (OVER_QUOTA, DISK).
        """

    def room(self, account: Address, octets: int) -> Awaitable[bool]:
        """Would ``octets`` more fit into the account's quota?"""

    def arrived(self, place: Place, content: Content) -> None:
        """The file is durable at ``place.final``: give it a UID soon, tell the sessions now, prerender when idle."""

    def abandoned(self, place: Place, content: Content) -> None:
        """The round failed: forget the reservation."""


# ---------------------------------------------------------------- IMAP's face


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One message of an APPEND: flags as written by the client, date in epoch seconds or None for now."""

    content: Content
    flags: frozenset[str] = frozenset()
    date: float | None = None
    date_zone: int = 0  # minutes east of UTC, kept for INTERNALDATE's looks


@dataclass(frozen=True, slots=True)
class Appended:
    """For APPENDUID (RFC 4315)."""

    uidvalidity: int
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Copied:
    """For COPYUID (RFC 4315): the two lists run in step; ``uids`` that were gone already are left out."""

    uidvalidity: int
    source_uids: tuple[int, ...]
    target_uids: tuple[int, ...]


class FlagAction(enum.Enum):
    """STORE's three ways."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Flagged:
    """``changed`` UIDs got ``modseq``; ``conflicting`` ones failed UNCHANGEDSINCE (RFC 7162 §3.1.3)."""

    changed: tuple[int, ...]
    conflicting: tuple[int, ...]
    modseq: int


class Watcher(Protocol):
    """A session that has the mailbox selected. Called at once, in the reactor, never while it awaits this mailbox's
    answer in another call's middle; it takes note and tells its client when the protocol allows."""

    def arrived(self, count: int) -> None:
        """The mailbox has ``count`` messages now (``Mailbox.uids`` has grown)."""

    def expunged(self, uids: Sequence[int], modseq: int) -> None:
        """These are gone; ``Mailbox.uids`` is a new array without them."""

    def flags_changed(self, uids: Sequence[int], modseq: int, by: object) -> None:
        """Flags of these changed; ``by`` is the watcher whose STORE it was, or None."""

    def keywords_changed(self) -> None:
        """``Mailbox.keywords`` has grown: FLAGS and PERMANENTFLAGS are to be told again."""

    def vanished(self, text: str) -> None:
        """The mailbox was deleted or its UIDVALIDITY changed under the session: say BYE."""


class Bystander:
    """Fits Watcher and takes no note: for parts that open a mailbox to read or tidy it."""

    def arrived(self, count: int) -> None:
        pass

    def expunged(self, uids: Sequence[int], modseq: int) -> None:
        pass

    def flags_changed(self, uids: Sequence[int], modseq: int, by: object) -> None:
        pass

    def keywords_changed(self) -> None:
        pass

    def vanished(self, text: str) -> None:
        pass


class Column(enum.Enum):
    """What is prerendered once per message; all values are octets ready for the wire unless said otherwise."""

    ENVELOPE = "envelope"  # (…) of RFC 3501 §7.4.2
    BODY = "body"
    BODYSTRUCTURE = "bodystructure"
    INTERNALDATE = "internaldate"  # "22-Nov-2026 15:31:11 +0000" with its quotes
    SIZE = "size"  # ASCII digits, octets with CRLF
    PREVIEW = "preview"  # text, UTF-8, not quoted
    SAVEDATE = "savedate"  # as INTERNALDATE
    EMAILID = "emailid"
    SORTKEYS = "sortkeys"  # wire.imap.keys.SortKeys
    THREADKEYS = "threadkeys"  # wire.imap.keys.ThreadKeys


@dataclass(frozen=True, slots=True)
class Fields:
    """BODY[HEADER.FIELDS (…)] or .NOT: names in lower case; the value has CRLF line ends and the empty line."""

    names: tuple[str, ...]
    exclude: bool = False


class MessageFile(Protocol):
    """One message's octets with CRLF line ends; a large one is read in slices and never wholly in memory."""

    uid: int
    size: int

    def read(self, offset: int, length: int) -> Awaitable[bytes]:
        """Octets [offset, offset+length) of the CRLF form, fewer at the end. Ask for ≤ 256 KiB at a time."""

    def structure(self) -> Awaitable[Part]:
        """The MIME tree with offsets into the CRLF form."""

    def close(self) -> None:
        """Let go of the file."""


class Mailbox(Protocol):
    """An open mailbox, shared. All arrays run in step and are sorted by UID; callers must not change them."""

    name: str
    uidvalidity: int
    uidnext: int
    highest_modseq: int
    mailbox_id: str
    read_only: bool
    keywords: Sequence[str]  # bit FIRST_KEYWORD_BIT + i is keywords[i]; only ever grows while open
    uids: array[int]  # 'I'
    flags: array[int]  # 'Q'
    modseqs: array[int]  # 'Q'
    sizes: array[int]  # 'I' or 'Q', octets with CRLF; ``measure`` first
    is_measured: bool  # are all sizes known?
    dates: array[int]  # 'q', INTERNALDATE, epoch seconds
    zones: array[int]  # 'h', minutes east of UTC that INTERNALDATE is shown in

    @property
    def rights(self) -> frozenset[str]:
        """What the reader may do now (mail.rights); all of it in a mailbox of his own."""

    def watch(self, watcher: Watcher) -> None:
        """From now on ``watcher`` is told of changes."""

    def release(self, watcher: Watcher) -> None:
        """The session has left; after the last one the mailbox rests, then closes."""

    def claim_recent(self, *, peek: bool = False) -> int:
        """UIDs from this one on are \\Recent for the session that asks (the first since they came).

        ``peek`` (EXAMINE) leaves them \\Recent for the next session too.
        """

    def refresh(self) -> Awaitable[None]:
        """Look for changes by other programs now (NOOP, CHECK, SELECT)."""

    def measure(self, uids: Sequence[int]) -> Awaitable[None]:
        """Make sure that ``sizes`` of these are known: until then an entry may be UNKNOWN_SIZE."""

    def written(self, lowest: int) -> Awaitable[None]:
        """Are the ``dates`` of message ``lowest`` and all newer ones those of their files? For a moment after the first
        look at a mailbox that another program has filled they are those of their names. Raises StoreError.
        """

    def rows(
        self, uids: Sequence[int], columns: Sequence[Column | Fields]
    ) -> AsyncIterator[Sequence[tuple[int, Sequence[bytes]]]]:
        """Batches of (uid, values in order of ``columns``), by UID. What is not prerendered yet is made on the way.

        Messages gone meanwhile are left out.
        """

    def files(self, uids: Sequence[int]) -> AsyncIterator[Sequence[MessageFile]]:
        """The messages' octets in batches of bounded size, by UID; gone ones are left out. Close each."""

    def mark(
        self,
        uids: Sequence[int],
        action: FlagAction,
        flags: Iterable[str],
        unchanged_since: int | None = None,
        by: Watcher | None = None,
    ) -> Awaitable[Flagged]:
        """STORE: file names and index are changed before this returns. Raises StoreError."""

    def expunge(self, uids: Sequence[int] | None = None) -> Awaitable[tuple[int, ...]]:
        """Remove what is \\Deleted (of ``uids`` only, if given); returns what went (RFC 4315)."""

    def copy(self, uids: Sequence[int], target: str, *, move: bool = False) -> Awaitable[Copied]:
        """COPY or MOVE (RFC 6851) to another mailbox of the same account. All or nothing. Raises StoreError."""

    def search(self, key: SearchKey, among: Sequence[int], recent_from: int) -> Awaitable[Sequence[int]]:
        """UIDs out of ``among`` (sorted) that match; SequenceSets are Among already. Works in slices; cancel it freely.

        ``recent_from`` is the session's first \\Recent UID.
        """

    def advance(self) -> Awaitable[int]:
        """A modification sequence higher than all so far, which no change gets any more: for what a reader has of the
        messages that is not kept with them (ports.sharing)."""

    def vanished_since(self, modseq: int) -> Awaitable[tuple[int, ...] | None]:
        """UIDs expunged after ``modseq``; None when that is too long ago to know."""


class Mailstore(Protocol):
    """All mail of one account. Names are decoded text, "." between levels."""

    account: Address

    def mailboxes(self) -> Awaitable[tuple[MailboxInfo, ...]]:
        """Every mailbox, missing parents (selectable False) and dead subscriptions (exists False) included."""

    def create(self, name: str, use: SpecialUse | None = None) -> Awaitable[None]:
        """Raises StoreError."""

    def delete(self, name: str) -> Awaitable[None]:
        """INBOX never; a mailbox with children loses its messages and stays as a bare name. Raises StoreError."""

    def rename(self, name: str, to: str) -> Awaitable[None]:
        """With its children; INBOX's messages move and INBOX stays (RFC 3501 §6.3.5). Raises StoreError."""

    def subscribe(self, name: str, wanted: bool) -> Awaitable[None]:
        """SUBSCRIBE and UNSUBSCRIBE; a name need not exist."""

    def status(self, name: str, *, sized: bool = True) -> Awaitable[MailboxStatus]:
        """``sized`` False: the size may be wrong, for nobody asked. Raises StoreError (NO_SUCH_MAILBOX)."""

    def open(self, name: str, watcher: Watcher, *, read_only: bool = False) -> Awaitable[Mailbox]:
        """SELECT or EXAMINE: refreshed, and ``watcher`` is watching. Raises StoreError."""

    def append(self, name: str, messages: Sequence[NewMessage]) -> Awaitable[Appended]:
        """All or none, durable on return. Raises StoreError; ``mailboxes`` is not made (TRYCREATE)."""

    def check_room(self, name: str, octets: int) -> Awaitable[None]:
        """Could ``octets`` be appended to ``name`` now? Raises StoreError (NO_SUCH_MAILBOX, OVER_QUOTA) if not."""

    def copy(self, source: Mailbox, uids: Sequence[int], target: str, *, move: bool = False) -> Awaitable[Copied]:
        """COPY or MOVE out of an open mailbox of this store, wherever ``target`` is. Raises StoreError."""

    def quota(self, name: str = "") -> Awaitable[Quota]:
        """Use and limit of whoever owns the mailbox ``name`` ('': the account itself)."""

    def metadata(self, name: str) -> Awaitable[Mapping[str, bytes]]:
        """The notes beside a mailbox (RFC 5464) by entry name in lower case; '' is the account itself."""

    def set_metadata(self, name: str, entries: Mapping[str, bytes | None]) -> Awaitable[None]:
        """Keep, change or (None) take away; they go with the mailbox when it is renamed or deleted.

        Raises StoreError (LIMIT).
        """


class Stores(Protocol):
    """The door: one Mailstore per account, shared."""

    def of(self, account: Address) -> Awaitable[Mailstore]:
        """Made at first use, with INBOX and the special folders. Raises StoreError (DISK)."""
