"""What the filter knows on the first day: a small table written by hand (``prior.txt``), read once.

Nothing in it was counted in anybody's mail. It stays beside what people teach and is heard less the more they have
taught.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
from collections.abc import Mapping

from mailbox_appliance.junk.features import CLASSES, Features, hash_of

_WORDY = frozenset("word pair skip subject subjects loud path".split())
_USUAL_WORDS = 150  # in longer messages words and pairs count less
_MOST = 25.0  # the prior never says more than this

Table = Mapping[str, Mapping[int, float]]


class PriorBroken(ValueError):
    """The table cannot be read; str() names the line."""


def read_prior(text: str) -> Table:
    """Weights by class and hash. Raises PriorBroken."""
    table: dict[str, dict[int, float]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        head, colon, items = line.partition(": ")
        kind, _, weight = head.partition(" ")
        if not colon or kind not in CLASSES:
            raise PriorBroken(f"line {number}: expected `class weight: token | token`, class one of {CLASSES}")
        try:
            figure = float(weight)
        except ValueError:
            raise PriorBroken(f"line {number}: {weight!r} is no weight") from None
        for item in items.split("|"):
            table.setdefault(kind, {})[_hash(kind, item.strip().encode())] = figure
    return table


def _hash(kind: str, token: bytes) -> int:
    if kind in ("pair", "skip", "subjects"):
        first, _, second = token.partition(b" ")
        return hash_of(kind, first, second)
    return hash_of(kind, token)


@functools.cache
def shipped() -> Table:
    """The table that comes with the program."""
    with open(os.path.join(os.path.dirname(__file__), "prior.txt"), encoding="utf-8") as file:
        return read_prior(file.read())


def damping(features: Features) -> float:
    """How much words count in this message."""
    return min(1.0, math.sqrt(_USUAL_WORDS / (len(features.words) or 1)))


def prior_score(table: Table, features: Features) -> float:
    """What the table says of a message, in logits."""
    wordy = plain = 0.0
    for group in itertools.chain(features.groups, features.pairs()):
        known = table.get(group.kind)
        if known is None:
            continue
        found = known.keys() & group.hashes
        if found:
            total = sum(map(known.__getitem__, found))
            if group.kind in _WORDY:
                wordy += total
            else:
                plain += total
    return max(-_MOST, min(_MOST, plain + wordy * damping(features)))


def is_wordy(kind: str) -> bool:
    """Is this class of tokens counted less in long messages?"""
    return kind in _WORDY
