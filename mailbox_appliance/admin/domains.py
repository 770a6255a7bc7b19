"""Domains: domain add|list|remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailbox_appliance.admin.result import Result, listing, refusing
from mailbox_appliance.admin.verb import Arguments
from mailbox_appliance.admin.words import iso_moment, text_argument
from mailbox_appliance.mail.address import domain_to_unicode
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.desks.names import is_inside

if TYPE_CHECKING:
    from mailbox_appliance.checks.signing import DkimKeys
    from mailbox_appliance.users.desks.domains import Domains


class DomainDesk:
    """domain add|list|remove. ``keys`` None: nothing is signed (local mode)."""

    def __init__(self, domains: Domains, keys: DkimKeys | None = None) -> None:
        self._domains = domains
        self._keys = keys

    async def add(self, arguments: Arguments) -> Result:
        """Make a domain ours; with an option, also change one that is."""
        owner, catch_all = arguments.get("owner"), arguments.get("catch_all")
        with refusing(UsersError):
            name = text_argument(arguments, "domain")
            known = [one.domain for one in await self._domains.listing()]
            if not (owner or catch_all) or name.lower() not in known:
                name = await self._domains.add(name, inside=bool(arguments.get("inside")) or self._keys is None)
                written = domain_to_unicode(name)
                shown = f"{name} ({written})" if written != name else name
                lines = [f"{shown} is one of our domains now", *await self._make_keys(name)]
                if is_inside(name) and self._keys is not None:
                    lines.append(f"only this house knows {name}: nobody outside can write to it, or answer")
            else:
                lines = []
            if owner:
                await self._domains.set_owner(name, str(owner))
                lines.append(f"{owner} is the owner of {name}")
            if catch_all:
                target = None if catch_all == "none" else str(catch_all)
                await self._domains.set_catch_all(name, target)
                refused = f"mail for names that nobody has at {name} is refused"
                lines.append(f"mail for names that nobody has at {name} goes to {target}" if target else refused)
        if not owner:
            lines.append(f"next: mailappliance account add SOMEBODY@{name} (the first account becomes its owner)")
        return Result(tuple(lines), data={"domain": name})

    async def _make_keys(self, name: str) -> list[str]:
        """The keys that sign its mail; a failure is no reason to refuse the domain."""
        if self._keys is None:
            return []
        try:
            await self._keys.ensure(name)
        except (OSError, ValueError, Busy) as error:
            words = "its mail is not signed yet, for no key could be made"
            return [f"{words} ({error}): restart the service once that is mended"]
        return [f"publish its records, keys among them: mailappliance dns records {name}"]

    async def list(self, arguments: Arguments) -> Result:
        """Our domains."""
        rows = [
            {
                "domain": one.domain,
                "owner": one.owner,
                "catch_all": one.catch_all,
                "accounts": one.accounts,
                "aliases": one.aliases,
                "added": iso_moment(one.added),
            }
            for one in await self._domains.listing()
        ]
        return listing(
            ("domain", "owner", "catch_all", "accounts", "aliases"),
            rows,
            "no domain yet: mailappliance domain add example.org",
        )

    async def remove(self, arguments: Arguments) -> Result:
        """Give a domain up."""
        with refusing(UsersError):
            name = await self._domains.remove(text_argument(arguments, "domain"))
        return Result((f"{name} is not one of our domains any more",), data={"domain": name})
