"""What an import asks of whoever keeps the mail: the running service, or the store opened in its absence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mailbox_appliance.importing.ledger import Item
from mailbox_appliance.mail.mailbox import SpecialUse
from mailbox_appliance.mail.values import dataclass


class FilingRefused(Exception):
    """It cannot go on; str() says why and what to do: the mailbox is full, the account is gone."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A mailbox that is there: its name, which a special use may have chosen, and its state."""

    mailbox: str
    messages: int
    uidvalidity: int
    uidnext: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mailbox to be there; with ``use`` the account's folder of that use is taken, whatever it is called."""

    name: str
    use: SpecialUse | None = None
    subscribed: bool = True


class Filing(Protocol):
    """All methods raise FilingRefused."""

    def ready(self, wanted: Sequence[Wanted]) -> Sequence[Ready]:
        """Make what is missing; in the same order."""

    def take(self, file: str, items: Sequence[Item]) -> tuple[Mapping[str, int], Mapping[int, str]]:
        """File a batch, durable on return: UIDNEXT of each mailbox, and by number in ``items`` what was refused."""

    def seek(self, mailbox: str, uidnext: int, items: Sequence[Item]) -> Sequence[bool]:
        """Which of these are there, under UIDs from ``uidnext`` on; each message answers for one item."""

    def adopt(self, mailbox: str, staged: str, use: SpecialUse | None) -> int:
        """Put a whole folder, UIDs and all, in the place of an empty mailbox; returns how many messages it holds."""
