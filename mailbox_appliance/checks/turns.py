"""Whose turn it is: a domain's signing keys from publication to removal (RFC 6376 §3.6.1, §6.1.2).

=========== =============================================== ==========================================
state       when                                            what the owner does
=========== =============================================== ==========================================
signs       the newest whose record the world has seen for  keeps it published
            a day; else the oldest
waits       made, and not yet seen for a day                publishes it
retired     another signs since less than two weeks         keeps it published: mail is still on its way
removable   another signs for longer                        takes it out of the DNS
=========== =============================================== ==========================================

A key whose record nobody has seen never signs while there is another: signatures without a record count as none.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.mail.values import dataclass

SIGNS, WAITS, RETIRED, REMOVABLE = "signs", "waits", "retired", "removable"
SETTLE = 86_400.0  # seconds: for "there is no such record" to leave the caches of others
KEEP_OLD = 14 * 86_400.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One key: when it was made, and when its record was first seen in the DNS (None: not yet)."""

    selector: str
    algorithm: str
    made: float
    seen: float | None = None

    def is_ripe(self, now: float) -> bool:
        """Has the world had time to see it?"""
        return self.seen is not None and now >= self.seen + SETTLE


def states(keys: Sequence[Turn], now: float) -> dict[str, str]:
    """The state of each key by its selector."""
    found: dict[str, str] = {}
    for algorithm in dict.fromkeys(one.algorithm for one in keys):
        mine = sorted((one for one in keys if one.algorithm == algorithm), key=lambda one: (one.made, one.selector))
        at = max((number for number, one in enumerate(mine) if one.is_ripe(now)), default=0)
        for number, one in enumerate(mine):
            if number == at:
                found[one.selector] = SIGNS
            elif number > at:
                found[one.selector] = WAITS
            else:
                # It signed until the first of its successors was ripe.
                began = min(after.seen for after in mine[number + 1 :] if after.is_ripe(now) and after.seen is not None)
                found[one.selector] = REMOVABLE if now - (began + SETTLE) >= KEEP_OLD else RETIRED
    return found
