"""Answers while somebody is away: vacation set|show|off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin.result import Refused, Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import text_argument
from mailbox_appliance.mail.vacation import VacationNotice
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.users.answers import UsersError

if TYPE_CHECKING:
    from mailbox_appliance.users.desks.vacations import VacationInfo, Vacations

DAY = 86_400.0


class VacationDesk:
    """One notice an account; times are days of the machine's own time zone."""

    def __init__(self, vacations: Vacations, clock: Clock) -> None:
        self._vacations = vacations
        self._clock = clock

    async def set(self, arguments: Arguments) -> Result:
        """Answer from now on, or from one day to another."""
        begins, ends = _day(arguments, "begin"), _day(arguments, "end")
        if ends and ends + DAY <= self._clock.seconds():
            raise Refused("--end is in the past")
        notice = VacationNotice(
            text=text_argument(arguments, "text", "--text").replace("\\n", "\n").replace("\r\n", "\n"),
            subject=str(arguments.get("subject") or "").strip(),
            begins=begins,
            ends=_next_day(ends) if ends else 0.0,
            days=_number(arguments, "days", 7),
            addresses=tuple(one.strip() for one in str(arguments.get("also") or "").split(",") if one.strip()),
        )
        with refusing(UsersError):
            info = await self._vacations.set(text_argument(arguments, "address"), notice)
        facts = _facts(info, self._clock.seconds())
        words = f"{info.account} answers {_span(facts)}; each sender once in {notice.days} days"
        return Result((words,), data=facts)

    async def show(self, arguments: Arguments) -> Result:
        """The notices there are."""
        with refusing(UsersError):
            found = await self._vacations.listing(str(arguments.get("address") or ""))
        now = self._clock.seconds()
        rows = [_facts(one, now) for one in found]
        return listing(("account", "state", "begin", "end", "days", "subject", "text"), rows, "nobody is away")

    async def off(self, arguments: Arguments) -> Result:
        """Answer nobody any more."""
        address = text_argument(arguments, "address")
        with refusing(UsersError):
            was_on = await self._vacations.off(address)
        words = f"{address} answers nobody any more" if was_on else f"{address} had no vacation notice"
        return Result((words,), data={"account": address, "was_set": was_on})


def _facts(info: VacationInfo, now: float) -> dict[str, Any]:
    notice = info.notice
    state = "on" if notice.is_on(now) else "waits" if now < notice.begins else "over"
    return {
        "account": info.account,
        "state": state,
        "begin": _date(notice.begins),
        "end": _date(notice.ends - 1) if notice.ends else "",
        "days": notice.days,
        "subject": notice.subject,
        "text": notice.text,
        "also": list(notice.addresses),
    }


def _span(facts: dict[str, Any]) -> str:
    begin = f"from {facts['begin']}" if facts["begin"] else "from now on"
    return f"{begin} until the end of {facts['end']}" if facts["end"] else begin


def _date(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment)) if moment else ""


def _day(arguments: Arguments, name: str) -> float:
    text = str(arguments.get(name) or "").strip()
    if not text:
        return 0.0
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%d"))
    except (ValueError, OverflowError):
        raise Refused(f"--{name}: {text!r} is no day; write it as 2026-12-24") from None


def _next_day(moment: float) -> float:
    there = time.localtime(moment)
    return time.mktime((there.tm_year, there.tm_mon, there.tm_mday + 1, 0, 0, 0, 0, 0, -1))


def _number(arguments: Arguments, name: str, default: int) -> int:
    text = str(arguments.get(name) or "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Refused(f"--{name}: {text!r} is no number")
    return int(text)
