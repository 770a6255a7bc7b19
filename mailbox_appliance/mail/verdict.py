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
    """One check's result: ``check`` such as "spf", ``result`` such as "pass" or "temperror", a figure, a reason."""

    check: str
    result: str
    weight: float = 0.0  # positive speaks for junk
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one message deserves. ``reply`` is what the peer hears for DEFER and REJECT; ``reason`` is the owner's."""

    action: Action = Action.ACCEPT
    reason: str = ""
    reply: Reply | None = None
    evidence: tuple[Evidence, ...] = ()
    score: float = 0.0
