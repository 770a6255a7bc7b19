"""Questions about people that several stations ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import Directory, LocalMailbox
from mailbox_appliance.users.station import Users


def tell_whom_it_concerns(notices: Notices, users: Users) -> Callable[[Address, str, str], Awaitable[None]]:
    """Write to an account, and to the owner of its domain when that is another."""

    async def tell(account: Address, subject: str, text: str) -> None:
        owner = await users.directory.owner(account.domain)
        for address in {account, owner or account}:
            await notices.send(address, subject, text)

    return tell


def first_owner(directory: Directory) -> Callable[[], Awaitable[Address | None]]:
    """Who answers for this machine: the owner of its first domain, whom the bare postmaster leads to."""

    async def owner() -> Address | None:
        resolution = await directory.resolve(Address("postmaster", ""))
        for destination in getattr(resolution, "destinations", ()):
            if isinstance(destination, LocalMailbox):
                return destination.account
        return None

    return owner


def is_ours(directory: Directory, *, captured: bool = False) -> Callable[[Address], bool]:
    """Is a forward path one of ours? Domain '' is the bare postmaster's. ``captured``: all are, nothing leaves."""

    def ours(address: Address) -> bool:
        return captured or not address.domain or address.domain in directory.domains()

    return ours
