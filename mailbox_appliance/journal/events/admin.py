"""What an operator did."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDid(Event):
    """The operator gave a command that changes something."""

    name: ClassVar[str] = "admin.did"
    level: ClassVar[Level] = Level.NOTICE
    counted_by: ClassVar[tuple[str, ...]] = ("command", "result")
    command: str  # "account add"
    about: str = ""  # what it was about: an address, ids
    result: str = "done"  # done, refused
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRefused(Event):
    """Somebody who is neither root nor the service's own user knocked at the control socket."""

    name: ClassVar[str] = "admin.stranger"
    level: ClassVar[Level] = Level.WARNING
    user: int
