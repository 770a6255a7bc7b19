"""Evidence and the verdict made of it: every check gives a result with a reason, one place decides."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailbox_appliance.mail.reply import Reply


class Action(enum.Enum):
    """What shall happen to a message or to one recipient's copy."""

    ACCEPT = "accept"
    JUNK = "junk"
    DEFER = "defer"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One check's result: ``check`` such as "spf", ``result`` such as "pass" or "temperror", a figure, a reason.

    ``remedy`` says what would have changed the result, in words for the owner.
    """

    check: str
    result: str
    weight: float = 0.0  # positive speaks for junk
    reason: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        figure = f" {self.weight:+.1f}" if self.weight else ""
        return (
            f"{self.check} {self.result}{figure}: {self.reason}"
            if self.reason
            else f"{self.check} {self.result}{figure}"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one message deserves. ``reply`` is what the peer hears for DEFER and REJECT; ``reason`` is the owner's.

    ``fields`` are header fields to put on top of the message (whole lines, LF line ends), Authentication-Results first.
    """

    action: Action = Action.ACCEPT
    reason: str = ""
    reply: Reply | None = None
    evidence: tuple[Evidence, ...] = ()
    score: float = 0.0
    fields: bytes = b""
