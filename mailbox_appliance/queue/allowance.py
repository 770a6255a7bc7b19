"""How much an account may send in a day: the brake on a stolen password.

Recipients outside are counted in the queue's database, in the round that enters them, so a restart forgets nothing. A
day is one of UTC. Whoever the account has written to before is remembered, because a thief writes to strangers: new
recipients can be bounded more tightly than all of them. Over either bound RCPT hears 452, and the account and the
domain's owner are told once a day.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from mailbox_appliance.journal.events.queue import AllowanceSpent
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.queue import outgoing
from mailbox_appliance.queue.spool import QueueSpool

SPENT = Reply(452, "4.5.3", "This account has written to as many recipients today as it may; the others must wait")
TOO_NEW = Reply(452, "4.5.3", "This account has written to too many new addresses today; the others must wait")

SUBJECT = "Sending stopped for today: {account}"
TEXT = """\
The account {account} wanted to write to more {what} today than the {limit} it may.
Nothing that was accepted is lost, but further mail is refused until the day is over (UTC).

If this was you, send the rest tomorrow, or let the owner of the mail server raise limits.{key}.
If it was not you, somebody has your password: change it at once, and remove the app passwords of devices that you
do not know (mailappliance apppassword list {account}).
"""


@dataclass(frozen=True, slots=True)
class AllowanceSettings:
    """Recipients outside the house, an account and day; 0 = as many as it likes."""

    a_day: int = 0
    new_a_day: int = 0


class Allowance:
    """Fills ``ports.queue.Allowance``. ``notify`` (account, subject, text) writes to whom it concerns."""

    def __init__(
        self,
        spool: QueueSpool,
        clock: Clock,
        journal: Journal,
        notify: Callable[[Address, str, str], Awaitable[object]],
        settings: AllowanceSettings | None = None,
    ) -> None:
        self.settings = settings or AllowanceSettings()  # replaced on reload
        self._spool = spool
        self._clock = clock
        self._journal = journal
        self._notify = notify
        self._told: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def refusal(self, account: Address, recipients: Sequence[Address]) -> Reply | None:
        """None when ``account`` may write to these recipients outside, all of one message so far."""
        settings = self.settings
        if not settings.a_day and not settings.new_a_day:
            return None
        day = outgoing.day_of(self._clock.seconds())

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            return outgoing.spent(connection, str(account), day, recipients)

        used, used_new = await self._spool.run(work)
        if settings.a_day and used > settings.a_day:
            await self._tell(account, day, "a day", "recipients", settings.a_day, "outgoing_per_day")
            return SPENT
        if settings.new_a_day and used_new > settings.new_a_day:
            await self._tell(account, day, "new", "new recipients", settings.new_a_day, "new_recipients_per_day")
            return TOO_NEW
        return None

    async def _tell(self, account: Address, day: int, bound: str, what: str, limit: int, key: str) -> None:
        if self._told.get((str(account), bound)) == day:
            return
        self._told[(str(account), bound)] = day
        if len(self._told) > 1000:
            self._told.popitem(last=False)
        self._journal.tell(AllowanceSpent(account=str(account), limit=limit, key=key))
        text = TEXT.format(account=account, what=what, limit=limit, key=key)
        await self._notify(account, SUBJECT.format(account=account), text)
