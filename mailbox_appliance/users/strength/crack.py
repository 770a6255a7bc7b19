"""The pass itself: every account's next candidate in turn, who has tried least first, until the time is over."""

from __future__ import annotations

import heapq
import itertools
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.users.strength.candidates import Candidate, Lists, candidates, order_of

SAY_EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Work:
    """One account: its hash, its own words, and how far which order was tried before."""

    number: int
    hash: str = field(repr=False)
    words: tuple[str, ...]
    order: str = ""
    tried: int = 0


class Cracking:
    """``fits(hash, candidate)`` is the costly question; ``say(what, **facts)`` never gets a candidate."""

    def __init__(
        self,
        works: Sequence[Work],
        lists: Lists,
        fits: Callable[[str, bytes], bool],
        now: Callable[[], float],
        say: Callable[..., None],
    ) -> None:
        self._fits = fits
        self._now = now
        self._say = say
        self._works = {work.number: work for work in works}
        self._orders = {work.number: order_of(lists, work.words) for work in works}
        self._tried: dict[int, int] = {}
        self._sources: dict[int, Iterator[Candidate]] = {}
        for work in works:
            done = work.tried if work.order == self._orders[work.number] else 0
            self._tried[work.number] = done
            self._sources[work.number] = itertools.islice(candidates(work.words, lists), done, None)
        self.guesses = 0

    def run(self, seconds: float) -> None:
        """Try until the time is over or nothing is left; says "progress", "found", "through" and last "end"."""
        until = self._now() + seconds
        told = self._now()
        turns = [(tried, number) for number, tried in self._tried.items()]
        heapq.heapify(turns)
        while turns and self._now() < until:
            tried, number = heapq.heappop(turns)
            candidate, kind = next(self._sources[number], ("", ""))
            if not kind:
                self._say("through", account=number)
                continue
            self.guesses += 1
            self._tried[number] = tried + 1
            if self._fits(self._works[number].hash, unicodedata.normalize("NFC", candidate).encode()):
                self._say("found", account=number, how=kind)
            else:
                heapq.heappush(turns, (tried + 1, number))
            if self._now() - told >= SAY_EVERY:
                told = self._now()
                self._tell("progress")
        self._tell("end")

    def _tell(self, what: str) -> None:
        tried = {str(number): [self._orders[number], done] for number, done in self._tried.items()}
        self._say(what, guesses=self.guesses, tried=tried)
