"""The road a message came: how the hosts on the way put what they did (RFC 5321 §4.4), without telling which and when.

Names, addresses, numbers and dates are blotted out. Our own stop and those inside a house are left out; of mail that
came by a mailing list the road is not looked at, for it would only tell which list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_MOST_STOPS = 12
_MOST_ROAD = 1_500  # octets
_MOST_STOP = 400

_BY_LIST = frozenset(b"x-beenthere mailing-list x-mailing-list".split())
_WHITE = re.compile(rb"\s+")
# A stop inside a house, or of a program that fetches mail, says nothing about who sent it.
_INSIDE = re.compile(
    rb"127\.0\.0\.1|localhost|fetchmail|\b10\.\d+\.\d+\.\d|\b172\.(?:1[6-9]|2\d|3[01])\.|\b192\.168\.", re.IGNORECASE
)
_BLOTTED = (
    (re.compile(rb"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"), b"IP"),
    (re.compile(rb"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,8}\.([a-z]{2,4})\b"), rb"h.\1"),
    (re.compile(rb"<[^>]*>"), b"<>"),
)
_ID = re.compile(rb"\bid [^ ]+")
_CAPITALS, _SMALL = re.compile(rb"[A-Z]+"), re.compile(rb"[a-z]+")
_DIGITS = re.compile(rb"[0-9]+")


def road_of(fields: Mapping[bytes, Sequence[bytes]]) -> bytes:
    """Of a header block: values by names in small letters, the newest stop first."""
    stops = fields.get(b"received", ())[1 : _MOST_STOPS + 1]  # the first is our own
    if not stops or _is_by_list(fields):
        return b""
    kept = []
    for stop in stops:
        stop = stop[:_MOST_STOP]
        told = _WHITE.sub(b" ", stop.rpartition(b";")[0] or stop).strip()
        if not _INSIDE.search(told):
            kept.append(told)
    road = b"\n".join(kept)[:_MOST_ROAD]
    if not road:
        return b""
    for pattern, instead in _BLOTTED:
        road = pattern.sub(instead, road)
    return _ID.sub(_shape_of_id, road)


def _is_by_list(fields: Mapping[bytes, Iterable[bytes]]) -> bool:
    if any(name in _BY_LIST or name.startswith(b"list-") for name in fields):
        return True
    return any(value.strip().lower() in (b"list", b"bulk") for value in fields.get(b"precedence", ()))


def _shape_of_id(match: re.Match[bytes]) -> bytes:
    shape = _DIGITS.sub(b"9", match[0][3:])
    return b"id " + _SMALL.sub(b"a", _CAPITALS.sub(b"A", shape))
