"""Delivery's side of the store: where a new file goes, and that it has arrived."""

from __future__ import annotations

import os

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.store import Place
from mailbox_appliance.shielded import Held
from mailbox_appliance.store import keywords
from mailbox_appliance.store.changes import Newcomer
from mailbox_appliance.store.filenames import with_flags
from mailbox_appliance.store.flags import flag_bits, split_flags
from mailbox_appliance.store.keywords import HIGH_BITS
from mailbox_appliance.store.paths import checked_name, folder_of
from mailbox_appliance.store.stores import MailStores


class MailDepot:
    """ports.store.Depot."""

    def __init__(self, stores: MailStores) -> None:
        self._stores = stores
        self._high: dict[str, int] = {}  # keywords no letter can say, by final path, until the file has arrived

    async def place(
        self, account: Address, mailbox: str, content: Content, flags: frozenset[str] = frozenset()
    ) -> Place:
        """Raises StoreError."""
        mailbox = checked_name(mailbox)
        store = await self._stores.of(account)
        await store.make_present(mailbox)
        ground = store.ground
        ground.pulse.touch()  # a peer waits for its reply: what nobody waits for is made afterwards
        folder = folder_of(ground.root, mailbox)
        bits, words = split_flags(flags)
        if words:
            box = await store.box(mailbox)
            async with Held(box.lock):
                bits = await flag_bits(box, flags)
        base = ground.names.make(ground.clock.seconds(), content.size, content.wire_size)
        # With flags into new/ as well: their letters stand in the name there too, and cur/ needs no new listing.
        final = folder.message(True, with_flags(base, bits) if bits else base)
        if bits & HIGH_BITS:
            await ground.disk(keywords.set_masks, folder, [(base, bits)])
        await ground.room.reserve(content.size)
        if bits & HIGH_BITS:
            self._high[final] = bits & HIGH_BITS
        return Place(account, mailbox, os.path.join(folder.tmp, base), final)

    async def room(self, account: Address, octets: int) -> bool:
        store = await self._stores.of(account)
        return await store.ground.room.fits(octets)

    def arrived(self, place: Place, content: Content) -> None:
        store = self._stores.now(place.account)
        if store is None:
            return  # the file lies in new/: whoever opens the account next finds it
        store.ground.room.release(content.size)
        high = self._high.pop(place.final, 0)
        name = os.path.basename(place.final)
        store.arrived(place.mailbox, Newcomer(True, name, high, size=content.wire_size, counted=True))

    def abandoned(self, place: Place, content: Content) -> None:
        self._high.pop(place.final, None)
        store = self._stores.now(place.account)
        if store is not None:
            store.ground.room.release(content.size)
