"""Where a verb meets its desk: the service answers the control socket with it, the command line offline."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments, Verb
from mailbox_appliance.admin.verbs import INNER, VERBS
from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.journal.events.admin import OperatorDid
from mailbox_appliance.ports.journal import Journal


class Desk:
    """``desks`` are instances of the classes named in VERBS; a verb whose desk is not among them is refused."""

    def __init__(
        self, desks: Iterable[object], journal: Journal, verbs: Iterable[Verb] = (*VERBS, *INNER), *, missing: str = ""
    ) -> None:
        """``missing``: what to say of a verb whose desk is not here."""
        self._missing = missing
        self._desks: dict[type, Any] = {type(desk): desk for desk in desks}
        self._verbs = {(verb.noun, verb.verb): verb for verb in verbs}
        self._journal = journal

    async def run(self, noun: str, verb: str, arguments: Arguments) -> Result:
        """Do it. Raises Refused."""
        try:
            return await self._run(noun, verb, arguments)
        except DatabaseTrouble as trouble:
            raise Refused(str(trouble)) from trouble
        except sqlite3.OperationalError as trouble:
            full = "full" in str(trouble)
            remedy = "make room on its disk" if full else "`mailappliance status` tells about the disk"
            raise Refused(f"the state cannot be read or written: {trouble}; {remedy}") from trouble

    async def _run(self, noun: str, verb: str, arguments: Arguments) -> Result:
        row = self._verbs.get((noun, verb))
        if row is None:
            raise Refused(f"this version has no `{noun} {verb}`")
        desk = self._desks.get(row.desk)
        if desk is None:
            raise Refused(self._missing or f"`mailappliance {row.name}` needs the running service: start it first")
        if not row.changes:
            return await row.run(desk, arguments)
        about = _about(row, arguments)
        try:
            result = await row.run(desk, arguments)
        except Refused as refused:
            self._journal.tell(OperatorDid(command=row.name, about=about, result="refused", reason=str(refused)))
            raise
        self._journal.tell(OperatorDid(command=row.name, about=about))
        return result


def _about(verb: Verb, arguments: Arguments) -> str:
    """What it was about, for the journal: everything typed but passwords."""
    words: list[str] = []
    for argument in verb.arguments:
        value = arguments.get(argument.name)
        if argument.kind in ("password", "files") or not value:
            continue
        if argument.kind in ("option", "flag"):
            words.append(f"--{argument.name}")
        if value is not True:
            words += [value] if isinstance(value, str) else [str(one) for one in value]
    return " ".join(words)[:500]
