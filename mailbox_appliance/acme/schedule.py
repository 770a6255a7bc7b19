"""When to order, and when to try again: tables to be read aloud.

=====================================================  ====================================================
a certificate of ACME                                  is ordered again at 2/3 of its life, up to 2 % later
an order that failed                                   1, 5, 15 min, 1, 4, 12 h, then daily, each ± 20 %
names that were left out                               are tried again after a day
whatever waits                                         is looked at again twice a day (clocks jump)
=====================================================  ====================================================

Let's Encrypt bears 5 failures of one name an hour; the first hour here has four.
"""

from __future__ import annotations

RETRY_AFTER = (60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 86400.0)
DAILY = 86400.0
LOOK_AGAIN = 43200.0


def renewal_moment(not_before: float, not_after: float, chance: float) -> float:
    """When to order anew (epoch seconds); ``chance`` 0 … 1 spreads many servers' orders."""
    life = not_after - not_before
    return not_before + life * (2 / 3 + 0.02 * chance)


def retry_delay(failures: int, chance: float) -> float:
    """Seconds to wait after the ``failures``-th failure in a row (1 is the first)."""
    base = RETRY_AFTER[min(max(failures, 1), len(RETRY_AFTER)) - 1]
    return base * (0.8 + 0.4 * chance)
