"""Evidence and the verdict made of it: every check gives a result with a reason, one place decides."""

from __future__ import annotations

import enum

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass


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

    @property
    def shown(self) -> str:
        """The same in few words and without a comma, for the journal."""
        return str(self)[:LONGEST_SHOWN].replace(",", ";")


LONGEST_SHOWN = 180


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one message deserves. ``reply`` is what the peer hears for DEFER and REJECT; ``reason`` is the owner's.

    ``fields`` are header fields to put on top of the message (whole lines, LF line ends), Authentication-Results first.
    ``is_final`` False: each recipient's own evidence (his filter, his lists) may still change it. ``rests``: refused,
    but the case is not clear, so a copy waits where its recipient can look. ``author`` is the one address in From, and
    ``is_proven`` says that somebody stands behind it.
    """

    action: Action = Action.ACCEPT
    reason: str = ""
    reply: Reply | None = None
    evidence: tuple[Evidence, ...] = ()
    score: float = 0.0
    fields: bytes = b""
    is_final: bool = True
    rests: bool = False
    author: Address | None = None
    is_proven: bool = False


@dataclass(frozen=True, slots=True)
class Personal:
    """The verdict of one recipient. ``otherwise`` is what becomes of his copy where he cannot be answered alone, since
    others take the message: accept or junk."""

    verdict: Verdict
    otherwise: Action = Action.JUNK
