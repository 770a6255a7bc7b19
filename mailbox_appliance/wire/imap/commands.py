"""What a client may ask, as frozen values: one class for each command that has arguments (RFC 3501 §6 and extensions).

Mailbox names are text, sets are mail.search.SequenceSet, everything else as the RFC names it. Commands without
arguments are ``Plain``.
"""

from __future__ import annotations

import enum
from dataclasses import field

from mailbox_appliance.mail.mailbox import SpecialUse
from mailbox_appliance.mail.search import SearchKey, SequenceSet
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Column, FlagAction


@dataclass(frozen=True, slots=True)
class Plain:
    """CAPABILITY, NOOP, LOGOUT, STARTTLS, CHECK, CLOSE, UNSELECT, EXPUNGE, IDLE, NAMESPACE."""


@dataclass(frozen=True, slots=True)
class Identify:
    """ID (RFC 2971): field names in lower case, values None for NIL."""

    fields: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE (RFC 5161): names in upper case."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OnMechanism:
    """COMPRESS (RFC 4978): the name in upper case."""

    name: str


@dataclass(frozen=True, slots=True)
class LogIn:
    """LOGIN."""

    username: bytes
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE, with the initial response of SASL-IR (RFC 4959) still in base64; b"=" is an empty one."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class QuickResync:
    """The QRESYNC parameter of SELECT (RFC 7162 §3.2.5)."""

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None = None
    known_pairs: tuple[SequenceSet, SequenceSet] | None = None  # message numbers and their UIDs


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT and EXAMINE."""

    mailbox: str
    read_only: bool
    condstore: bool = False
    resync: QuickResync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE, with the USE of RFC 6154 §3; a separator at the name's end is gone already."""

    mailbox: str
    use: SpecialUse | None = None


@dataclass(frozen=True, slots=True)
class OnMailbox:
    """DELETE, SUBSCRIBE, UNSUBSCRIBE, GETQUOTAROOT."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class ForWhom:
    """SETACL, DELETEACL, LISTRIGHTS (RFC 4314): a mailbox and an identifier; of SETACL also "+lr", "-lr" or "lr"."""

    mailbox: str
    identifier: bytes
    rights: bytes = b""


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """GETMETADATA (RFC 5464): entry names in lower case; ``depth`` 0, 1 or None for all levels."""

    mailbox: str
    entries: tuple[str, ...]
    most: int | None = None
    depth: int | None = 0


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """SETMETADATA: None takes an entry away."""

    mailbox: str
    entries: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    mailbox: str
    to: str


@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA."""

    root: bytes


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA, which nobody may."""

    root: bytes


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS: items in upper case."""

    mailbox: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListMailboxes:
    """LIST (RFC 3501, 5258, 5819, 6154) and LSUB. ``select`` and ``give`` in upper case; ``status`` items of STATUS."""

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[str] = frozenset()
    give: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    extended: bool = False
    lsub: bool = False


@dataclass(frozen=True, slots=True)
class Expunge:
    """UID EXPUNGE (RFC 4315)."""

    messages: SequenceSet


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY, MOVE and their UID forms."""

    messages: SequenceSet
    mailbox: str
    move: bool


@dataclass(frozen=True, slots=True)
class Store:
    """STORE and UID STORE."""

    messages: SequenceSet
    action: FlagAction
    flags: tuple[str, ...]
    silent: bool
    unchanged_since: int | None = None


class Item(enum.Enum):
    """Fetch attributes which are known without the message's file or row."""

    UID = "UID"
    FLAGS = "FLAGS"
    MODSEQ = "MODSEQ"


@dataclass(frozen=True, slots=True)
class Prerendered:
    """A fetch attribute that is a column of the index."""

    label: bytes
    column: Column


@dataclass(frozen=True, slots=True)
class Nothing:
    """A fetch attribute that is always NIL (THREADID, RFC 8474 §5.3)."""

    label: bytes


@dataclass(frozen=True, slots=True)
class Section:
    """BODY[…] and the RFC822 family.

    ``part`` are the numbers before the name, ``text`` one of "", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT",
    "TEXT", "MIME"; ``fields`` in lower case. ``label`` is what the answer says before the octets (the origin octet of a
    partial fetch included). ``partial`` is (offset, length).
    """

    label: bytes
    part: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[str, ...] = ()
    partial: tuple[int, int] | None = None
    peek: bool = True
    decoded: bool = False  # BINARY: out of the transfer encoding (RFC 3516)
    size_only: bool = False  # BINARY.SIZE

    @property
    def whole(self) -> bool:
        """The whole message or a slice of it: no structure is needed."""
        return not self.part and not self.text


Attribute = Item | Prerendered | Nothing | Section


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH and UID FETCH. ``changed_since`` and ``vanished`` are RFC 7162's."""

    messages: SequenceSet
    attributes: tuple[Attribute, ...]
    changed_since: int | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None  # of the chosen messages (RFC 9394 §3.3)
    uid_implied: bool = False  # UID FETCH did not name UID itself


Criterion = tuple[str, bool]  # a sort key in upper case, and whether it is reversed


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH, SORT and their UID forms. ``order`` is empty for SEARCH.

    ``give`` None: the old answer; else of MIN MAX COUNT ALL SAVE PARTIAL UPDATE RELEVANCY (RFC 4731, 5182, 5267, 6203).
    """

    key: SearchKey
    uids: bool
    give: frozenset[str] | None = None
    modseq: bool = False  # the keys name MODSEQ (RFC 7162 §3.1.5)
    partial: tuple[int, int] | None = None  # smaller number first; both negative from the end (RFC 9394)
    order: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD and UID THREAD (RFC 5256): the algorithm in upper case."""

    algorithm: str
    key: SearchKey
    uids: bool


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """CANCELUPDATE (RFC 5267): tags of searches."""

    tags: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class MessageHead:
    """What stands before one message of APPEND."""

    flags: tuple[str, ...] = ()
    date: float | None = None
    zone: int = 0
