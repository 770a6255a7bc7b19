"""What every station asks of the journal: take this event. Telling never waits and never fails."""

from __future__ import annotations

from typing import Protocol

from mailbox_appliance.mail.trace import Event


class Journal(Protocol):
    """One event becomes one line, one counter and one step of the message's trail."""

    def tell(self, event: Event) -> None:
        """Record ``event``; the time is the journal's clock."""


class HasFailed(Protocol):
    """How an unexpected exception is told: one traceback in the log, without content or secrets."""

    def broken(self, where: str, error: BaseException, trace: str = "") -> None:
        """Journal the traceback of ``error``, raised in the station ``where``."""


class FullJournal(Journal, HasFailed, Protocol):
    """The journal with both its faces: what happened, and what should never happen."""
