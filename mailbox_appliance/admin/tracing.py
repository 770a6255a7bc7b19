"""A message's whole life, told to a person: trace ID|ADDRESS|MESSAGE-ID."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any, Protocol

from mailbox_appliance.admin.judgements import JUDGED, JUDGED_FOR, finding, harmless, told
from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, moment_words, text_argument
from mailbox_appliance.journal.lines import parse_facts
from mailbox_appliance.mail.trace import Event, Level

_TOLD_APART = ("account", "action", "score", "reason", "evidence", "otherwise")


class Step(Protocol):
    """journal.trail.TrailStep."""

    @property
    def time(self) -> float: ...
    @property
    def trace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def level(self) -> int: ...
    @property
    def facts(self) -> str: ...


class Trails(Protocol):
    """Filled by the journal."""

    def search(self, text: str) -> Awaitable[tuple[Any, ...]]:
        """The steps that ``text`` names, oldest first."""


class TraceDesk:
    """Steps of one message stand together; what belongs to no message stands where it happened."""

    def __init__(self, trails: Trails) -> None:
        self._trails = trails

    async def trace(self, arguments: Arguments) -> Result:
        """Tell it."""
        text = text_argument(arguments, "what")
        steps = await self._trails.search(text)
        if not steps:
            raise Refused(
                f"nothing is known of {text}: give a message's id, an address (whole) or a Message-ID; "
                "traces are kept for 90 days"
            )
        return Result(tuple(story(steps)), data=[_facts(step) for step in steps])


def story(steps: Iterable[Step]) -> Iterator[str]:
    """The lines: a head for each message, a line for each step, its facts below."""
    groups: dict[str, list[Step]] = {}
    for number, step in enumerate(steps):
        groups.setdefault(step.trace or f" {number}", []).append(step)
    sentences = event_sentences()
    first = True
    for trace, group in groups.items():
        if not first:
            yield ""
        first = False
        if not trace.startswith(" "):
            yield f"message {trace}"
        for step in group:
            sign = "!" if step.level <= Level.WARNING else " "
            yield f"{sign} {moment_words(step.time)}  {step.name}: {sentences.get(step.name, '')}".rstrip(": ")
            hidden = _TOLD_APART if step.name in (JUDGED, JUDGED_FOR) else ()
            facts = [f"{name} {value}" for name, value in parse_facts(step.facts).items() if name not in hidden]
            if facts:
                yield harmless("      " + "; ".join(facts))
            if hidden:
                yield from ("      " + line for line in told(finding(step.facts)))


@functools.cache
def event_sentences() -> dict[str, str]:
    """What each event means, from the first sentence of its class's docstring."""
    import mailbox_appliance.journal.events as catalogue

    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(catalogue.__path__):
        for value in vars(importlib.import_module(f"{catalogue.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Event) and value is not Event:
                sentence = " ".join((value.__doc__ or "").split("\n\n")[0].split())
                found[value.name] = sentence.replace("``", "")
    return found


def _facts(step: Step) -> dict[str, Any]:
    return {
        "time": iso_moment(step.time),
        "seconds": step.time,
        "id": step.trace,
        "event": step.name,
        "level": Level(step.level).name.lower(),
        "facts": parse_facts(step.facts),
    }
