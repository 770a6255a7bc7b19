"""Runs of octets, each in turn, as slots: what words smooth over — torn words, markup, the rhythm of lines.

All of it is done by arrays and sets in C, a few microseconds for a hundred octets.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable

END = 500  # octets of the beginning and of the end of a body
_LETTERS = 1_000  # octets at the end of the text
_COUPLES = 4_000
# A prime below the number of slots that spreads runs of letters well: powers of 256 leave it large remainders.
_PRIME = 499_979
_SMALL, _CAPITALS, _DIGITS = range(97, 123), range(65, 91), range(48, 58)
_BLUR = bytes(48 if octet in _DIGITS else octet for octet in range(256))
_RHYTHM = bytes(
    97 if octet in _SMALL or octet > 127
    else 65 if octet in _CAPITALS
    else 57 if octet in _DIGITS
    else octet
    for octet in range(256)
)  # fmt: skip


def ends_of(body: bytes) -> bytes:
    """The beginning and the end of a body, whatever its line ends."""
    head, tail = body[: 2 * END].replace(b"\r", b""), body[-2 * END :].replace(b"\r", b"")
    return head[:END] + b"\n" + tail[-END:]


def fours(octets: bytes) -> array[int]:
    """Every run of four octets, with digits as 0."""
    return _slots(_runs("I", octets.translate(_BLUR)))


def rhythm(octets: bytes) -> array[int]:
    """Every run of eight, with letters as "a", capitals as "A", digits as "9"."""
    return _slots(_runs("Q", octets.translate(_RHYTHM)))


def letters(flat: bytes) -> array[int]:
    """Every run of three at the end of a text."""
    end = flat[-_LETTERS:]
    count = max(len(end) - 2, 0)
    spread = bytearray(4 * count)  # three octets and a zero each: one item of an array
    for place in range(3):
        spread[place::4] = end[place : place + count]
    items = array("I", bytes(spread))
    if sys.byteorder == "big":
        items.byteswap()
    return _slots(set(items))


def couples(flat: bytes) -> array[int]:
    """Every run of two in the last part of a text."""
    return array("I", _runs("H", flat[-_COUPLES:]))


def _runs(code: str, octets: bytes) -> set[int]:
    """As many octets as an item of that code has, from every place on, each different run once."""
    found: set[int] = set()
    size = array(code).itemsize
    for start in range(min(size, max(len(octets) - size + 1, 0))):
        items = array(code, octets[start : start + (len(octets) - start) // size * size])
        if sys.byteorder == "big":
            items.byteswap()
        found.update(items)
    return found


def _slots(runs: Iterable[int]) -> array[int]:
    """Two runs that share a slot count there twice."""
    return array("I", [run % _PRIME for run in runs])
