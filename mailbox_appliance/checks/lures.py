"""What a letter wants, by its words: the usual lures of fraud, in the languages of the house's neighbourhood.

A lure is a row of groups of words and phrases (``lures.txt``), and is found when every group has one of its own in the
letter: one word alone never says anything. Of all that is found the heaviest counts, once. Blanks and signs that are
not seen do not matter.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Evidence

MOST = 8_000  # characters that are read
_WORD = re.compile(r"[^\W_]+")
_PATTERNS = {
    "<phone>": re.compile(r"(?<![\w.])(?:\+?\d{1,3}[ .\-]?)?\(?\d{3}\)?[ .\-]\d{3}[ .\-]\d{4}(?!\d)"),
    "<wallet>": re.compile(
        r"\b(?:bc1[a-z0-9]{25,60}|[13][a-km-zA-HJ-NP-Z1-9]{25,34}|0x[0-9a-fA-F]{40}|T[1-9A-HJ-NP-Za-km-z]{33})\b"
    ),
    "<fortune>": re.compile(
        r"\b\d{1,3}(?:[.,]\d+)? ?(?:million(?:en|s|es)?|millones|milioni|mio|mill)\b"
        r"|\b\d{1,3}(?:[.,]000){2}\b|\b[1-9]\d{2}[.,]000[.,]00\b",
        re.IGNORECASE,
    ),
    "<small sum>": re.compile(r"(?<![\d.,])[1-4][.,]\d\d(?![\d.,])"),
}
# What the firms whose names are borrowed (checks/brands) write themselves, in such words.
_OF_FIRMS = frozenset({"call back", "mailbox", "parcel fee"})


@dataclass(frozen=True, slots=True)
class Group:
    """One of these must be there."""

    words: frozenset[str]
    phrases: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class Lure:
    """All groups must be there; ``reason`` is the owner's."""

    name: str
    reason: str
    groups: tuple[Group, ...]


@functools.cache
def lures() -> tuple[Lure, ...]:
    """The table, read once."""
    with open(os.path.join(os.path.dirname(__file__), "lures.txt"), encoding="utf-8") as file:
        return tuple(read_lures(file.read()))


def read_lures(text: str) -> list[Lure]:
    """``[name] reason``, then groups that begin with "+"; lines with "#" are remarks."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found = []
    for name, reason, rows in re.findall(r"^\[([a-z ]+)\] (.*)\n((?:[+ ].*\n?)+)", plain, re.MULTILINE):
        groups = []
        for row in rows.split("+")[1:]:
            entries = [entry.strip() for entry in " ".join(row.split()).split(",")]
            words = frozenset(entry for entry in entries if _WORD.fullmatch(entry))
            phrases = tuple(entry for entry in entries if entry not in words and entry not in _PATTERNS)
            groups.append(Group(words, phrases, tuple(_PATTERNS[entry] for entry in entries if entry in _PATTERNS)))
        # Patterns cost most, then phrases: where the words of one group are not there, neither is asked for.
        groups.sort(key=lambda group: (len(group.patterns), len(group.phrases)))
        found.append(Lure(name, reason, tuple(groups)))
    return found


def check_lures(text: str, figures: Mapping[str, float], *, of_firm: bool = False) -> list[Evidence]:
    """The heaviest lure of a letter (subject and what is seen of its text), by the ``figures`` of "lure NAME".

    ``of_firm``: the author is one of checks/brands.
    """
    text = text[:MOST].replace("’", "'")
    pieces = text.lower().split()
    low = " ".join(pieces)
    words = frozenset(_WORD.findall(" ".join(set(pieces))))  # a word never reaches over a blank
    found = [
        lure
        for lure in lures()
        if not (of_firm and lure.name in _OF_FIRMS) and all(_has(group, low, words, text) for group in lure.groups)
    ]
    if not found:
        return []
    worst = max(found, key=lambda lure: figures.get(f"lure {lure.name}", 0.0))
    return [Evidence("lure", worst.name, reason=worst.reason)]


def _has(group: Group, low: str, words: frozenset[str], text: str) -> bool:
    return (
        not words.isdisjoint(group.words)
        or any(phrase in low for phrase in group.phrases)
        or any(pattern.search(text) for pattern in group.patterns)
    )
