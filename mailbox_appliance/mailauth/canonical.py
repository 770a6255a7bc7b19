"""Header fields and bodies in the one form that signatures are made over (RFC 6376 §3.4).

Bodies come with LF line ends, in pieces of any size, and are hashed as they come: a large one is never whole in memory.
Fields go through dkimpy's canonicalization. All work is linear in the octets, whatever they are.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from typing import Any

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.values import dataclass

RELAXED, SIMPLE = "relaxed", "simple"
MOST_FIELDS = 2000  # of one message; what has more is not looked at closely
# One field as it stands, with its line ends. Lines without a colon belong to no field and are passed over.
_FIELD = re.compile(rb"^([^:\s][^:\n]*):[^\n]*\n?(?:[ \t][^\n]*\n?)*", re.MULTILINE)
_PIECE_OF_LINE_ENDS = 16_384


@dataclass(frozen=True, slots=True)
class Field:
    """``name`` in lower case; ``raw`` the whole field with LF line ends, the last one always there."""

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """What stands behind the colon."""
        return self.raw.partition(b":")[2]


class HeaderBlock:
    """The fields of one message, found by name; LF or CRLF line ends. ``cut``: there are more than MOST_FIELDS."""

    __slots__ = ("_places", "cut", "fields")

    def __init__(self, header: bytes) -> None:
        header = header[: header_end(header)]
        if b"\r" in header:
            header = header.replace(b"\r\n", b"\n")
        self.fields: list[Field] = []
        self._places: dict[bytes, list[int]] = {}
        self.cut = False
        for number, found in enumerate(_FIELD.finditer(header)):
            if number == MOST_FIELDS:
                self.cut = True
                break
            raw = found[0]
            name = found[1].rstrip().lower()
            self.fields.append(Field(name, raw if raw[-1:] == b"\n" else raw + b"\n"))
            self._places.setdefault(name, []).append(number)

    def all(self, name: bytes) -> list[Field]:
        """Every field of that name (lower case), top down."""
        return [self.fields[place] for place in self._places.get(name, ())]

    def count(self, name: bytes) -> int:
        """How many fields of that name (lower case) there are."""
        return len(self._places.get(name, ()))

    def select(self, names: tuple[bytes, ...], besides: Field | None = None) -> list[Field]:
        """The fields that ``h=`` names, each next one further up (RFC 6376 §5.4.2); the absent ones are nothing."""
        left: dict[bytes, list[int]] = {}
        found = []
        for name in names:
            places = left.get(name)
            if places is None:
                places = left[name] = list(self._places.get(name, ()))
                if besides is not None and name == besides.name:
                    places[:] = [place for place in places if self.fields[place] is not besides]
            if places:
                found.append(self.fields[places.pop()])
        return found


@functools.cache
def _fields_by(canonicalization: str) -> Callable[[Any], Any]:
    from dkim.canonicalization import Relaxed, Simple

    return (Relaxed if canonicalization == RELAXED else Simple).canonicalize_headers  # type: ignore[no-any-return]


def load() -> None:
    """Import the library, which takes longer than a session may wait: for a worker."""
    _fields_by(RELAXED)


def canonical_fields(fields: list[Field], canonicalization: str) -> bytes:
    """The fields as they are hashed, CRLF behind each (RFC 6376 §3.4.1, §3.4.2)."""
    pairs = []
    for field in fields:
        name, _, value = field.raw.partition(b":")
        pairs.append((name, value.replace(b"\n", b"\r\n")))
    return b"".join(name + b":" + value for name, value in _fields_by(canonicalization)(pairs))


@dataclass(frozen=True, slots=True)
class BodyDigest:
    """SHA-256 of a canonical body, and how many octets that has."""

    digest: bytes
    length: int


class BodyHash:
    """The canonical body's hash, fed piece by piece."""

    __slots__ = ("_blank", "_hash", "_length", "_line_ends", "_relaxed", "_update")

    def __init__(self, canonicalization: str, update: Callable[[bytes], object] | None = None) -> None:
        """``update`` replaces the hash's own (tests look at the octets)."""
        self._relaxed = canonicalization == RELAXED
        self._hash = hashlib.sha256()
        self._update = update or self._hash.update
        self._line_ends = 0  # held back: at the end of the body they count for nothing
        self._blank = False  # a held back blank at the end of what came
        self._length = 0

    def update(self, piece: bytes) -> None:
        """Take the next piece (LF line ends)."""
        if self._relaxed:
            if self._blank:
                piece = b" " + piece
            piece = piece.replace(b"\t", b" ")
            while b"  " in piece:  # halves each run, so a few passes do whatever comes
                piece = piece.replace(b"  ", b" ")
            piece = piece.replace(b" \n", b"\n")
            kept = piece.rstrip(b" \n")
            self._blank = piece.endswith(b" ")
        else:
            kept = piece.rstrip(b"\n")
        if kept:
            self._put_line_ends()
            self._put(kept.replace(b"\n", b"\r\n") if b"\n" in kept else kept)
        self._line_ends += piece.count(b"\n", len(kept))

    def _put(self, octets: bytes) -> None:
        self._length += len(octets)
        self._update(octets)

    def _put_line_ends(self) -> None:
        while self._line_ends:
            number = min(self._line_ends, _PIECE_OF_LINE_ENDS)
            self._put(b"\r\n" * number)
            self._line_ends -= number

    def finish(self) -> BodyDigest:
        """The end: one line end behind the last line; an empty body is one CRLF when simple, nothing when relaxed."""
        if self._blank:  # of a last line without a line end: it is no line's end, so it stays, as others have it
            self._put_line_ends()
            self._put(b" ")
        if self._length or not self._relaxed:
            self._put(b"\r\n")
        return BodyDigest(self._hash.digest(), self._length)
