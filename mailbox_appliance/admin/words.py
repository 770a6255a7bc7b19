"""How figures are said to people: sizes, times, spans; and how arguments that people type are read."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from mailbox_appliance.admin.result import Refused, refusing
from mailbox_appliance.mail.address import Address, AddressError, domain_to_ascii


def size_words(octets: int) -> str:
    """Octets as a person says them: 1024 of each make the next."""
    if octets < 1024:
        return f"{octets} B"
    amount = float(octets)
    for unit in ("KB", "MB", "GB", "TB"):
        amount /= 1024
        if amount < 1024 or unit == "TB":
            break
    return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.1f} {unit}"


def moment_words(moment: float | None) -> str:
    """An epoch time as local date and time; '' for none."""
    return "" if not moment else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def iso_moment(moment: float | None) -> str | None:
    """An epoch time in UTC for machines."""
    return None if not moment else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def iso_day(moment: float) -> str:
    """A day in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def span_words(seconds: float) -> str:
    """A length of time: "40 s", "5 min", "3 h", "12 days"."""
    for limit, length, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / length:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def text_argument(arguments: Mapping[str, Any], name: str, said: str = "") -> str:
    """An argument that must be there; ``said`` is how people type its name. Raises Refused."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"{said or name} is missing")
    return value.strip()


def address_argument(arguments: Mapping[str, Any], name: str = "address") -> Address:
    """An address as typed. Raises Refused."""
    with refusing(AddressError):
        return Address.parse(text_argument(arguments, name))


def past_argument(arguments: Mapping[str, Any], name: str, now: float, default: float) -> float:
    """A moment in the past as typed: "2026-11-20", "2026-11-20 14:30", "3 days", "12h",
    "yesterday". Raises Refused."""
    value = str(arguments.get(name) or "").strip()
    if not value:
        return default
    if value in ("today", "yesterday"):
        day = time.localtime(now - (value == "yesterday") * 86_400)
        return time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))
    span = re.fullmatch(r"(\d{1,6}) ?(min|h|d|hours?|days?|minutes?|weeks?)", value)
    if span is not None:
        return now - int(span[1]) * {"m": 60, "h": 3600, "d": 86400, "w": 604800}[span[2][0]]
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return time.mktime(time.strptime(value, form))
        except (ValueError, OverflowError):
            continue
    raise Refused(f'--{name} {value}: write a day ("2026-11-20"), a moment ("2026-11-20 14:30") or a span ("3 days")')


def domain_argument(arguments: Mapping[str, Any], name: str = "domain") -> str:
    """A domain as typed, as A-labels. Raises Refused."""
    with refusing(AddressError):
        return domain_to_ascii(text_argument(arguments, name).removeprefix("@"))


def list_argument(arguments: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """None, one or several words."""
    value = arguments.get(name) or ()
    if isinstance(value, str):
        value = (value,)
    return tuple(str(word).strip() for word in value if str(word).strip())
