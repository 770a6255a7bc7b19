"""From slots to an opinion, and from a lesson to what it changes: logistic regression, one step a lesson.

A memory is an array of whole numbers, one a slot. A view's score is their sum over its slots, scaled down by the
root of the view's size, so that long messages do not shout. A lesson adds the same whole number to every slot of a
view, so that taking the lesson back is a subtraction and exact, whatever was learnt in between. A step grows with the
error and is nothing when the answer was right by a clear margin (train on error or near it); for wanted mail it is
three times as large, because losing a letter is worse than reading an advertisement.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from operator import add, itemgetter

from mailbox_appliance.junk.features import SLOTS, Features
from mailbox_appliance.mail.values import dataclass

UNIT = 1 << 14  # a weight of 1.0
_RATE = 10.0
_WANTED_COUNTS = 3.0
_MARGIN = 0.99
_TRIES = 4
_LARGEST_STEP = 1 << 18  # of one lesson: 16.0; a slot can hold eight thousand such
_LARGEST_SCORE = 30.0


@dataclass(frozen=True, slots=True)
class Steps:
    """What one lesson adds to each slot of each view, in units."""

    reading: int = 0
    glance: int = 0
    bearing: int = 0

    def __neg__(self) -> Steps:
        return Steps(-self.reading, -self.glance, -self.bearing)

    def __add__(self, other: Steps) -> Steps:
        return Steps(
            _bounded(self.reading + other.reading),
            _bounded(self.glance + other.glance),
            _bounded(self.bearing + other.bearing),
        )

    def halves(self) -> tuple[Steps, Steps]:
        """Two steps that make this one together: for a person's memory and the family's."""
        half = Steps(self.reading // 2, self.glance // 2, self.bearing // 2)
        rest = Steps(self.reading - half.reading, self.glance - half.glance, self.bearing - half.bearing)
        return half, rest


def _bounded(step: int) -> int:
    return max(-_LARGEST_STEP, min(_LARGEST_STEP, step))


def empty() -> array[int]:
    """A memory that knows nothing."""
    return array("i", bytes(4 * SLOTS))


def apply(weights: array[int], slots: array[int], step: int) -> None:
    """Add ``step`` to each slot. (The margin and the largest step keep weights far from the edge of 32 bits.)"""
    if step:
        for slot in slots:
            weights[slot] += step


def probability(score: float) -> float:
    """The logistic function."""
    return 1.0 / (1.0 + math.exp(-max(-_LARGEST_SCORE, min(_LARGEST_SCORE, score))))


def scale_of(slots: array[int]) -> float:
    """What a weight of one unit in one slot adds to the view's score."""
    return 1.0 / (UNIT * math.sqrt(len(slots) or 1))


def totals(memories: Sequence[array[int]], slots: array[int]) -> Sequence[int]:
    """What all memories together hold in each slot."""
    if not memories or len(slots) < 2:
        return [sum([weights[slot] for weights in memories]) for slot in slots]
    taken = itemgetter(*slots)  # half the time of a loop
    found: Sequence[int] = taken(memories[0])
    for weights in memories[1:]:
        found = list(map(add, found, taken(weights)))
    return found


def view_score(memories: Sequence[array[int]], slots: array[int]) -> float:
    """One view's score by all memories together."""
    if len(slots) < 2:
        return sum(totals(memories, slots)) * scale_of(slots)
    taken = itemgetter(*slots)
    return sum([sum(taken(weights)) for weights in memories]) * scale_of(slots)


def views_of(features: Features) -> tuple[array[int], array[int], array[int]]:
    """Reading, glance, bearing: the order of Steps."""
    return features.reading, features.glance, features.bearing


def step_of(score: float, size: int, junk: bool) -> int:
    """The step of one view with ``size`` slots that now has ``score``; 0 when it is right by the margin."""
    if not size:
        return 0
    total = 0
    root = math.sqrt(size)
    for _ in range(_TRIES):
        found = probability(score)
        if (found > _MARGIN) if junk else (found < 1.0 - _MARGIN):
            break
        step = round(_RATE * ((1.0 if junk else 0.0) - found) * (1.0 if junk else _WANTED_COUNTS) / root * UNIT)
        total += step
        score += step * root / UNIT
    return _bounded(total)


def steps_of(memories: Sequence[array[int]], features: Features, junk: bool) -> Steps:
    """What a lesson changes, from what the memories say now."""
    return Steps(*[step_of(view_score(memories, slots), len(slots), junk) for slots in views_of(features)])
