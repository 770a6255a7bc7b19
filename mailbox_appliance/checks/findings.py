"""What was found lately, for as long as the DNS still says the same.

The same senders write again and again, and their records stay the same for hours. A finding that is made of look-ups
and of its key alone holds while each answer it was made of is still the one the resolver remembers: as soon as one of
them has run out or was asked for anew, the work is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from mailbox_appliance.mailauth.lookups import Answers, Ask, Question, settle
from mailbox_appliance.ports.dns import Answer

T = TypeVar("T")

MOST = 512  # findings
MOST_READ = 40  # answers behind one of them
MOST_OCTETS = 8192  # of those answers


class Findings:
    """One for all messages. What is kept is never changed by anybody."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[Hashable, tuple[tuple[tuple[Question, Answer], ...], object]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def settle(self, key: Hashable, job: Callable[[Answers], T], answers: Answers, ask: Ask) -> T:
        """``mailauth.lookups.settle``; ``key`` holds everything that ``job`` looks at besides the answers."""
        kept = self._kept.get(key)
        if kept is not None and answers.are(kept[0]):
            return kept[1]  # type: ignore[return-value]
        result = await settle(job, answers, ask)
        self._kept.pop(key, None)
        if len(answers.read) <= MOST_READ and _size(answers.read) <= MOST_OCTETS:
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = tuple(answers.read.items()), result
        return result


def _size(read: dict[Question, Answer]) -> int:
    return sum(
        len(record) if isinstance(record, bytes | str) else 64 for one in read.values() for record in one.records
    )
