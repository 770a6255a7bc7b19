"""Links by which an account chooses another main password: made by the owner, good for a day and for one use.

Only a SHA-256 of what stands in the link is kept. A link is worth nothing once the password has changed, however that
came, or when another link was made for the account.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import field

from mailbox_appliance.journal.events.users import PasswordLinkMade
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.desks.accounts import Accounts
from mailbox_appliance.users.desks.names import living
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.records import AccountRecord
from mailbox_appliance.users.snapshot import Snapshot

LIFE = 86_400.0  # seconds
TOKEN_OCTETS = 32
LONGEST_TOKEN = 64


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link just made; ``token`` is shown once."""

    account: Address
    expires: float
    token: str = field(repr=False)


class Links:
    """The desk of links."""

    def __init__(self, directory: SnapshotDirectory, accounts: Accounts, clock: Clock, journal: Journal) -> None:
        self._directory = directory
        self._accounts = accounts
        self._clock = clock
        self._journal = journal

    async def make(self, account: str) -> NewLink:
        """A fresh one, in the place of the account's last. Raises UsersError."""
        token = secrets.token_urlsafe(TOKEN_OCTETS)
        expires = self._clock.seconds() + LIFE

        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], Address]:
            record = living(snapshot, account)

            def work(connection: sqlite3.Connection) -> Address:
                connection.execute(
                    "DELETE FROM password_links WHERE account = ? OR expires < ?",
                    (record.number, self._clock.seconds()),
                )
                connection.execute(
                    "INSERT INTO password_links (digest, account, hash_version, expires) VALUES (?, ?, ?, ?)",
                    (_digest(token), record.number, record.hash_version, expires),
                )
                return record.address

            return work

        address = await self._directory.edit(plan)
        self._journal.tell(PasswordLinkMade(account=str(address)))
        return NewLink(address, expires, token)

    def holder(self, token: str) -> Address | None:
        """Whose password ``token`` changes; None when it is not good (any more). From memory."""
        record = self._record(self._directory.snapshot, token)
        return None if record is None else record.address

    async def use(self, token: str, password: str) -> Address:
        """Set ``password``; the link is spent then, and only then. Raises UsersError."""
        address = self.holder(token)
        if address is None:
            raise UsersError("this link is not good any more")

        def still(snapshot: Snapshot, record: AccountRecord) -> bool:
            return self._record(snapshot, token) == record

        await self._accounts.set_password(str(address), password, still=still)
        return address

    def _record(self, snapshot: Snapshot, token: str) -> AccountRecord | None:
        if not 0 < len(token) <= LONGEST_TOKEN or not token.isascii():
            return None
        link = snapshot.links.get(_digest(token))
        record = None if link is None else snapshot.by_number.get(link.account)
        if link is None or record is None or record.removed is not None:
            return None
        good = record.hash_version == link.hash_version and self._clock.seconds() < link.expires
        return record if good else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()
