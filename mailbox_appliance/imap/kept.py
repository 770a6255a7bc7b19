"""What is kept of an open mailbox for SORT and THREAD: packed arrays and a few answers, all of it disposable."""

from __future__ import annotations

from array import array
from dataclasses import field

from mailbox_appliance.mail.values import dataclass

MOST_ANSWERS = 4  # of THREAD, kept a mailbox
LARGEST_ANSWER = 1 << 20  # octets


@dataclass(slots=True)
class Values:
    """``values`` run in step with ``uids``."""

    uids: array[int]
    values: array[int]


@dataclass(slots=True)
class Kept:
    """Of one open mailbox."""

    criteria: dict[str, Values] = field(default_factory=dict)
    threads: dict[tuple[str, bool, bytes], bytes] = field(default_factory=dict)
