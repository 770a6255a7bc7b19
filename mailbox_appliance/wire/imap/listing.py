"""Which mailbox names a LIST pattern takes (RFC 3501 §6.3.8): ``*`` any text, ``%`` any text within one level.

A pattern becomes a little automaton whose states are the bits of one integer: time grows with the length of the name
and not with the number of wildcards, whatever a client sends.
"""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR


def matcher(pattern: str) -> Callable[[str], bool]:
    """A test for ``pattern``; INBOX is compared without regard to case (RFC 3501 §5.1)."""
    if pattern == "*":
        return lambda name: True
    exact = _automaton(pattern)
    folded = _automaton(pattern.upper())
    return lambda name: exact(name) or (name == INBOX and folded(name))


def _automaton(pattern: str) -> Callable[[str], bool]:
    stays_any = 0  # states in which any character may be eaten
    stays_level = 0  # states in which any character but the separator may be eaten
    moves: dict[str, int] = {}  # by character: the states that it leads on from
    place = 0
    for sign in pattern:
        if sign == "*":
            stays_any |= 1 << place
        elif sign == "%":
            stays_level |= 1 << place
        else:
            moves[sign] = moves.get(sign, 0) | 1 << place
            place += 1
    stays_level |= stays_any

    def takes(name: str) -> bool:
        states = 1
        for sign in name:
            stay = stays_any if sign == SEPARATOR else stays_level
            states = states & stay | (states & moves.get(sign, 0)) << 1
            if not states:
                return False
        return bool(states >> place & 1)

    return takes
