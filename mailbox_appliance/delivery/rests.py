"""The folder Rejects: copies of what was refused in unclear cases rest there for two weeks, a bounded number a day.

So a code to log in that was taken for junk is not lost: its reader looks there, and moves it out. A sender who floods
an account with refused mail fills neither disk nor quota.
"""

from __future__ import annotations

from collections import OrderedDict

from mailbox_appliance.delivery.routing import REJECTS
from mailbox_appliance.journal.events.delivery import RestsRemoved
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.store import Bystander, FlagAction, Problem, StoreError, Stores

DAYS = 14
MOST_A_DAY = 50  # of one account
MOST = 300  # kept of one account
_DAY = 86_400.0
_MOST_ACCOUNTS = 1_000


class Resting:
    """How many copies came to rest today, by account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._today: OrderedDict[Address, tuple[int, int]] = OrderedDict()

    def may_rest(self, account: Address) -> bool:
        """Count one more; False when that is too many for today."""
        day = int(self._clock.seconds() // _DAY)
        known, count = self._today.get(account, (day, 0))
        count = count + 1 if known == day else 1
        self._today[account] = (day, count)
        self._today.move_to_end(account)
        while len(self._today) > _MOST_ACCOUNTS:
            self._today.popitem(last=False)
        return count <= MOST_A_DAY


async def clear_rests(stores: Stores, account: Address, clock: Clock, journal: Journal) -> int:
    """Remove what has rested long enough; returns how many went. An account without the folder has nothing."""
    store = await stores.of(account)
    watcher = Bystander()
    try:
        box = await store.open(REJECTS, watcher, read_only=True)
    except StoreError as error:
        if error.problem is Problem.NO_SUCH_MAILBOX:
            return 0
        raise
    try:
        limit = clock.seconds() - DAYS * _DAY
        excess = len(box.uids) - MOST
        old = [uid for at, uid in enumerate(box.uids) if box.dates[at] < limit or at < excess]
        if not old:
            return 0
        await box.mark(old, FlagAction.ADD, ("\\Deleted",))
        gone = await box.expunge(old)
    finally:
        box.release(watcher)
    if gone:
        journal.tell(RestsRemoved(account=str(account), messages=len(gone)))
    return len(gone)
