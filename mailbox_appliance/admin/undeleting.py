"""Expunged messages of living accounts: listed, brought back, deleted for good (``account undelete`` and ``purge``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailbox_appliance.admin.result import Refused, Result, listing, refusing
from mailbox_appliance.admin.words import iso_moment, moment_words, size_words
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.store import resting, undelete
from mailbox_appliance.store.paths import checked_name
from mailbox_appliance.store.stores import MailStores

MOST_LISTED = 500


class RestingMail:
    """What rests of each account."""

    def __init__(self, stores: MailStores, workers: Workers, clock: Clock) -> None:
        self._stores = stores
        self._workers = workers
        self._clock = clock

    def now(self) -> float:
        """Epoch seconds."""
        return self._clock.seconds()

    async def list(self, account: Address, since: float, mailbox: str) -> Result:
        """The latest first. Raises Refused."""
        with refusing(StoreError):
            store = await self._stores.of(account)
            number, found = await undelete.listing(store, since, mailbox and checked_name(mailbox), MOST_LISTED)
        rows: list[dict[str, Any]] = [
            {
                "expunged": iso_moment(one.when),
                "mailbox": one.mailbox,
                "date": iso_moment(one.date),
                "size": one.octets,
                **_said(one.head),
            }
            for one in found
        ]
        columns = ("expunged", "mailbox", "size", "from", "subject")
        result = listing(columns, rows, f"nothing of {account} rests that could be brought back")
        if result.table is None:
            return result
        shown = [
            {**row, "expunged": moment_words(one.when), "size": size_words(one.octets)}
            for row, one in zip(rows, found, strict=True)
        ]
        more = (f"and {number - len(found)} older ones",) if number > len(found) else ()
        return Result(more, listing(columns, shown, "").table, result.data)

    async def bring_back(self, account: Address, since: float, mailbox: str) -> Result:
        """Raises Refused."""
        try:
            store = await self._stores.of(account)
            done = await undelete.bring_back(store, since, mailbox and checked_name(mailbox))
        except StoreError as error:
            remedy = ": give more room (mailappliance account quota) and run it again" if "full" in str(error) else ""
            raise Refused(f"{error}{remedy}; what did not come back still rests") from None
        if not done:
            return Result((f"nothing of {account} rests that could be brought back",), data={"mailboxes": {}})
        lines = [f"{number} message(s) are back in {name}" for name, number in done.items()]
        return Result(tuple(lines), data={"mailboxes": done})

    async def purge(self, account: Address, before: float) -> Result:
        """For good. Raises Refused."""
        with refusing(StoreError, OSError):
            store = await self._stores.of(account)
            gone = await self._workers.run("disk", resting.empty, store.ground.resting, before)
        words = f"{gone} expunged message(s) of {account} are deleted for good" if gone else "nothing rested"
        return Result((words,), data={"messages": gone})


def _said(head: bytes) -> Mapping[str, str]:
    """Sender and subject, for people to recognize a message by."""
    from email import message_from_bytes, policy  # half a megabyte, and only here

    try:
        parsed = message_from_bytes(head, policy=policy.default)
        return {"from": str(parsed["from"] or "")[:60], "subject": str(parsed["subject"] or "")[:80]}
    except Exception:  # noqa: BLE001 - whatever a broken header does to the parser, the list goes on
        return {"from": "", "subject": ""}
