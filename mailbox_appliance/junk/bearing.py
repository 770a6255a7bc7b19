"""How a message bears itself: the fields its writer's program makes, as they are spelt and ordered, and its road.

*Written* are only fields that writing programs make, in their order: names and addresses in To and Cc become "a" (their
punctuation stays), Message-ID loses its host, Subject the tags of mailing lists. *Names* are the names of such fields
alone. The *road* is how the hosts on the way put what they did (RFC 5321 §4.4), without telling which hosts and when:
names, addresses, numbers and dates are blotted out. Our own stop and those inside a house are left out; of mail that
came by a mailing list the road is not looked at, for it would only tell which list.
"""

from __future__ import annotations

import re

from mailbox_appliance.mail.values import dataclass

MOST_HEADER = 16_384  # octets that are looked at
MOST_BEARING = 2_000  # octets that are kept
_MOST_RECIPIENTS = 60  # octets
_MOST_NAMES = 60
_MOST_STOPS = 12
_MOST_ROAD = 1_500  # octets
_MOST_STOP = 400

_FIELD = re.compile(rb"^([^:\s][^:\n]*):[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.MULTILINE)
_LIST_TAG = re.compile(rb"\[[^\]\s]{1,24}(?: [^\]\s]{1,12})?\]")
_RUN = re.compile(rb"[A-Za-z0-9_.+-]+")
_KEPT = frozenset(
    b"from reply-to subject mime-version content-type content-transfer-encoding x-mailer x-priority x-msmail-priority "
    b"x-mimeole user-agent organization content-disposition importance".split()
)
_NAMED = _KEPT | frozenset(b"to cc bcc date message-id content-class in-reply-to references".split())
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


@dataclass(frozen=True, slots=True)
class Bearing:
    """``names`` are in small letters, in their order."""

    written: bytes
    names: tuple[bytes, ...]
    road: bytes


def bearing_of(header: bytes) -> Bearing:
    """Of a header block with LF or CRLF line ends."""
    kept: list[bytes] = []
    names: list[bytes] = []
    stops: list[bytes] = []
    by_list = False
    for name, value in _FIELD.findall(header):
        lower = name.lower()
        if lower == b"received":
            stops.append(value[:_MOST_STOP])
            continue
        if lower in _NAMED:
            names.append(lower)
        if lower in _KEPT:
            kept.append(name + b": " + (_LIST_TAG.sub(b"", value) if lower == b"subject" else value))
        elif lower in (b"to", b"cc"):
            kept.append(name + b": " + _RUN.sub(b"a", value[:2000])[:_MOST_RECIPIENTS])
        elif lower == b"message-id":
            kept.append(name + b": " + value.partition(b"@")[0])
        elif lower.startswith(b"list-") or lower in _BY_LIST:
            by_list = True
        elif lower == b"precedence":
            by_list = by_list or value.strip().lower() in (b"list", b"bulk")
    written = b"\n".join(kept).replace(b"\r", b"")[:MOST_BEARING]
    return Bearing(written, tuple(names[:_MOST_NAMES]), b"" if by_list else _road_of(stops))


def _road_of(stops: list[bytes]) -> bytes:
    kept = []
    for stop in stops[1 : _MOST_STOPS + 1]:  # the first is our own
        told = _WHITE.sub(b" ", stop.rpartition(b";")[0] or stop)
        if not _INSIDE.search(told):
            kept.append(told)
    road = b"\n".join(kept)[:_MOST_ROAD]
    if not road:
        return b""
    for pattern, instead in _BLOTTED:
        road = pattern.sub(instead, road)
    return _ID.sub(_shape_of_id, road)


def _shape_of_id(match: re.Match[bytes]) -> bytes:
    shape = _DIGITS.sub(b"9", match[0][3:])
    return b"id " + _SMALL.sub(b"a", _CAPITALS.sub(b"A", shape))
