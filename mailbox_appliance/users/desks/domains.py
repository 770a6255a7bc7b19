"""The desk for domains: adding, removing, owner and catch-all."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import Counter
from collections.abc import Callable

from mailbox_appliance.journal.events.users import DomainAdded, DomainChanged, DomainRemoved
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.users import Known
from mailbox_appliance.users.answers import DomainInfo, UsersError
from mailbox_appliance.users.desks.names import living, new_domain, our_domain, raw, read_address, read_domain
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.records import DomainRecord
from mailbox_appliance.users.snapshot import Snapshot, lookup_key

Work = Callable[[sqlite3.Connection], object]


class Domains:
    """Every method that changes something raises UsersError when it refuses."""

    def __init__(self, directory: SnapshotDirectory, clock: Clock, journal: Journal) -> None:
        self._directory = directory
        self._clock = clock
        self._journal = journal

    async def listing(self) -> tuple[DomainInfo, ...]:
        """Our domains by name."""
        snapshot = self._directory.snapshot
        accounts = Counter(address.domain for address in snapshot.accounts)
        aliases = Counter(address.domain for address in snapshot.aliases)
        return tuple(
            DomainInfo(
                one.name,
                str(owner.address) if (owner := snapshot.owner(one.name)) else "",
                raw(one.catch_all) if one.catch_all else "",
                accounts[one.name],
                aliases[one.name],
                one.added,
            )
            for one in snapshot.domains.values()
        )

    async def add(self, text: str, *, inside: bool = False) -> str:
        """Make a domain ours; its first account will be its owner. Returns it as A-labels.

        ``inside``: a single word will do.
        """
        domain = new_domain(text, inside=inside)
        now = self._clock.seconds()

        def plan(snapshot: Snapshot) -> Work:
            if domain in snapshot.domains:
                raise UsersError(f"{domain} is one of our domains already")
            number = 1 + max((one.number for one in snapshot.domains.values()), default=0)
            return lambda connection: connection.execute(
                "INSERT INTO domains (name, number, owner, catch_all, added) VALUES (?, ?, NULL, '', ?)",
                (domain, number, now),
            )

        await self._directory.edit(plan)
        self._journal.tell(DomainAdded(domain=domain))
        return domain

    async def remove(self, text: str) -> str:
        """Give a domain up. It must have no accounts and no aliases any more."""
        domain = read_domain(text)

        def plan(snapshot: Snapshot) -> Work:
            our_domain(snapshot, domain)
            accounts = [str(one) for one in snapshot.accounts if one.domain == domain]
            if accounts:
                raise UsersError(
                    f"{domain} still has {len(accounts)} account(s), such as {accounts[0]}: "
                    f"run `mailappliance account remove {accounts[0]}` first"
                )
            aliases = [str(one) for one in snapshot.aliases if one.domain == domain]
            if aliases:
                raise UsersError(
                    f"{domain} still has {len(aliases)} alias(es), such as {aliases[0]}: "
                    f"run `mailappliance alias remove {aliases[0]}` first"
                )
            lists = [str(one) for one in snapshot.lists if one.domain == domain]
            if lists:
                raise UsersError(
                    f"{domain} still has {len(lists)} mailing list(s), such as {lists[0]}: "
                    f"run `mailappliance lists remove {lists[0]}` first"
                )
            return lambda connection: connection.execute("DELETE FROM domains WHERE name = ?", (domain,))

        await self._directory.edit(plan)
        self._journal.tell(DomainRemoved(domain=domain))
        return domain

    async def set_owner(self, text: str, account: str) -> None:
        """Who gets the role addresses and the notices of a domain."""
        domain = read_domain(text)

        def plan(snapshot: Snapshot) -> Work:
            our_domain(snapshot, domain)
            owner = living(snapshot, account)
            return lambda connection: connection.execute(
                "UPDATE domains SET owner = ? WHERE name = ?", (owner.number, domain)
            )

        await self._directory.edit(plan)
        self._journal.tell(DomainChanged(domain=domain, what="owner", value=account))

    async def set_catch_all(self, text: str, target: str | None) -> None:
        """Send mail for names that nobody has to ``target``; None or '' refuses it again."""
        domain = read_domain(text)
        address = read_address(target) if target else None

        def plan(snapshot: Snapshot) -> Work:
            record = our_domain(snapshot, domain)
            if address is not None:
                self._must_lead_somewhere(snapshot, record, address)
            value = raw(address) if address else ""
            return lambda connection: connection.execute(
                "UPDATE domains SET catch_all = ? WHERE name = ?", (value, domain)
            )

        await self._directory.edit(plan)
        self._journal.tell(DomainChanged(domain=domain, what="catch-all", value=str(address or "")))

    @staticmethod
    def _must_lead_somewhere(snapshot: Snapshot, record: DomainRecord, target: Address) -> None:
        """The target exists without the help of the catch-all itself, and does not lead back to it."""
        without = {record.name: dataclasses.replace(record, catch_all=None)}
        alone = snapshot.with_changes(domains=without)
        if target.domain in snapshot.domains and not isinstance(alone.resolve(lookup_key(target)), Known):
            raise UsersError(f"there is no {target} to take the mail: add that account or alias first")
        after = snapshot.with_changes(domains={record.name: dataclasses.replace(record, catch_all=target)})
        if after.expand(Address("*", record.name)).loop:
            raise UsersError(f"{target} would lead back to the catch-all of {record.name}: choose another address")
