"""What others say of mail in our name: ``report`` sums up DMARC and TLS reports."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import text_argument
from mailbox_appliance.checks.lookups import Inquiry
from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.mailauth.lookups import Question
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.reports.memory import KEPT, ReportMemory
from mailbox_appliance.reports.words import add_up, summary

DAY = 86_400.0
USUAL_DAYS = 7
MOST_NAMES = 20
LOOK_UP_SECONDS = 5.0


class ReportsDesk:
    """``own_addresses`` are this machine's public ones; ``resolver`` None: nobody is asked for names."""

    def __init__(
        self,
        memory: ReportMemory,
        directory: Directory,
        clock: Clock,
        own_addresses: Callable[[], frozenset[str]],
        hostname: Callable[[], str],
        resolver: Resolver | None,
    ) -> None:
        self._memory = memory
        self._directory = directory
        self._clock = clock
        self._own_addresses = own_addresses
        self._hostname = hostname
        self._resolver = resolver

    async def report(self, arguments: Arguments) -> Result:
        """The last days, of every domain or one."""
        days = _days(arguments)
        ours = self._directory.domains()
        wanted = text_argument(arguments, "domain").strip().lower() if arguments.get("domain") else ""
        try:
            kept = await self._memory.since(self._clock.seconds() - days * DAY, wanted)
        except (DatabaseTrouble, sqlite3.Error, OSError, Busy) as error:
            raise Refused(f"the reports cannot be read: {error}") from None
        reported = {one.report.domain for one in kept}
        if wanted and wanted not in ours | reported:
            raise Refused(f"{wanted} is not one of our domains")
        domains = [wanted] if wanted else sorted(ours | reported)
        if not domains:
            return Result(("no domain yet",), data=[])
        own = set(self._own_addresses())
        names: dict[str, str] = {}
        if self._resolver is not None and kept:
            inquiry = Inquiry(self._resolver, self._clock, LOOK_UP_SECONDS)
            own |= await _addresses_of(inquiry, self._hostname())
            shown = [one.address for domain in domains for one in add_up(domain, kept, frozenset(own), {})[:MOST_NAMES]]
            names = await _names_of(inquiry, list(dict.fromkeys(shown))[:MOST_NAMES])
        lines, data = summary(domains, kept, days, frozenset(own), names)
        return Result(tuple(lines), data=data)


def _days(arguments: Arguments) -> int:
    said: Any = arguments.get("days")
    if said is None or said == "":
        return USUAL_DAYS
    text = str(said)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= KEPT / DAY):
        raise Refused(f"--days takes a number from 1 to {KEPT / DAY:.0f}")
    return int(text)


async def _addresses_of(inquiry: Inquiry, host: str) -> set[str]:
    """Behind NAT our address is the one our name has."""
    answers = await inquiry.ask(((host, "A"), (host, "AAAA")))
    return {str(record) for answer in answers for record in answer.records}


async def _names_of(inquiry: Inquiry, addresses: list[str]) -> dict[str, str]:
    import ipaddress

    questions: dict[str, Question] = {}
    for text in addresses:
        if text != "?":
            questions[text] = (ipaddress.ip_address(text).reverse_pointer, "PTR")
    answers = await inquiry.ask(tuple(questions.values()))
    return {
        text: str(answer.records[0])[:80] for text, answer in zip(questions, answers, strict=True) if answer.records
    }
