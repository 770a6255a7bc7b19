"""Senders by a person's own word: sender allow, block, remove, list."""

from __future__ import annotations

from mailbox_appliance.admin.result import Refused, Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import address_argument, iso_moment, list_argument
from mailbox_appliance.checks.senders import Senders, TooMany, pattern_of
from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.ports.users import Directory

_COLUMNS = ("account", "sender", "standing", "since")


class SenderDesk:
    """Changes count from the next message on."""

    def __init__(self, senders: Senders, directory: Directory) -> None:
        self._senders = senders
        self._directory = directory

    async def allow(self, arguments: Arguments) -> Result:
        """Always into INBOX."""
        return await self._put(arguments, allowed=True)

    async def block(self, arguments: Arguments) -> Result:
        """Never."""
        return await self._put(arguments, allowed=False)

    async def remove(self, arguments: Arguments) -> Result:
        """Like any other again."""
        account, patterns = await self._read(arguments)
        gone = [pattern for pattern in patterns if await self._senders.remove(account, pattern)]
        missing = [pattern for pattern in patterns if pattern not in gone]
        if missing:
            raise Refused(f"not in the list of {account}: {', '.join(missing)}; `mailappliance sender list` shows it")
        return Result(tuple(f"{pattern} is judged like any other" for pattern in gone), data={"removed": gone})

    async def list(self, arguments: Arguments) -> Result:
        """Show them."""
        account = address_argument(arguments).folded() if arguments.get("address") else None
        rows = [
            {
                "account": one.account,
                "sender": one.pattern,
                "standing": "allowed" if one.allowed else "blocked",
                "since": iso_moment(one.since),
            }
            for one in await self._senders.listing(account)
        ]
        return listing(_COLUMNS, rows, "no sender is allowed or blocked")

    async def _put(self, arguments: Arguments, *, allowed: bool) -> Result:
        account, patterns = await self._read(arguments)
        with refusing(TooMany):
            for pattern in patterns:
                await self._senders.put(account, pattern, allowed=allowed)
        word = "allowed" if allowed else "blocked"
        lines = tuple(f"{pattern} is {word} for {account}" for pattern in patterns)
        return Result(lines, data={"account": str(account), word: [*patterns]})

    async def _read(self, arguments: Arguments) -> tuple[Address, tuple[str, ...]]:
        account = address_argument(arguments).folded()
        if account not in await self._directory.accounts():
            raise Refused(f"there is no account {account}")
        try:
            return account, tuple(pattern_of(word) for word in list_argument(arguments, "senders"))
        except AddressError as error:
            raise Refused(f"{error}: write addresses, or domains as @example.net") from None
