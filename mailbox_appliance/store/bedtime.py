"""One account's rest folder, seen from the reactor: where messages are laid, and when it is swept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.shielded import shielded
from mailbox_appliance.store import resting
from mailbox_appliance.store.resting import Bed

if TYPE_CHECKING:
    from mailbox_appliance.store.account import Account

MANY = 5_000  # messages laid down after which the folder is looked through
LEAST_ROOM = 16 << 20  # octets that are asked for when the disk is full


class Bedtime:
    """``settings.undelete_age`` 0: nothing rests, and what rests already goes with the next sweep."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._octets = 0  # laid down since the last sweep
        self._messages = 0
        self._stays = 0  # octets the last sweep has left
        self._sweeping = False

    @property
    def root(self) -> str:
        """The rest folder; "" when nothing rests."""
        return self._account.resting if self._account.settings.undelete_age > 0 else ""

    def bed(self, disk: str) -> Bed | None:
        """Where messages of the mailbox in folder ``disk`` are laid now."""
        return Bed(self.root, disk, self._account.clock.seconds()) if self.root else None

    def note(self, octets: int, messages: int) -> None:
        """So much was laid down."""
        self._octets += octets
        self._messages += messages
        most = self._account.settings.undelete_octets
        if self._messages >= MANY or self._octets > most >> 3 or self._stays + self._octets > most:
            self.sweep()

    def sweep(self) -> None:
        """Look the folder through, while nobody waits for it."""
        if not self._sweeping:
            self._sweeping = True
            self._octets = self._messages = 0
            shielded(self._sweep()).addErrback(self._failed)

    async def _sweep(self) -> None:
        account = self._account
        settings, now = account.settings, account.clock.seconds()
        try:
            self._stays = await account.quietly.disk(
                resting.sweep, account.resting, now, settings.undelete_age, settings.undelete_octets
            )
        finally:
            self._sweeping = False

    def _failed(self, failure: object) -> None:
        error = getattr(failure, "value", None)
        if isinstance(error, BaseException) and not isinstance(error, StoreError):
            self._account.journal.broken("store", error)

    async def make_room(self, octets: int) -> bool:
        """The disk is full: the oldest rests of all accounts go. False when there were none."""
        account = self._account
        wanted = max(2 * octets, LEAST_ROOM)
        try:
            return await account.workers.run("disk", resting.make_room, account.settings.mail, wanted) > 0
        except (OSError, Busy):
            return False
