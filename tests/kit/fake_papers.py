"""Port sharing.Papers beside the mailboxes of a FakeStores: they go along when one is renamed or deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.store import Problem, StoreError
from tests.kit.fake_store import FakeMailbox, FakeStores


class FakePapers:
    """``reads`` counts the looks."""

    def __init__(self, stores: FakeStores) -> None:
        self._stores = stores
        self._papers: WeakKeyDictionary[FakeMailbox, dict[str, bytes]] = WeakKeyDictionary()
        self.reads = 0

    async def read(self, accounts: Iterable[Address], file: str) -> Mapping[Address, Mapping[str, bytes]]:
        self.reads += 1
        found: dict[Address, Any] = {}
        for account in accounts:
            boxes = self._stores.get(account).boxes
            found[account] = {
                name: self._papers[box][file] for name, box in boxes.items() if file in self._papers.get(box, {})
            }
        return found

    async def change(
        self, account: Address, mailbox: str, file: str, edit: Callable[[bytes | None], bytes | None]
    ) -> bytes | None:
        box = self._stores.get(account).boxes.get(mailbox)
        if box is None:
            raise StoreError(Problem.NO_SUCH_MAILBOX, "there is no such mailbox")
        papers = self._papers.setdefault(box, {})
        after = edit(papers.get(file))
        if after is None:
            papers.pop(file, None)
        else:
            papers[file] = after
        return after
