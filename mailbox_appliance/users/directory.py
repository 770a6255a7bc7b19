"""The Directory port on one SQLite file: questions are answered from the snapshot, edits make a new one.

All edits go through :meth:`SnapshotDirectory.edit`, one after the other: a plan looks at the snapshot and refuses or
says what to write; rows and the next snapshot come out of one transaction.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import field
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from mailbox_appliance.database import Database
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.users import Known, LocalMailbox, Resolution, Unknown
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.hashing import HashSettings
from mailbox_appliance.users.snapshot import EMPTY, Snapshot, lookup_key, read_snapshot

T = TypeVar("T")

NO_LONGER = "This address is no longer in use"


@dataclass(frozen=True, slots=True)
class UsersSettings:
    """``default_quota`` in octets (0 = none); ``keep_removed`` and the rest in seconds."""

    default_quota: int = 0
    keep_removed: float = 14 * 86400.0
    write_uses_every: float = 60.0  # how late "last used" of an app password may reach the disk
    remember_success: float = 900.0
    hashing: HashSettings = field(default_factory=HashSettings)


class SnapshotDirectory:
    """Fits ports.users.Directory. ``database`` is opened with schema.MIGRATIONS and synchronous FULL."""

    def __init__(
        self, database: Database, settings: UsersSettings | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self.database = database
        self.settings_now = settings or UsersSettings()
        self.snapshot: Snapshot = EMPTY
        self.now = now
        self._editing = DeferredLock()
        self._watchers: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Read everything. Raises DatabaseTrouble."""
        self.snapshot = await self.database.run(read_snapshot)

    def edit(self, plan: Callable[[Snapshot], Callable[[sqlite3.Connection], T]]) -> Deferred[T]:
        """Let ``plan`` look and refuse (raise), then run what it returns in a transaction; answers see it at once.

        A caller that goes away does not undo an edit that has begun.
        """
        return shielded(self._edit(plan))

    async def _edit(self, plan: Callable[[Snapshot], Callable[[sqlite3.Connection], T]]) -> T:
        await self._editing.acquire()
        try:
            work = plan(self.snapshot)

            def transaction(connection: sqlite3.Connection) -> tuple[T, Snapshot]:
                result = work(connection)
                return result, read_snapshot(connection)

            result, self.snapshot = await self.database.run(transaction)
            for watcher in self._watchers:
                watcher()
            return result
        except Busy as error:
            raise UsersError(f"nothing was changed: {error}; try again in a moment") from error
        except sqlite3.Error as error:
            raise UsersError(
                f"nothing was changed, {self.database.path} cannot be written ({error}): "
                "is the disk full or mounted read-only, or does another program hold the file?"
            ) from error
        finally:
            self._editing.release()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call ``watcher`` after each change, at once; it must not raise."""
        self._watchers.append(watcher)

    # ------------------------------------------------------------ the port

    def domains(self) -> frozenset[str]:
        return self.snapshot.domain_names

    async def resolve(self, address: Address) -> Resolution:
        return self.resolve_now(address)

    def resolve_now(self, address: Address) -> Resolution:
        """The same without waiting."""
        throwaway = self.snapshot.throwaways.get(lookup_key(address)) if self.snapshot.throwaways else None
        if throwaway is not None and throwaway.is_over(self.now()):
            return Unknown(throwaway.text or NO_LONGER)
        return self.snapshot.resolve(address)

    async def owns(self, account: Address, address: Address) -> bool:
        """Whoever receives an address may write as it."""
        return self.owns_now(account, address)

    def owns_now(self, account: Address, address: Address) -> bool:
        """The same without waiting."""
        account = lookup_key(account)
        if account not in self.snapshot.accounts:
            return False
        known = self.resolve_now(address) if address.domain else None
        return isinstance(known, Known) and any(
            isinstance(one, LocalMailbox) and one.account == account for one in known.destinations
        )

    async def accounts(self) -> tuple[Address, ...]:
        return tuple(self.snapshot.accounts)

    async def quota(self, account: Address) -> int:
        record = self.snapshot.accounts.get(lookup_key(account))
        return self.settings_now.default_quota if record is None or record.quota is None else record.quota

    async def owner(self, domain: str) -> Address | None:
        record = self.snapshot.owner(domain)
        return None if record is None else record.address

    async def display_names(self) -> Mapping[Address, str]:
        return self.snapshot.display_names

    async def settings(self, account: Address) -> Mapping[str, str]:
        record = self.snapshot.accounts.get(lookup_key(account))
        return {} if record is None else record.settings


def shielded(work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    """Run ``work`` to its end even if whoever waits for it is cancelled."""
    answer: Deferred[T] = Deferred()

    def tell(result: Any) -> None:
        if not answer.called:
            answer.callback(result)

    Deferred.fromCoroutine(work).addBoth(tell)
    return answer
