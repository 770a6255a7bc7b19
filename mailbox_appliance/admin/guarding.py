"""Who is shut out: guard list|unban."""

from __future__ import annotations

import ipaddress

from mailbox_appliance.admin.parts import GuardDesk
from mailbox_appliance.admin.result import Refused, Result, listing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, moment_words, text_argument

_COLUMNS = ("address", "shut_out_until", "failures", "bans", "service", "account")


class GuardingDesk:
    """Bans end by themselves; unban ends one now."""

    def __init__(self, guard: GuardDesk) -> None:
        self._guard = guard

    async def list(self, arguments: Arguments) -> Result:
        """Who is refused, and who has failed within the last minute."""
        knockers = self._guard.listing()
        rows = [
            {
                "address": one.address,
                "shut_out_until": iso_moment(one.banned_until),
                "failures": one.failures,
                "bans": one.bans,
                "service": one.service,
                "account": one.account,
            }
            for one in knockers
        ]
        shown = [
            row | {"shut_out_until": moment_words(one.banned_until) or "not yet"}
            for row, one in zip(rows, knockers, strict=True)
        ]
        result = listing(_COLUMNS, shown, "nobody is shut out")
        return Result(result.lines, result.table, rows)

    async def unban(self, arguments: Arguments) -> Result:
        """Let an address in again."""
        text = text_argument(arguments, "address").strip("[]")
        try:
            ipaddress.ip_address(text.removesuffix("/64"))
        except ValueError:
            raise Refused(f"{text!r} is not an IP address: `mailappliance guard list` shows who is shut out") from None
        if not self._guard.unban(text):
            raise Refused(f"nothing is held against {text}: `mailappliance guard list` shows who is shut out")
        return Result((f"{text} may come in again",), data={"address": text})
