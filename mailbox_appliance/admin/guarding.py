"""Who is shut out, and who tries: guard list|log|unban|nft."""

from __future__ import annotations

import ipaddress

from mailbox_appliance.admin.firewall import nft_table
from mailbox_appliance.admin.parts import GuardDesk
from mailbox_appliance.admin.result import Refused, Result, listing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, moment_words, text_argument
from mailbox_appliance.ports.clock import Clock

_COLUMNS = ("address", "shut_out_until", "failures", "bans", "service", "account")
_LOG = ("address", "failures", "first", "last", "services", "tried", "shut_out")


class GuardingDesk:
    """Bans end by themselves; unban ends one now."""

    def __init__(self, guard: GuardDesk, clock: Clock) -> None:
        self._guard = guard
        self._clock = clock

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

    async def log(self, arguments: Arguments) -> Result:
        """Who has tried which passwords, within a day and since the service began."""
        banned = {one.address for one in self._guard.listing() if one.banned_until}
        rows = []
        shown = []
        for trail in self._guard.trails():
            address = f"{trail.address}/64" if trail.address.version == 6 else str(trail.address)
            names = ", ".join(trail.accounts)
            row = {
                "address": address,
                "failures": trail.tries,
                "first": iso_moment(trail.first),
                "last": iso_moment(trail.last),
                "services": ", ".join(trail.services),
                "tried": names,
                "shut_out": address in banned,
            }
            rows.append(row)
            shown.append(
                row
                | {
                    "first": moment_words(trail.first),
                    "last": moment_words(trail.last),
                    "shut_out": "yes" if address in banned else "",
                }
            )
        result = listing(_LOG, shown, "nobody has tried a wrong password since the service began")
        return Result(result.lines, result.table, rows)

    async def nft(self, arguments: Arguments) -> Result:
        """Who is shut out as a table for nftables; bans end in the kernel when they end here."""
        now = self._clock.seconds()
        banned = [(one.address, one.banned_until - now) for one in self._guard.listing() if one.banned_until > now]
        return Result(nft_table(banned), data=[{"address": one, "seconds": round(left)} for one, left in banned])

    async def unban(self, arguments: Arguments) -> Result:
        """Let an address in again."""
        text = text_argument(arguments, "address").strip("[]")
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise Refused(f"{text!r} is not an IP address: `mailappliance guard list` shows who is shut out") from None
        if not self._guard.unban(text):
            raise Refused(f"nothing is held against {text}: `mailappliance guard list` shows who is shut out")
        return Result((f"{text} may come in again",), data={"address": text})
