"""A journal that remembers."""

from __future__ import annotations

from typing import TypeVar

from mailbox_appliance.mail.trace import Event

E = TypeVar("E", bound=Event)


class RememberedJournal:
    """Fits ports.journal.Journal and HasFailed; ``events`` and ``failures`` hold what was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failures: list[tuple[str, BaseException]] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def broken(self, where: str, error: BaseException, trace: str = "") -> None:
        self.failures.append((where, error))

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]
