"""Why a message was judged so: its strongest tokens in words a person can read."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

from mailbox_appliance.junk.features import Features, Group
from mailbox_appliance.junk.prior import Table, damping, is_wordy
from mailbox_appliance.junk.weighing import scale_of
from mailbox_appliance.ports.junk import Token

_LONGEST = 60
_APART = {"pair": 1, "subjects": 1}
# Words that stand two apart ("skip") are counted, but mean little to a reader.
_NAMES = {
    "head": "header",
    "part": "parts",
    "html": "markup",
    "url": "link",
    "path": "link path",
    "word": "",
    "pair": "",
    "subject": "subject",
    "subjects": "subject",
    "loud": "capitals",
    "both": "together",
    "seen": "check",
}


def strongest(
    totals: Sequence[int], prior: Table, prior_share: float, features: Features, most: int
) -> tuple[Token, ...]:
    """The ``most`` tokens of the reading view that weighed most, strongest first.

    ``totals`` is what the memories hold in each slot of ``features.reading``.
    """
    scale = scale_of(features.reading)
    damped = damping(features) * prior_share
    sizes = list(map(abs, totals))
    least = max([1, *sorted(sizes)[-4 * most :][:1]])
    taught = {features.hashes[place]: totals[place] * scale for place, size in enumerate(sizes) if size >= least}
    found: list[tuple[float, Group, int]] = []
    for group in itertools.chain(features.groups, features.pairs()):
        if group.kind not in _NAMES:
            continue
        known = prior.get(group.kind, {})
        share = damped if is_wordy(group.kind) else prior_share
        for hashed in (taught.keys() | known.keys()).intersection(group.hashes):
            found.append((taught.get(hashed, 0.0) + known.get(hashed, 0.0) * share, group, hashed))
    best = heapq.nlargest(most, found, key=lambda row: abs(row[0]))
    return tuple([Token(_text(group, hashed), round(weight, 2)) for weight, group, hashed in best if weight])


def _text(group: Group, hashed: int) -> str:
    place = group.hashes.index(hashed)
    text = group.tokens[place].decode("utf-8", "replace")
    if group.kind in _APART:
        text = f"{text} {group.tokens[place + _APART[group.kind]].decode('utf-8', 'replace')}"
    name = _NAMES[group.kind]
    text = f"{name}: {text}" if name else f"“{text}”"
    return "".join([letter if letter.isprintable() else "?" for letter in text[:_LONGEST]])
