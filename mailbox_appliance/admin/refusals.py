"""What strangers brought and did not get rid of: spam refused."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from mailbox_appliance.admin.judgements import JUDGED
from mailbox_appliance.admin.result import Result, listing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import address_argument, iso_moment, moment_words, past_argument
from mailbox_appliance.journal.lines import parse_facts
from mailbox_appliance.ports.clock import Clock

MOST = 200  # that are shown, the newest
_DAY = 86_400.0
_CONTENT, _RECIPIENT, _ONE, _RESTED = (
    "smtp.message_refused",
    "smtp.recipient_refused",
    "delivery.refused",
    "delivery.rested",
)
_NOBODY = ("5.1.1", "5.1.2", "5.1.6")  # RCPT for whom nobody knows is the guard's affair, not the filter's
_COLUMNS = ("time", "id", "from", "to", "what", "why", "kept_in")


class Trails(Protocol):
    """Filled by the journal."""

    def search(self, text: str) -> Awaitable[tuple[Any, ...]]:
        """The steps that ``text`` names, oldest first."""

    def recent(self, names: Sequence[str], since: float, most: int) -> Awaitable[tuple[Any, ...]]:
        """The newest steps of these names, oldest first."""


class RefusalDesk:
    """Of strangers' mail only: what our own people could not send they have been told."""

    def __init__(self, trails: Trails, clock: Clock) -> None:
        self._trails = trails
        self._clock = clock

    async def refused(self, arguments: Arguments) -> Result:
        """The newest, oldest first; of everybody or one account."""
        now = self._clock.seconds()
        since = past_argument(arguments, "since", now, now - _DAY)
        person = str(address_argument(arguments).folded()).lower() if arguments.get("address") else ""
        rows: dict[str, dict[str, Any]] = {}
        for step in await self._trails.recent((_CONTENT, _RECIPIENT, _ONE), since, 4 * MOST):
            facts = parse_facts(step.facts)
            answer = facts.get("told") or facts.get("reply", "")
            if facts.get("account") or facts.get("service", "smtp") != "smtp":
                continue
            if step.name == _RECIPIENT and any(code in answer for code in _NOBODY):
                continue
            row = rows.setdefault(step.trace or f" {len(rows)}", {"seconds": step.time, "id": step.trace, "to": []})
            row["from"] = row.get("from") or facts.get("sender", "")
            row["to"] += [one for one in facts.get("recipient", "").split(",") if one and one not in row["to"]]
            row["what"] = "put off" if answer.startswith("4") else "refused"
            row["why"] = answer.partition(" ")[2].partition(" ")[2] or answer
        chosen = [row for row in rows.values() if not person or person in map(str.lower, row["to"])][-MOST:]
        for row in chosen:
            await self._complete(row)
        shown = [row | {"time": moment_words(row["seconds"])} for row in chosen]
        data = [row | {"time": iso_moment(row["seconds"])} for row in chosen]
        result = listing(_COLUMNS, shown, "nothing was refused since " + moment_words(since))
        if not chosen:
            return result
        lines = (
            "`mailappliance spam why ID` explains one",
            "what is kept in Rejects stays there for 14 days: whoever misses it moves it out with his mail program",
        )
        return Result(lines if any(row["kept_in"] for row in chosen) else lines[:1], result.table, data)

    async def _complete(self, row: dict[str, Any]) -> None:
        """Who wrote it, what decided, and where a copy rests."""
        row["kept_in"] = []
        for step in await self._trails.search(row["id"]) if row["id"] else ():
            if step.trace != row["id"]:
                continue
            facts = parse_facts(step.facts)
            if step.name == JUDGED:
                row["from"] = facts.get("author") or row["from"]
                row["why"] = _short(facts.get("reason", "")) or row["why"]
            elif step.name == _RESTED:
                row["kept_in"].append(f"{facts.get('mailbox', '')} of {facts.get('account', '')}")


def _short(reason: str) -> str:
    """What decided, or the heaviest piece of the sum."""
    head, points, rest = reason.partition(" points of ")
    if points:
        return f"{head} points: {rest.partition(': ')[2].partition(' (')[0]}"
    return reason.partition(":")[0]
