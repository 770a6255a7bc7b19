"""Is there room? The account's use and limit in memory, with what is on its way already reserved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import Quota
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.store import index, quota

if TYPE_CHECKING:
    from mailbox_appliance.store.account import Account

FRESH_SECONDS = 2.0


class Room:
    """``limit_of`` gives the account's limit in octets, 0 for none. ``changed`` hears whenever the use has changed."""

    def __init__(
        self,
        account: Account,
        limit_of: Callable[[Address], Awaitable[int]],
        changed: Callable[[Address], None] = lambda account: None,
    ) -> None:
        self._account = account
        self._limit_of = limit_of
        self._changed = changed
        self._limit = 0
        self._octets = 0
        self._messages = 0
        self._reserved = 0
        self._read_at: float | None = None

    async def current(self, *, fresh: bool = False) -> Quota:
        """Use and limit; the use is at most two seconds old unless ``fresh``. Raises StoreError (DISK)."""
        now = self._account.clock.seconds()
        limit = await self._limit_of(self._account.address)  # from memory: a new quota counts at once
        stale = self._read_at is None or not 0 <= now - self._read_at < FRESH_SECONDS
        if fresh or stale or limit != self._limit:
            if limit:
                found = await self._account.disk(quota.read, self._account.root, limit, now)
                self._octets, self._messages = found.octets, found.messages
            else:
                self._octets, self._messages = await self._account.run(index.usage)
            self._limit, self._read_at = limit, now
        return Quota(self._octets, self._limit, self._messages)

    async def fits(self, octets: int) -> bool:
        """Would ``octets`` more fit?"""
        if not await self._limit_of(self._account.address):
            return True  # nobody need count
        state = await self.current()
        return not state.limit or state.used + self._reserved + octets <= state.limit

    async def reserve(self, octets: int) -> None:
        """Keep room for what is on its way. Raises StoreError (OVER_QUOTA)."""
        if not await self.fits(octets):
            raise StoreError(Problem.OVER_QUOTA, "the mailbox is full")
        self._reserved += octets

    def release(self, octets: int) -> None:
        """What was on its way has come, or never will."""
        self._reserved = max(self._reserved - octets, 0)

    def forget(self) -> None:
        """Count again at the next question."""
        self._read_at = None
        self._changed(self._account.address)

    def note(self, octets: int, messages: int) -> None:
        """Messages of ours came or went (``maildirsize`` has been told by the worker)."""
        self._octets = max(self._octets + octets, 0)
        self._messages = max(self._messages + messages, 0)
        self._changed(self._account.address)
