"""Addresses to throw away: throwaway new|list|revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin.result import Refused, Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, moment_words, text_argument
from mailbox_appliance.users.answers import ThrowawayInfo, UsersError

if TYPE_CHECKING:
    from mailbox_appliance.users.desks.throwaways import Throwaways


class ThrowawayDesk:
    """One address for each shop; what comes from elsewhere is tagged, and a click ends it."""

    def __init__(self, throwaways: Throwaways) -> None:
        self._throwaways = throwaways

    async def new(self, arguments: Arguments) -> Result:
        """Make one."""
        account = str(arguments.get("account") or "") or None
        with refusing(UsersError):
            made = await self._throwaways.new(account, str(arguments.get("label") or ""), _days(arguments))
        lines = [made.address, f"leads to {made.account}, who may write as it too"]
        if made.expires is not None:
            lines.append(f"expires {moment_words(made.expires)}")
        lines.append(f"is ended by: mailappliance throwaway revoke {made.address}")
        return Result(tuple(lines), data=_facts(made))

    async def list(self, arguments: Arguments) -> Result:
        """Those in use, or all."""
        account = str(arguments.get("account") or "") or None
        with refusing(UsersError):
            found = await self._throwaways.listing(account, ended=bool(arguments.get("all")))
        rows = [_facts(one) for one in found]
        columns = ("address", "account", "label", "state", "expires", "given_to", "leaks", "leaked_by")
        return listing(columns, rows, "no throw-away address yet: mailappliance throwaway new shop")

    async def revoke(self, arguments: Arguments) -> Result:
        """End one."""
        with refusing(UsersError):
            gone = await self._throwaways.revoke(text_argument(arguments, "address"), str(arguments.get("text") or ""))
        return Result((f"{gone.address} is worth nothing any more: mail for it is refused",), data=_facts(gone))


def _days(arguments: Arguments) -> float | None:
    text = str(arguments.get("expires") or "")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise Refused(f"--expires: {text!r} is not a number of days") from None


def _facts(info: ThrowawayInfo) -> dict[str, Any]:
    return {
        "address": info.address,
        "account": info.account,
        "label": info.label,
        "state": info.state,
        "made": iso_moment(info.made),
        "expires": iso_moment(info.expires),
        "revoked": iso_moment(info.revoked),
        "given_to": info.pinned,
        "leaks": info.leaks,
        "leaked": iso_moment(info.leaked),
        "leaked_by": info.leaked_by,
    }
