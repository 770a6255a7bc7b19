"""The desk for aliases: one or many targets, here or elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from mailbox_appliance.journal.events.users import AliasRemoved, AliasSet
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.users import Known
from mailbox_appliance.users.answers import AliasInfo, UsersError
from mailbox_appliance.users.desks.names import new_alias_address, our_domain, read_address
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.snapshot import Snapshot, lookup_key

Work = Callable[[sqlite3.Connection], object]
MOST_TARGETS = 500


class Aliases:
    """Every method that changes something raises UsersError when it refuses."""

    def __init__(self, directory: SnapshotDirectory, journal: Journal) -> None:
        self._directory = directory
        self._journal = journal

    async def listing(self) -> tuple[AliasInfo, ...]:
        """All aliases by domain and name."""
        snapshot = self._directory.snapshot
        return tuple(_info(snapshot, alias) for alias in snapshot.aliases)

    async def add(self, text: str, targets: Sequence[str]) -> AliasInfo:
        """Make an alias, or add targets to one that exists (those it has already are left as they are)."""
        alias = new_alias_address(text)
        wanted = [read_address(target) for target in targets]
        if not wanted:
            raise UsersError(f"say where {alias} shall lead: `mailappliance alias add {alias} ann@{alias.domain}`")

        def plan(snapshot: Snapshot) -> Work:
            our_domain(snapshot, alias.domain)
            if alias in snapshot.accounts:
                raise UsersError(f"{alias} is an account and keeps its own mail: choose another name for the alias")
            if alias in snapshot.lists:
                raise UsersError(f"{alias} is a mailing list: choose another name for the alias")
            if alias in snapshot.resting:
                raise UsersError(
                    f"{alias} was an account that can still be brought back: "
                    f"`mailappliance account undelete {alias}`, or choose another name"
                )
            if alias in snapshot.throwaways:
                raise UsersError(f"{alias} is a throw-away address: choose another name for the alias")
            for target in wanted:
                _must_exist(snapshot, alias, target)
            together: dict[Address, Address] = {}
            for target in (*snapshot.aliases.get(alias, ()), *wanted):
                kept = lookup_key(target) if target.domain in snapshot.domains else target
                together.setdefault(lookup_key(target), kept)
            if len(together) > MOST_TARGETS:
                raise UsersError(f"{alias} would lead to {len(together)} addresses; {MOST_TARGETS} are the most")
            after = snapshot.with_changes(aliases={alias: tuple(together.values())})
            loop = after.expand(alias).loop  # a new circle must pass through what is new
            if loop is not None:
                raise UsersError(f"{alias} would lead in a circle by way of {loop}: leave that target out")
            return lambda connection: _write(connection, alias, tuple(together.values()))

        await self._directory.edit(plan)
        info = _info(self._directory.snapshot, alias)
        self._journal.tell(AliasSet(alias=info.alias, targets=info.targets))
        return info

    async def remove(self, text: str, targets: Sequence[str] = ()) -> AliasInfo:
        """Remove an alias, or only some of its ``targets``; returns what is left (no targets: it is gone)."""
        alias = new_alias_address(text)
        unwanted = {lookup_key(read_address(target)) for target in targets}

        def plan(snapshot: Snapshot) -> Work:
            had = snapshot.aliases.get(alias)
            if had is None:
                raise UsersError(f"there is no alias {alias}: `mailappliance alias list` shows what there is")
            strangers = unwanted - {lookup_key(one) for one in had}
            if strangers:
                raise UsersError(f"{alias} does not lead to {min(map(str, strangers))}")
            left = tuple(one for one in had if unwanted and lookup_key(one) not in unwanted)
            return lambda connection: _write(connection, alias, left)

        await self._directory.edit(plan)
        if alias in self._directory.snapshot.aliases:
            info = _info(self._directory.snapshot, alias)
            self._journal.tell(AliasSet(alias=info.alias, targets=info.targets))
            return info
        self._journal.tell(AliasRemoved(alias=str(alias)))
        return AliasInfo(str(alias), ())


def _info(snapshot: Snapshot, alias: Address) -> AliasInfo:
    targets = tuple(str(target) for target in snapshot.aliases[alias])
    return AliasInfo(str(alias), targets, dead=not isinstance(snapshot.resolve(alias), Known))


def _must_exist(snapshot: Snapshot, alias: Address, target: Address) -> None:
    if target.domain not in snapshot.domains or lookup_key(target) == alias:
        return  # elsewhere, or a loop, which is refused with its own words
    if lookup_key(target) in snapshot.aliases or isinstance(snapshot.resolve(target), Known):
        return
    raise UsersError(f"there is no {target} here: add that account first, or check the spelling")


def _write(connection: sqlite3.Connection, alias: Address, targets: Sequence[Address]) -> None:
    connection.execute("DELETE FROM aliases WHERE local = ? AND domain = ?", (alias.local, alias.domain))
    connection.executemany(
        "INSERT INTO aliases (local, domain, position, target_local, target_domain) VALUES (?, ?, ?, ?, ?)",
        [(alias.local, alias.domain, n, target.local, target.domain) for n, target in enumerate(targets)],
    )
