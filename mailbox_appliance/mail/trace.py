"""Names that follow a message through the house: the trace id, and the event that tells one step of its life."""

from __future__ import annotations

import enum
import random
from dataclasses import fields
from typing import ClassVar

from mailbox_appliance.mail.values import dataclass

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i l o u


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_trace_id(now: float) -> str:
    """A fresh id of 14 characters: 9 of time (milliseconds since 1970, so ids sort by time), 5 random.

    It stands in the Received field, in the 250 reply, in the queue, and in every journal line of the message. It is no
    secret, so it costs no system call.
    """
    return _base32(int(now * 1000) & (1 << 45) - 1, 9) + _base32(random.getrandbits(25), 5)


class Level(enum.IntEnum):
    """How loudly an event is said; the same words as syslog's."""

    DEBUG = 7
    INFO = 6
    NOTICE = 5
    WARNING = 4
    ERROR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. A subclass per kind of thing; ``journal`` makes line, counter and trail of it.

    ``trace`` is the message's trace id ("" when it concerns no message). Fields named ``peer``, ``sender``,
    ``recipient``, ``account`` and ``message_id`` are searched by ``mailappliance trace``. Fields hold str, int,
    float, bool, or tuples of str: never content, never secrets. A field ``private`` goes to the log, never to a peer.
    """

    name: ClassVar[str] = "event"  # "smtp.accepted": station.what
    level: ClassVar[Level] = Level.INFO
    counted_by: ClassVar[tuple[str, ...]] = ()  # names of fields that label the counter; few values each
    trace: str = ""

    def facts(self) -> dict[str, object]:
        """Every field but the empty ones, in order of declaration."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in values if value not in ("", None, ())}
