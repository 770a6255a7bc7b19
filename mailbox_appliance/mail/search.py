"""Search keys as a tree of frozen values (RFC 3501 §6.4.4, RFC 9051 §6.4.4, RFC 5032, RFC 7162).

``wire/imap`` makes the tree, ``imap/`` replaces sequence numbers by UIDs, ``store/search`` answers it. Needles are
text: decoded from the command's charset, matched as substrings under i;unicode-casemap (RFC 5051).
"""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """All of ``keys``."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Either of two."""

    left: SearchKey
    right: SearchKey


@dataclass(frozen=True, slots=True)
class Not:
    """None of it."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class HasFlag:
    """A system flag as one of the bits of mail.mailbox (SEEN …, RECENT as the session sees it)."""

    bit: int


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """A keyword by name, compared without regard to case."""

    name: str


@dataclass(frozen=True, slots=True)
class InHeader:
    """``needle`` occurs in the decoded text of a field ``name`` (lower case); '' asks only that the field is there."""

    name: str
    needle: str


@dataclass(frozen=True, slots=True)
class InBody:
    """BODY: ``needle`` occurs in the decoded text of the body."""

    needle: str


@dataclass(frozen=True, slots=True)
class InText:
    """TEXT: ``needle`` occurs in header or body."""

    needle: str


@dataclass(frozen=True, slots=True)
class InternalDate:
    """Day of INTERNALDATE against ``day`` (days since 1970-01-01): ``order`` is "before", "on" or "since"."""

    order: str
    day: int


@dataclass(frozen=True, slots=True)
class SentDate:
    """The same for the Date field (SENTBEFORE, SENTON, SENTSINCE): the date as written, no time zone applied."""

    order: str
    day: int


@dataclass(frozen=True, slots=True)
class SavedDate:
    """SAVEDBEFORE, SAVEDON, SAVEDSINCE (RFC 8514)."""

    order: str
    day: int


@dataclass(frozen=True, slots=True)
class Age:
    """YOUNGER and OLDER (RFC 5032): seconds before now; ``younger`` True means within."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class Size:
    """LARGER or SMALLER than ``octets`` (with CRLF)."""

    octets: int
    larger: bool


@dataclass(frozen=True, slots=True)
class ModSeq:
    """MODSEQ (RFC 7162 §3.1.5): changed at or after ``value``."""

    value: int


@dataclass(frozen=True, slots=True)
class HasObjectId:
    """EMAILID, or with ``thread`` THREADID (RFC 8474 §5.5), which the session turns into Among."""

    value: str
    thread: bool = False


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Message numbers or UIDs as ranges, "*" as None; ``uids`` tells which. The session turns numbers into UIDs.

    ``saved`` is "$" (RFC 5182): the session puts its saved result in its place.
    """

    ranges: tuple[tuple[int | None, int | None], ...]
    uids: bool
    saved: bool = False


@dataclass(frozen=True, slots=True)
class Among:
    """What the session made of a SequenceSet: UIDs as sorted, disjoint ranges, both ends included."""

    ranges: tuple[tuple[int, int], ...]


SearchKey = (
    All
    | And
    | Or
    | Not
    | HasFlag
    | HasKeyword
    | InHeader
    | InBody
    | InText
    | InternalDate
    | SentDate
    | SavedDate
    | Age
    | Size
    | ModSeq
    | HasObjectId
    | SequenceSet
    | Among
)
