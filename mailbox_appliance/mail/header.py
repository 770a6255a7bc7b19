"""The header block of a message: finding, unfolding, adding and removing fields without taking the block apart twice.

Octets in, octets out; LF and CRLF line ends are both read. A field's *name* may be any octets but ":" that begin with
neither white space nor ":" (RFC 5322 §2.2, read generously); a line without a colon is passed over and does not end
the block; the first empty line does. All patterns are linear in the length of the block.
"""

from __future__ import annotations

import functools
import mmap
import re
from collections.abc import Callable, Iterable

from mailbox_appliance.mail.addresses import Mailbox, addresses_of

# One field: its name as written, its value with folds but without the blanks after the colon.
_FIELD = re.compile(rb"^([^:\s][^:\n]*):[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_WHOLE_FIELD = re.compile(rb"^([^:\s][^:\n]*):[^\n]*\n?(?:[ \t][^\n]*\n?)*", re.MULTILINE)
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_LINE_ENDS = re.compile(rb"\r?\n([ \t]?)")


Octets = bytes | mmap.mmap


def header_end(octets: Octets, start: int = 0, stop: int | None = None) -> int:
    """The offset just behind the empty line that ends the header at ``start``; ``stop`` when there is no empty line."""
    if stop is None:
        stop = len(octets)
    if octets[start : start + 1] == b"\n":
        return min(start + 1, stop)
    if octets[start : start + 2] == b"\r\n":
        return min(start + 2, stop)
    found = _EMPTY_LINE.search(octets, start, stop)
    return found.end() if found else stop


def split_fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Every field in order: name as written, value raw (folded, no final line end)."""
    return _FIELD.findall(header[: header_end(header)])


def group_fields(header: bytes) -> dict[bytes, list[bytes]]:
    """Raw values by lower-case name. ``header`` must not go on behind its empty line: that would be read as fields."""
    groups: dict[bytes, list[bytes]] = {}
    for name, value in _FIELD.findall(header):
        name = name.lower()
        if name[-1] <= 32:
            name = name.rstrip()
        if name in groups:
            groups[name].append(value)
        else:
            groups[name] = [value]
    return groups


def unfold(value: bytes) -> bytes:
    """The value on one line (RFC 5322 §2.2.3): line ends before white space vanish, others become a space."""
    if b"\n" in value or b"\r" in value:
        value = _LINE_ENDS.sub(lambda fold: fold[1] or b" ", value.rstrip(b"\r\n")).replace(b"\r", b"")
    return value


@functools.lru_cache(maxsize=256)
def _pattern_of(name: str) -> re.Pattern[bytes]:
    named = re.escape(name.encode("latin-1", "replace"))
    return re.compile(rb"^" + named + rb"[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE | re.IGNORECASE)


def first(header: bytes, name: str) -> bytes | None:
    """The first field ``name`` (any case), unfolded and stripped; None when there is none."""
    found = _pattern_of(name.lower()).search(header, 0, header_end(header))
    return unfold(found[1]).strip() if found else None


def every(header: bytes, name: str) -> list[bytes]:
    """All fields ``name`` in order, unfolded and stripped."""
    found = _pattern_of(name.lower()).finditer(header, 0, header_end(header))
    return [unfold(match[1]).strip() for match in found]


def count(header: bytes, name: str) -> int:
    """How many fields ``name`` there are."""
    return sum(1 for _ in _pattern_of(name.lower()).finditer(header, 0, header_end(header)))


def remove_fields(header: bytes, predicate: Callable[[str, bytes], bool]) -> bytes:
    """The header without the fields of which ``predicate(lower-case name, unfolded value)`` is true."""
    end = header_end(header)

    def judged(match: re.Match[bytes]) -> bytes:
        whole = match[0]
        name = match[1].rstrip().lower().decode("latin-1")
        value = unfold(whole[len(match[1]) + 1 :]).strip()
        return b"" if predicate(name, value) else whole

    return _WHOLE_FIELD.sub(judged, header[:end]) + header[end:]


def remove_named(header: bytes, names: Iterable[str]) -> bytes:
    """The header without the fields of these names (lower case)."""
    unwanted = frozenset(names)
    return remove_fields(header, lambda name, value: name in unwanted)


def add_fields(header: bytes, fields: Iterable[tuple[str, bytes]], *, line_end: bytes = b"\n") -> bytes:
    """Put fields on top, in order. A value must be one line or folded already.

    Raises ValueError when a value would end its field: a line end without white space behind it.
    """
    out = []
    for name, value in fields:
        for line in value.split(b"\n")[1:]:
            if line[:1] not in (b" ", b"\t"):
                raise ValueError(f"the value of {name} holds a line end that is no fold")
        lines = value.replace(b"\r\n", b"\n").replace(b"\n", line_end)
        out.append(name.encode("ascii") + b": " + lines + line_end)
    return b"".join(out) + header


def from_addresses(header: bytes) -> list[Mailbox]:
    """The addresses of all From fields (RFC 5322 §3.6.2), group marks left out."""
    found: list[Mailbox] = []
    for value in every(header, "from"):
        found += [mailbox for mailbox in addresses_of(value) if mailbox.domain is not None]
    return found
