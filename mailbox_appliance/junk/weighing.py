"""From slots to an opinion, and from a lesson to what it changes: the widest margin, found step by step.

A memory is an array of whole numbers, one a slot. A view's score is their sum over its slots, scaled down by the
root of the view's size, so that long messages do not shout; the message's score is the sum of its views'. A lesson that
is not right by MARGIN adds to every slot of every view what makes it so; one that went further than it needs to is
taken back as far, never beyond nothing. Lessons that are gone over again and again in this way end at the widest margin
between junk and wanted mail (dual coordinate descent for a support vector machine, Hsieh et al. 2008). A lesson adds
the same whole number to every slot of a view, so that taking it back is a subtraction and exact, whatever was
learnt in between.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from operator import add, itemgetter

from mailbox_appliance.junk.features import SLOTS, VIEWS, Features
from mailbox_appliance.mail.values import dataclass

UNIT = 1 << 14  # a weight of 1.0
MARGIN = 10.0  # logits by which a lesson should be right
FAR = 12.0  # logits: a message that was right by as much needs no going over
_LARGEST_STEP = 1 << 18  # of one lesson: 16.0; a slot can hold eight thousand such
_LARGEST_SCORE = 30.0


@dataclass(frozen=True, slots=True)
class Steps:
    """What one lesson adds to each slot of each view, in units; in the order of VIEWS."""

    of: tuple[int, ...] = (0,) * len(VIEWS)

    def __neg__(self) -> Steps:
        return Steps(tuple([-step for step in self.of]))

    def __add__(self, other: Steps) -> Steps:
        return Steps(tuple([_bounded(one + two) for one, two in zip(self.of, other.of, strict=True)]))

    def __bool__(self) -> bool:
        return any(self.of)

    def halves(self) -> tuple[Steps, Steps]:
        """Two steps that make this one together: for a person's memory and the family's."""
        half = tuple([step // 2 for step in self.of])
        return Steps(half), Steps(tuple([step - part for step, part in zip(self.of, half, strict=True)]))

    def on_top_of(self, held: Steps, junk: bool) -> Steps:
        """As much of this as a lesson that already holds ``held`` may take: it never speaks for the other kind."""
        out = []
        for step, now in zip(self.of, held.of, strict=True):
            after = _bounded(now + step)
            out.append((max(after, 0) if junk else min(after, 0)) - now)
        return Steps(tuple(out))


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


def score_of(memories: Sequence[array[int]], views: Sequence[array[int]]) -> float:
    """What all memories together say of a message, in logits."""
    return sum([view_score(memories, slots) for slots in views])


def steps_of(score: float, views: Sequence[array[int]], junk: bool) -> Steps:
    """What makes a lesson that now has ``score`` right by MARGIN, neither more nor less."""
    known = sum([1 for slots in views if slots])
    if not known:
        return Steps()
    error = (MARGIN - score if junk else -MARGIN - score) / known
    return Steps(tuple([_bounded(round(error / math.sqrt(len(slots)) * UNIT)) if slots else 0 for slots in views]))


def is_far(score: float, junk: bool) -> bool:
    """Was the message right by so much that it teaches nothing?"""
    return score > FAR if junk else score < -FAR


def views_of(features: Features) -> tuple[array[int], ...]:
    """All views of a message."""
    return features.views
