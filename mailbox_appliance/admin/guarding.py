"""Who is shut out, and who tries: guard list|log|unban|nft."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from mailbox_appliance.admin.firewall import nft_table, open_ports
from mailbox_appliance.admin.parts import GuardDesk, Trail
from mailbox_appliance.admin.result import Refused, Result, listing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, moment_words, text_argument
from mailbox_appliance.checks.lookups import Inquiry
from mailbox_appliance.config.model import Config
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Resolver

_COLUMNS = ("address", "shut_out_until", "failures", "bans", "service", "account")
STRANGERS = "strangers"  # in the place of an address
MOST_SHOWN = 50  # of the log, on paper; --json shows all
LOOK_UP_SECONDS = 5.0  # for all names of hosts together


class GuardingDesk:
    """Bans end by themselves; unban ends one now. ``resolver`` None: hosts are shown without their names."""

    def __init__(
        self, guard: GuardDesk, clock: Clock, config_now: Callable[[], Config], resolver: Resolver | None = None
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._config_now = config_now
        self._resolver = resolver

    async def list(self, arguments: Arguments) -> Result:
        """Who is refused, and who has failed within the last minute."""
        rows = [
            {
                "address": one.address,
                "shut_out_until": iso_moment(one.banned_until),
                "failures": one.failures,
                "bans": one.bans,
                "service": one.service,
                "account": one.account,
            }
            for one in self._guard.listing()
        ]
        untils = [one.banned_until for one in self._guard.listing()]
        sieges = self._guard.sieges()
        rows += [
            {
                "address": STRANGERS,
                "shut_out_until": iso_moment(one.until),
                "failures": 0,
                "bans": one.bans,
                "service": one.service,
                "account": one.account,
            }
            for one in sieges
        ]
        untils += [one.until for one in sieges]
        shown = [
            row | {"shut_out_until": moment_words(until) or "not yet"} for row, until in zip(rows, untils, strict=True)
        ]
        result = listing(_COLUMNS, shown, "nobody is shut out")
        lines = result.lines
        if sieges:
            lines += (
                "strangers: many guess at this account, so from places unknown to it only app passwords are taken",
                f"to end that: mailappliance guard unban {sieges[0].account}",
            )
        return Result(lines, result.table, rows)

    async def log(self, arguments: Arguments) -> Result:
        """Who has tried which passwords, within a day and since the service began."""
        until = {one.address: one.banned_until for one in self._guard.listing() if one.banned_until}
        trails = self._guard.trails()
        hosts = await self._hosts([trail.address for trail in trails[:MOST_SHOWN]])
        rows = []
        for trail in trails:
            address = f"{trail.address}/64" if trail.address.version == 6 else str(trail.address)
            rows.append(
                {
                    "address": address,
                    "host": hosts.get(trail.address, ""),
                    "failures": trail.tries,
                    "first": iso_moment(trail.first),
                    "last": iso_moment(trail.last),
                    "services": ", ".join(trail.services),
                    "tried": ", ".join(trail.accounts),
                    "nobodys": ", ".join(name for name in trail.accounts if not self._guard.account_of(name)),
                    "shut_out": address in until,
                }
            )
        lines = [*self._summary(), ""]
        for trail, row in zip(trails[:MOST_SHOWN], rows, strict=False):
            lines += self._paragraph(trail, str(row["address"]), str(row["host"]), until.get(str(row["address"]), 0.0))
        if not trails:
            lines = ["nobody has tried a wrong password since the service began"]
        elif len(trails) > MOST_SHOWN:
            lines.append(f"and {len(trails) - MOST_SHOWN} more addresses: mailappliance guard log --json")
        return Result(tuple(lines), data=rows)

    def _summary(self) -> Sequence[str]:
        """A line for each account that was tried, and one for all names that nobody has."""
        lines = []
        others, tried = 0, 0
        for aim in self._guard.aims():
            if self._guard.account_of(aim.account):
                places = "1 address" if aim.sources == 1 else f"{aim.sources} addresses"
                many = "1 wrong password" if aim.failures == 1 else f"{aim.failures} wrong passwords"
                lines.append(f"{aim.account}: {many} from {places} since {moment_words(aim.since)}")
            else:
                others, tried = others + 1, tried + aim.failures
        if others:
            lines.append(f"names that nobody has: {tried} tries at {others} of them")
        return lines

    def _paragraph(self, trail: Trail, address: str, host: str, until: float) -> Sequence[str]:
        """What one address did, in short lines."""
        ours = [name for name in trail.accounts if self._guard.account_of(name)]
        others = [name for name in trail.accounts if name not in ours]
        first, when = moment_words(trail.first), moment_words(trail.last)
        if when != first:
            when = f"{first} to {when[11:] if when[:10] == first[:10] else when}"
        many = "1 wrong password" if trail.tries == 1 else f"{trail.tries} wrong passwords"
        lines = [f"{address}{f' ({host})' if host else ''}", f"  {when}, {many} at {', '.join(trail.services)}"]
        if ours:
            lines.append(f"  for {', '.join(ours)}")
        if others:
            lines.append(f"  for names that nobody has: {', '.join(others)}")
        if until:
            lines.append(f"  shut out until {moment_words(until)}")
        return lines

    async def _hosts(self, addresses: Sequence[IPAddress]) -> dict[IPAddress, str]:
        """What they are called in the DNS, which whoever has the address may have written himself; "" for none."""
        if self._resolver is None or not addresses:
            return {}
        inquiry = Inquiry(self._resolver, self._clock, LOOK_UP_SECONDS)
        answers = await inquiry.ask(tuple((one.reverse_pointer, "PTR") for one in addresses))
        return {
            address: str(answer.records[0])[:80]
            for address, answer in zip(addresses, answers, strict=True)
            if answer.records
        }

    async def nft(self, arguments: Arguments) -> Result:
        """Who is shut out as a table for nftables; bans end in the kernel when they end here."""
        now = self._clock.seconds()
        kept = self._guard.kept()
        banned = [
            (one.address, one.banned_until - now)
            for one in self._guard.listing()
            if one.banned_until > now and one.address not in kept
        ]
        ports = [port for port, _, _ in open_ports(self._config_now())]
        data = [{"address": one, "seconds": round(left)} for one, left in banned]
        return Result(nft_table(banned, kept, ports), data=data)

    async def unban(self, arguments: Arguments) -> Result:
        """Let an address in again, or strangers at an account."""
        text = text_argument(arguments, "address").strip("[]")
        if "@" not in text:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise Refused(
                    f"{text!r} is not an IP address: `mailappliance guard list` shows who is shut out"
                ) from None
        if not self._guard.unban(text):
            raise Refused(f"nothing is held against {text}: `mailappliance guard list` shows who is shut out")
        words = f"{text} may come in again"
        if "@" in text:
            words = f"the main password of {text} is taken from everywhere again"
        return Result((words,), data={"address": text})
