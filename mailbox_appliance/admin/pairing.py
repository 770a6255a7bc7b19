"""The desk of ``pair``: the edge makes a code, the store is told it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailbox_appliance.admin.result import Refused, Result
from mailbox_appliance.admin.verb import Arguments

Pair = Callable[[str], Awaitable[tuple[str, ...]]]


class PairDesk:
    """``pair`` does it, on either side; None where there is nobody to pair with (role = "all")."""

    def __init__(self, pair: Pair | None) -> None:
        self._pair = pair

    async def pair(self, arguments: Arguments) -> Result:
        """Make or say a code. Raises Refused."""
        if self._pair is None:
            raise Refused(
                'this machine is not one half of a pair: write role = "edge" or role = "store" at the top of its config'
            )
        return Result(await self._pair(str(arguments.get("code") or "").strip()))
