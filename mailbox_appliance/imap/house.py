"""What all IMAP sessions of the process share, as a session sees it; ``imap/listener`` fills it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from mailbox_appliance.imap.bulletin import Bulletin
from mailbox_appliance.imap.settings import ImapSettings
from mailbox_appliance.imap.table import Row
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.guard import Guard
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.sharing import Sharing
from mailbox_appliance.ports.store import Mailbox, Stores
from mailbox_appliance.ports.users import LogIn
from mailbox_appliance.ports.workers import Workers

if TYPE_CHECKING:
    from mailbox_appliance.imap.kept import Kept
    from mailbox_appliance.imap.session import Session


class House(Protocol):
    """What all sessions share (the listener's Factory)."""

    settings: ImapSettings
    stores: Stores
    users: LogIn
    guard: Guard
    clock: Clock
    workers: Workers
    journal: FullJournal
    table: Mapping[str, Row]
    bulletin: Bulletin
    sharing: Sharing | None  # None: everybody has only what is his own
    kept: WeakKeyDictionary[Mailbox, Kept]  # for SORT and THREAD

    def start_tls(self, transport: Any) -> None:
        """Begin the handshake, as server."""

    def log_out(self, account: Address) -> None:
        """A session of ``account`` is nobody's again (UNAUTHENTICATE)."""

    def log_in(self, session: Session, account: Address) -> bool:
        """Count a session of ``account``; False when there are too many."""


class Ended(Exception):
    """The conversation is over: ``reason`` for the journal, ``text`` for the peer ("" when all is said)."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(text)
        self.reason = reason
