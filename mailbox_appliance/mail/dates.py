"""Date fields: what people's programs write, read generously (RFC 5322 §3.3 and §4.3, RFC 850, asctime).

``SentDate`` keeps the day as it was written, because IMAP's SENTON compares that and no time zone (RFC 3501 §6.4.4).
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import NamedTuple

_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
# Minutes east of UTC (RFC 5322 §4.3); unknown letters count as UTC.
_ZONES = {"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420}
_ZONES |= {"cet": 60, "met": 60, "cest": 120, "mest": 120, "bst": 60, "eet": 120, "eest": 180, "jst": 540, "hkt": 480}
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()

_USUAL = re.compile(
    r"\s*(?:[A-Za-z]{3,9}\s*[,.]?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*\.?[\s,-]*\s?(\d{2,4})"
    r"(?:[\s,]+(\d{1,2})\s*[:.]\s*(\d{2})(?:\s*[:.]\s*(\d{2}))?)?\s*(?:([+-]\d{4})|\"?\(?([A-Za-z]{1,5}))?"
)
_ASCTIME = re.compile(
    r"\s*(?:[A-Za-z]{3,9},?\s+)?([A-Za-z]{3})[a-z]*\s+(\d{1,2}),?\s+(?:(\d{4})\s+)?"
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:([+-]\d{4})|([A-Za-z]{1,5}))?\s*(\d{4})?"
)
_ISO = re.compile(r"\s*(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?\s*([+-]\d{2}:?\d{2})?)?")
_COMMENT = re.compile(r"\([^()]*\)")


class SentDate(NamedTuple):
    """A point in time as somebody wrote it."""

    epoch: int  # seconds since 1970, UTC
    day: int  # days since 1970-01-01 of the date as written
    zone: int  # minutes east of UTC


@functools.lru_cache(maxsize=512)
def _days(year: int, month: int, day: int) -> int | None:
    try:
        return datetime.date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None


def parse_date(value: bytes) -> SentDate | None:
    """Read a Date field; None when there is no date in it. Only the first 128 octets are looked at."""
    text = value[:128].decode("latin-1")
    if "(" in text:
        text = _COMMENT.sub(" ", text)
    match = _USUAL.match(text)
    if match is not None:
        day, month, year, hour, minute, second, offset, zone = match.groups()
        return _date(year, _MONTHS.get(month.lower()), day, hour, minute, second, offset, zone)
    match = _ASCTIME.match(text)
    if match is not None:
        month, day, year, hour, minute, second, offset, zone, late_year = match.groups()
        return _date(late_year or year, _MONTHS.get(month.lower()), day, hour, minute, second, offset, zone)
    match = _ISO.match(text)
    if match is not None:
        year, month, day, hour, minute, second, offset = match.groups()
        return _date(year, int(month), day, hour, minute, second, offset and offset.replace(":", ""), None)
    return None


def _date(
    year_text: str | None,
    month: int | None,
    day: str,
    hour: str | None,
    minute: str | None,
    second: str | None,
    offset: str | None,
    zone: str | None,
) -> SentDate | None:
    if month is None or year_text is None:
        return None
    year = int(year_text)
    if len(year_text) == 2:  # RFC 5322 §4.3
        year += 2000 if year < 50 else 1900
    elif len(year_text) == 3:
        year += 1900
    days = _days(year, month, int(day))
    if days is None:
        return None
    minutes = 0
    if offset:
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        minutes = -minutes if offset[0] == "-" else minutes
        if abs(minutes) >= 1440:
            minutes = 0
    elif zone:
        minutes = _ZONES.get(zone.lower(), 0)
    h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
    if h > 23 or m > 59 or s > 60:
        h = m = s = 0
    return SentDate(days * 86400 + h * 3600 + m * 60 + s - minutes * 60, days, minutes)


_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@functools.lru_cache(maxsize=512)
def _civil(day: int) -> tuple[int, str, int, str]:
    # Outside the years 1 … 9999 there is no way to write it; such clocks are cut to the nearest day that has one.
    ordinal = min(max(day + _EPOCH_DAY, 1), datetime.date.max.toordinal())
    date = datetime.date.fromordinal(ordinal)
    return date.day, _NAMES[date.month - 1], date.year, _WEEKDAYS[date.weekday()]


def _zone(minutes: int) -> str:
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{sign}{minutes // 60:02d}{minutes % 60:02d}"


def imap_date_time(epoch: float, zone: int = 0) -> bytes:
    """``"22-Nov-2026 15:31:11 +0000"`` with its quotes, the day padded to two places by a blank (RFC 3501 §9)."""
    day, second = divmod(int(epoch) + zone * 60, 86400)
    number, month, year, _ = _civil(day)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f'"{number:2d}-{month}-{year:04d} {clock} {_zone(zone)}"'.encode("ascii")


def mail_date_time(epoch: float, zone: int = 0) -> str:
    """``Sun, 22 Nov 2026 15:31:11 +0000`` (RFC 5322 §3.3)."""
    day, second = divmod(int(epoch) + zone * 60, 86400)
    number, month, year, weekday = _civil(day)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{weekday}, {number} {month} {year:04d} {clock} {_zone(zone)}"
