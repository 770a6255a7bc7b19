"""People change their own password: the page's door to the users, the guard and the letters about it."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.task import deferLater

from mailbox_appliance.config.model import Config
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.ports.guard import Guard
from mailbox_appliance.ports.journal import HasFailed
from mailbox_appliance.ports.users import LogInRefused, NotChanged, PasswordCredentials, Principal
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.station import Users
from mailbox_appliance.users.strength.spawned import Children, NotJudged

SERVICE = "https"
REFUSED = "Wrong mail address or password."
BESIEGED = (
    "Strangers are guessing at this mailbox just now, so no password is taken from where you are. Try again in an "
    "hour, or from the network at home, or ask the owner of your mail server for a link."
)
OWN_REMEDY = "; `mailappliance password suggest` shows some"
OFFERED = 3


class OwnPasswords:
    """Fits ports.users.OwnPassword. ``tell`` writes to the account and to its domain's owner."""

    def __init__(
        self,
        config: Callable[[], Config],
        reactor: Any,
        users: Users,
        guard: Guard,
        children: Children,
        tell: Callable[[Address, str, str], Awaitable[None]],
        journal: HasFailed,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._users = users
        self._guard = guard
        self._children = children
        self._tell = tell
        self._journal = journal

    def holder(self, token: str) -> str:
        """As OwnPassword."""
        return str(self._users.links.holder(token) or "")

    def missed(self, peer: str) -> None:
        """As OwnPassword."""
        if (address := _address(peer)) is not None:
            self._guard.failed(address, SERVICE, "", "protocol")

    async def by_link(self, token: str, new: str, peer: str) -> None:
        """As OwnPassword."""
        address = _address(peer)
        if address is None or self._guard.refuses(address, SERVICE):
            raise NotChanged("Too many failures from your network: try again later.")
        try:
            account = await self._users.links.use(token, new)
        except UsersError as refused:
            raise await self._not_good(refused) from None
        await self._write(account, peer, "by a link from the owner")

    async def by_password(self, user: str, old: str, new: str, peer: str) -> None:
        """As OwnPassword. The guard counts as at every other service."""
        principal = await self._log_in(user, old, peer)
        if principal.device:
            raise NotChanged("This is the password of a device. Give the main password, or ask the owner for a link.")
        if self._users.log_in.is_weak(principal) and not self._at_home(peer):
            raise NotChanged(
                "Your password is weak, so somebody else may know it: change it from the network at home, or ask the "
                "owner of your mail server for a link."
            )
        try:
            await self._users.accounts.set_password(
                str(principal.account), new, still=lambda snapshot, record: record.hash_version == principal.proof
            )
        except UsersError as refused:
            raise await self._not_good(refused) from None
        await self._write(principal.account, peer, "with the old one")

    async def _log_in(self, user: str, old: str, peer: str) -> Principal:
        address = _address(peer)
        if address is None or self._guard.devices_only(address, SERVICE, user):
            raise NotChanged(BESIEGED)
        if self._guard.refuses(address, SERVICE, user):
            raise NotChanged(REFUSED)
        try:
            principal = await self._users.log_in.log_in(PasswordCredentials(user, old, SERVICE, peer))
        except LogInRefused as refused:
            if refused.later:
                raise NotChanged("Passwords cannot be checked just now: try again in a moment.") from None
            self._guard.failed(address, SERVICE, user, token=refused.token)
            await deferLater(self._reactor, self._guard.delay(address, SERVICE), lambda: None)
            raise NotChanged(REFUSED) from None
        self._guard.succeeded(address, SERVICE, str(principal.account))
        return principal

    async def _not_good(self, refused: UsersError) -> NotChanged:
        """With a few good ones beside the reason."""
        try:
            offered = await self._children.suggest(OFFERED)
        except NotJudged:
            offered = []
        words = str(refused).removesuffix(OWN_REMEDY)
        return NotChanged(f"{words[:1].upper()}{words[1:]}.", tuple(offered))

    def _at_home(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._config().networks.lan)

    async def _write(self, account: Address, peer: str, how: str) -> None:
        words = (
            f"The main password of {account} was changed on the web page, {how}, from the address {peer}.\n\n"
            "If that was not you, tell the owner of the mail server at once.\n"
        )
        try:
            await self._tell(account, f"The password of {account} was changed", words)
        except Exception as error:  # noqa: BLE001 - the password is changed all the same
            self._journal.broken("web", error)


def _address(peer: str) -> IPAddress | None:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
