"""What one person may do with a mailbox of another: the letters of RFC 4314 §2.1, and words an owner would use."""

from __future__ import annotations

from collections.abc import Iterable

# l see it, r read, s mark as read, w other flags, i put in, p (nothing here), k make below, x delete the mailbox,
# t mark as deleted, e expunge, a change these rights
LETTERS = "lrswipkxtea"
ALL: frozenset[str] = frozenset(LETTERS)
NONE: frozenset[str] = frozenset()
# RFC 4314 §2.1.1: the letters of RFC 2086, and what they stand for
OBSOLETE: dict[str, str] = {"c": "kx", "d": "te"}

WORDS: dict[str, str] = {
    "read": "lrs",
    "add": "lrsi",
    "write": "lrswite",
    "full": LETTERS,
}


class NoSuchRight(ValueError):
    """A letter that is no right; str() names it."""


def spelled(rights: Iterable[str]) -> str:
    """In the customary order.

    >>> spelled({"s", "l", "r"})
    'lrs'
    """
    held = frozenset(rights)
    return "".join([letter for letter in LETTERS if letter in held])


def told(rights: Iterable[str]) -> str:
    """As clients are told: with the obsolete letters that something of theirs stands behind (RFC 4314 §2.1.1).

    >>> told("lrte")
    'lrted'
    """
    held = frozenset(rights)
    return spelled(held) + "".join([old for old, new in OBSOLETE.items() if not held.isdisjoint(new)])


def read_rights(text: str) -> frozenset[str]:
    """Letters as a client writes them. Raises NoSuchRight.

    >>> sorted(read_rights("lrd"))
    ['e', 'l', 'r', 't']
    """
    found: set[str] = set()
    for letter in text:
        if letter not in ALL and letter not in OBSOLETE:
            raise NoSuchRight(f"there is no right {letter}")
        found.update(OBSOLETE.get(letter, letter))
    return frozenset(found)
