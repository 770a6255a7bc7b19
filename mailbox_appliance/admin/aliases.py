"""Further addresses: alias add|list|remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin.result import Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import list_argument, text_argument
from mailbox_appliance.users.answers import UsersError

if TYPE_CHECKING:
    from mailbox_appliance.users.desks.aliases import Aliases


class AliasDesk:
    """alias add|list|remove"""

    def __init__(self, aliases: Aliases) -> None:
        self._aliases = aliases

    async def add(self, arguments: Arguments) -> Result:
        """Make an alias or add to it."""
        with refusing(UsersError):
            info = await self._aliases.add(text_argument(arguments, "alias"), list_argument(arguments, "targets"))
        return Result((f"mail for {info.alias} goes to {', '.join(info.targets)}",), data=_alias(info))

    async def list(self, arguments: Arguments) -> Result:
        """All aliases."""
        rows = [_alias(one) for one in await self._aliases.listing()]
        return listing(("alias", "targets", "dead"), rows, "no alias yet")

    async def remove(self, arguments: Arguments) -> Result:
        """Remove an alias, or some of its targets."""
        with refusing(UsersError):
            left = await self._aliases.remove(text_argument(arguments, "alias"), list_argument(arguments, "targets"))
        words = f"mail for {left.alias} goes to {', '.join(left.targets)}" if left.targets else f"{left.alias} is gone"
        return Result((words,), data=_alias(left))


def _alias(info: Any) -> dict[str, Any]:
    return {"alias": info.alias, "targets": list(info.targets), "dead": info.dead}
