"""A Depot of plain folders: ROOT/account/mailbox/{tmp,new}, quotas as numbers."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.store import Place, Problem, StoreError


class FakeDepot:
    """``limits`` are octets by account (0 or absent: none); ``broken`` accounts raise StoreError DISK.

    ``there`` lists what has arrived, ``given_up`` what was abandoned; ``flags`` are kept by final path.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self.limits: dict[Address, int] = {}
        self.used: dict[Address, int] = {}
        self.broken: set[Address] = set()
        self.there: list[Place] = []
        self.given_up: list[Place] = []
        self.flags: dict[str, frozenset[str]] = {}
        self._numbers = itertools.count()

    async def place(
        self, account: Address, mailbox: str, content: Content, flags: frozenset[str] = frozenset()
    ) -> Place:
        if account in self.broken:
            raise StoreError(Problem.DISK, "the disk of this account is broken")
        if not await self.room(account, content.size):
            raise StoreError(Problem.OVER_QUOTA, "the mailbox is full")
        self.used[account] = self.used.get(account, 0) + content.size
        folder = os.path.join(self.root, str(account), mailbox)
        for name in ("tmp", "new"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        name = f"{next(self._numbers)}.{os.getpid()},S={content.size},W={content.wire_size}"
        place = Place(account, mailbox, os.path.join(folder, "tmp", name), os.path.join(folder, "new", name))
        self.flags[place.final] = flags
        return place

    async def room(self, account: Address, octets: int) -> bool:
        limit = self.limits.get(account, 0)
        return not limit or self.used.get(account, 0) + octets <= limit

    def arrived(self, place: Place, content: Content) -> None:
        self.there.append(place)

    def abandoned(self, place: Place, content: Content) -> None:
        self.given_up.append(place)
        self.used[place.account] -= content.size

    def files(self, account: str, mailbox: str = "INBOX") -> list[bytes]:
        """The messages in a mailbox, in order of arrival."""
        folder = Path(self.root, account, mailbox, "new")
        if not folder.is_dir():
            return []
        return [path.read_bytes() for path in sorted(folder.iterdir(), key=lambda p: int(p.name.partition(".")[0]))]
