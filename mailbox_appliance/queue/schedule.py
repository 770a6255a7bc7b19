"""When a recipient is tried again, and when it is given up: tables, read aloud as "after the n-th try wait …".

All waits are multiples of ``first_retry`` (300 s unless configured), so that one key makes the whole table faster.
Greylisting (a 450 or 451 at RCPT that says so) wants one early second try (RFC 6647 §4.2), then patience.
"""

from __future__ import annotations

import re

from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.values import dataclass

HOUR = 3600.0
DAY = 24 * HOUR

# after try        1    2    3    4    5     6     7     8 and later    with 300 s: 5 m 5 m 10 m 15 m 30 m 1 h 2 h 4 h
WAITS: tuple[float, ...] = (1.0, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 48.0)
# the same for the first tries of a recipient whose host greylists us                      with 300 s: 1 m 2 m 5 m 10 m
GREYLISTED: tuple[float, ...] = (0.2, 0.4, 1.0, 2.0)
# how long a destination rests that could not be reached n times in a row                  with 300 s: 5 m 10 m 30 m
RESTS: tuple[float, ...] = (1.0, 2.0, 6.0)

_GREYLISTING = re.compile(
    r"gr[ae]y.?list|come back later|try again (?:later|in)|temporarily deferred|please retry", re.I
)
_GREYLISTING_CODES = frozenset({450, 451})


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds. ``give_up`` and ``delay_notice`` count from the message's arrival (or from when it was let go)."""

    first_retry: float = 300.0
    give_up: float = 5 * DAY
    delay_notice: float = 4 * HOUR

    def wait(self, tries: int, outcome: Outcome) -> float:
        """How long to wait after the ``tries``-th try (from 1) ended in ``outcome``."""
        table = GREYLISTED if tries <= len(GREYLISTED) and is_greylisting(outcome) else WAITS
        return self.first_retry * table[min(tries, len(table)) - 1]

    def next_attempt(self, now: float, expires: float, tries: int, outcome: Outcome) -> float | None:
        """The time of the next try, the last one when time is up; None when it is over."""
        if now >= expires:
            return None
        return min(now + self.wait(tries, outcome), expires)

    def rest(self, times: int) -> float:
        """How long a destination rests that could not be reached ``times`` times in a row (from 1)."""
        return self.first_retry * RESTS[min(times, len(RESTS)) - 1]


def is_greylisting(outcome: Outcome) -> bool:
    """Does the next host want us to come back, as it wants it of every stranger?"""
    reply = outcome.reply
    return outcome.remote and reply.code in _GREYLISTING_CODES and _GREYLISTING.search(reply.text) is not None
