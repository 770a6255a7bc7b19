"""What IMAP sessions do to an account's tree of mailboxes, told to its other sessions (RFC 5465 §5.4-5)."""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class TreeChange:
    """``name`` was made (or renamed from ``old``), is ``gone``, or ``subscribed`` is what changed."""

    name: str
    old: str = ""
    gone: bool = False
    subscribed: bool | None = None


Listener = Callable[[TreeChange], None]


class Bulletin:
    """Who listens, by account."""

    def __init__(self) -> None:
        self._listeners: dict[Address, list[Listener]] = {}

    def listen(self, account: Address, listener: Listener) -> None:
        """From now on ``listener`` is told."""
        self._listeners.setdefault(account, []).append(listener)

    def leave(self, account: Address, listener: Listener) -> None:
        """No longer."""
        listeners = self._listeners.get(account, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._listeners.pop(account, None)

    def tell(self, account: Address | None, change: TreeChange) -> None:
        """Something changed."""
        if account is not None:
            for listener in tuple(self._listeners.get(account, ())):
                listener(change)
