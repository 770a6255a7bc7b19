"""What people do with their mail, told by the store to whoever learns from it. Called by ``store/``.

The junk filter learns from what is moved to and from Junk, the Outbox from what is flagged; neither makes the person
wait: these are told after the deed, in the reactor, and must return at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class Filed:
    """Messages a person copied or moved by IMAP; the UIDs are those in ``target``."""

    account: Address
    source: str
    target: str
    uids: Sequence[int]
    moved: bool


@dataclass(frozen=True, slots=True)
class Keyworded:
    """Keywords a person set on messages in ``mailbox`` by STORE."""

    account: Address
    mailbox: str
    uids: Sequence[int]
    keywords: frozenset[str]


@dataclass(frozen=True, slots=True)
class Opened:
    """A person opened ``mailbox`` by SELECT (EXAMINE only looks)."""

    account: Address
    mailbox: str


class Habits(Protocol):
    """Whoever wants to know. Must not raise."""

    def filed(self, what: Filed) -> None:
        """COPY or MOVE has been done."""

    def keyworded(self, what: Keyworded) -> None:
        """Keywords were added; system flags are not told."""

    def opened(self, what: Opened) -> None:
        """A mailbox was selected."""


class Listeners:
    """Fits Habits: tells each of ``everybody`` in turn. The store holds one; parts join it when they are built."""

    def __init__(self) -> None:
        self.everybody: list[Habits] = []

    def filed(self, what: Filed) -> None:
        for one in self.everybody:
            one.filed(what)

    def keyworded(self, what: Keyworded) -> None:
        for one in self.everybody:
            one.keyworded(what)

    def opened(self, what: Opened) -> None:
        for one in self.everybody:
            one.opened(what)
