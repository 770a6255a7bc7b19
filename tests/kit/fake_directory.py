"""A Directory made of dicts: who lives here, for tests of the stations that ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import (
    Destination,
    Elsewhere,
    Known,
    LocalMailbox,
    NotOurs,
    Resolution,
    Unknown,
)

ROLES = frozenset({"postmaster", "hostmaster", "webmaster", "abuse"})


class FakeDirectory:
    """``domains`` maps a domain to its owner's address ('' for none); everything is given as text.

    FakeDirectory({"example.org": "ann@example.org"}, ["ann@example.org"], {"info@example.org": ["ann@example.org"]})
    """

    def __init__(
        self,
        domains: Mapping[str, str],
        accounts: Iterable[str] = (),
        aliases: Mapping[str, Iterable[str]] | None = None,
        catch_all: Mapping[str, str] | None = None,
        quotas: Mapping[str, int] | None = None,
        settings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.owners = {name: Address.parse(owner) if owner else None for name, owner in domains.items()}
        self.mailboxes = [Address.parse(text) for text in accounts]
        self.aliases = {
            Address.parse(name): [Address.parse(text) for text in targets] for name, targets in (aliases or {}).items()
        }
        self.catch_all = {name: Address.parse(target) for name, target in (catch_all or {}).items()}
        self.quotas = {Address.parse(text): octets for text, octets in (quotas or {}).items()}
        self.names: dict[Address, str] = {}
        self.all_settings = {Address.parse(text): values for text, values in (settings or {}).items()}

    def domains(self) -> frozenset[str]:
        return frozenset(self.owners)

    async def resolve(self, address: Address) -> Resolution:
        return self.resolve_now(address)

    def resolve_now(self, address: Address) -> Resolution:
        if not address.domain and address.local.lower() == "postmaster":
            owned = [name for name, owner in self.owners.items() if owner is not None]
            address = Address("postmaster", owned[0] if owned else "")
        if address.domain not in self.owners:
            return NotOurs()
        found: dict[Address, Destination] = {}
        via = self._expand(address, "", found, set())
        return Known(tuple(found.values()), via) if found else Unknown()

    def _expand(self, address: Address, detail: str, found: dict[Address, Destination], seen: set[Address]) -> str:
        """Put the destinations of ``address`` into ``found`` (by account or outside address) and say how."""
        if address.domain not in self.owners:
            found.setdefault(address.folded(), Elsewhere(address))
            return ""
        folded = address.folded()
        base, tag = address.without_detail()
        for name, rest in ((folded, detail), (base.folded(), tag or detail)):
            if name in self.mailboxes:
                found.setdefault(name, LocalMailbox(name, rest))
                return ""
            if name in self.aliases:
                if name not in seen:
                    seen.add(name)
                    for target in self.aliases[name]:
                        self._expand(target, rest, found, seen)
                return "alias"
        owner = self.owners[address.domain]
        if base.local.lower() in ROLES and owner in self.mailboxes:
            assert owner is not None
            found.setdefault(owner, LocalMailbox(owner, tag or detail))
            return "role"
        default = self.catch_all.get(address.domain)
        if default is not None and Address("*", address.domain) not in seen:
            seen.add(Address("*", address.domain))
            self._expand(default, "", found, seen)
            return "catch-all"
        return ""

    async def owns(self, account: Address, address: Address) -> bool:
        known = self.resolve_now(address)
        return isinstance(known, Known) and any(
            isinstance(one, LocalMailbox) and one.account == account for one in known.destinations
        )

    async def accounts(self) -> tuple[Address, ...]:
        return tuple(self.mailboxes)

    async def display_names(self) -> Mapping[Address, str]:
        return self.names

    async def quota(self, account: Address) -> int:
        return self.quotas.get(account, 0)

    async def owner(self, domain: str) -> Address | None:
        return self.owners.get(domain)

    async def settings(self, account: Address) -> Mapping[str, str]:
        return self.all_settings.get(account, {})
