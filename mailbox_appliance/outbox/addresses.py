"""Throw-away addresses as folders: ``Addresses.shop`` is there as long as the address is, with a letter that tells it.

Making a folder below Addresses makes an address; deleting the folder (or moving it to the trash, as mail clients do
when a folder is deleted) revokes it.
"""

from __future__ import annotations

import time

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.letter import Letter, compose
from mailbox_appliance.mail.mailbox import SEEN, SEPARATOR
from mailbox_appliance.outbox.folder import SmallFolder
from mailbox_appliance.outbox.sheets import Sheet
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.users import Throwaway
from mailbox_appliance.ports.workers import Workers

NAME = "Addresses"
BELOW = NAME + SEPARATOR
ABOUT_VERSION = 1  # UIDVALIDITY of Addresses itself: to be raised when the words below change
ABOUT = """\
Here you make addresses to give away, one for each shop, list or form.

Make a folder below this one and call it after whom the address is for. The letter in the new folder tells the
address. Mail to it arrives in your inbox; mail from anybody but the first who wrote to it is marked as a leak.

Delete the folder, and the address is worth nothing any more: mail for it is refused.
"""
TEXT = """\
{address}

leads to {account}. Give it to {label}, and to nobody else: the first who writes to it is remembered, and mail from
others is marked as a leak. You may also write as this address.
{ends}
Delete this folder, and mail for the address is refused.
"""


def folder_of(throwaway: Throwaway) -> str:
    """The folder's name: a "." of the label would make levels."""
    return BELOW + throwaway.label.replace(SEPARATOR, "_").replace("/", "_")


def about(account: Address, clock: Clock, workers: Workers) -> SmallFolder:
    """``Addresses`` itself, with a letter that says what it is for."""
    letter = Letter(Address("postmaster", account.domain), account, "Addresses to give away", ABOUT, "Postmaster")
    return _folder(NAME, ABOUT_VERSION, f"<addresses@{account.domain}>", 0.0, letter, clock, workers)


def folder_for(throwaway: Throwaway, account: Address, clock: Clock, workers: Workers) -> SmallFolder:
    """The folder of one address. Its UIDVALIDITY grows with each address made, so that none is mistaken for another."""
    ends = ""
    if throwaway.expires is not None:
        ends = f"\nIt ends by itself on {time.strftime('%Y-%m-%d', time.gmtime(throwaway.expires))}.\n"
    text = TEXT.format(address=throwaway.address, account=account, label=throwaway.label, ends=ends)
    letter = Letter(Address("postmaster", account.domain), account, str(throwaway.address), text, display="Postmaster")
    uidvalidity = (int(throwaway.made) + throwaway.number) & 0xFFFFFFFF or 1
    message_id = f"<{throwaway.number}.{throwaway.address.local}@{account.domain}>"
    return _folder(folder_of(throwaway), uidvalidity, message_id, throwaway.made, letter, clock, workers)


def _folder(
    name: str, uidvalidity: int, message_id: str, made: float, letter: Letter, clock: Clock, workers: Workers
) -> SmallFolder:
    content = compose(letter, message_id, made)
    assert isinstance(content.body, bytes)
    octets = content.header + content.body
    folder = SmallFolder(name, uidvalidity, f"A{uidvalidity}", clock, workers)
    folder.lay([Sheet(1, int(made), content.wire_size, SEEN, octets=octets)], 2)
    return folder
