"""The desk for accounts: adding, removing and bringing back, passwords, quota, settings."""

from __future__ import annotations

import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence

from mailbox_appliance.journal.events.users import (
    AccountAdded,
    AccountBroughtBack,
    AccountChanged,
    AccountForgotten,
    AccountRemoved,
    PasswordChanged,
)
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.users import Known
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.users import apppassword
from mailbox_appliance.users.answers import AccountInfo, NewAccount, RemovedAccount, UsersError
from mailbox_appliance.users.desks.names import good_name, living, new_account_address, our_domain, read_address
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.password import Passwords, generate_password, weakness
from mailbox_appliance.users.records import AccountRecord, AuditRecord
from mailbox_appliance.users.snapshot import Snapshot, lookup_key
from mailbox_appliance.users.strength.facts import own_words, words_of_new
from mailbox_appliance.users.strength.spawned import Judge, NotJudged

Work = Callable[[sqlite3.Connection], object]
_SETTING_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,39}")
SETTING_LENGTH = 1000
MOST_SETTINGS = 64


class Accounts:
    """Every method that changes something raises UsersError when it refuses."""

    def __init__(
        self,
        directory: SnapshotDirectory,
        passwords: Passwords,
        clock: Clock,
        journal: Journal,
        judge: Judge | None = None,
    ) -> None:
        """``judge`` None: only the shape of a password is looked at."""
        self._judge = judge
        self._directory = directory
        self._passwords = passwords
        self._clock = clock
        self._journal = journal

    async def listing(self, *, removed: bool = False) -> tuple[AccountInfo, ...]:
        """Accounts by domain and name; with ``removed`` those that can be brought back instead."""
        snapshot = self._directory.snapshot
        chosen = snapshot.resting if removed else snapshot.accounts
        return tuple(self._info(snapshot, record) for record in chosen.values())

    def _info(self, snapshot: Snapshot, record: AccountRecord) -> AccountInfo:
        settings = self._directory.settings_now
        return AccountInfo(
            str(record.address),
            settings.default_quota if record.quota is None else record.quota,
            record.quota is None,
            tuple(one.name for one in snapshot.domains.values() if one.owner == record.number),
            tuple(str(alias) for alias, targets in snapshot.aliases.items() if record.address in targets),
            sum(one.account == record.number for one in snapshot.app_passwords.values()),
            dict(record.settings),
            record.added,
            record.removed,
            None if record.removed is None else record.removed + settings.keep_removed,
            _known(snapshot.audit(record)),
            record.name,
        )

    async def add(self, text: str, password: str | None = None, quota: int | None = None, name: str = "") -> NewAccount:
        """Make an account; None generates a password, which the answer then holds.

        The first account of a domain becomes its owner. ``quota`` in octets, 0 = none, None = the default.
        """
        address, name = new_account_address(text), good_name(name)
        _refuse_taken(self._directory.snapshot, address)  # before the work of hashing
        words = words_of_new(self._directory.snapshot, address, name)
        chosen, judged = await self._good_password(password, address, words)
        hash = await self._hashed(chosen)
        row = (
            address.local,
            address.domain,
            hash,
            secrets.token_bytes(apppassword.SCRAM_SALT_OCTETS),
            apppassword.SCRAM_ITERATIONS,
            _good_quota(quota),
            self._clock.seconds(),
            name,
        )

        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], bool]:
            _refuse_taken(snapshot, address)
            becomes_owner = snapshot.owner(address.domain) is None

            def work(connection: sqlite3.Connection) -> bool:
                number = connection.execute(
                    "INSERT INTO accounts (local, domain, hash, hash_version, scram_salt, scram_iterations, quota, "
                    "added, name) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)",
                    row,
                ).lastrowid
                if becomes_owner:
                    connection.execute("UPDATE domains SET owner = ? WHERE name = ?", (number, address.domain))
                forget_known(connection, number, judged)
                return becomes_owner

            return work

        owner = await self._directory.edit(plan)
        self._journal.tell(AccountAdded(account=str(address)))
        return NewAccount(str(address), "" if password is not None else chosen, (address.domain,) if owner else ())

    async def _hashed(self, password: str) -> str:
        try:
            return await self._passwords.hash(password)
        except Busy as error:
            raise UsersError(f"nothing was changed: {error}; try again in a moment") from error

    async def _good_password(
        self, given: str | None, address: Address, words: Sequence[str]
    ) -> tuple[str, float | None]:
        """The password to be set, and when it was judged (None: not yet). Raises UsersError with what is wrong."""
        if given is None:
            return generate_password(), self._clock.seconds()
        chosen = _shapely(given, address)
        if self._judge is None:
            return chosen, None
        try:
            why = await self._judge.judge(chosen, words)
        except NotJudged as trouble:
            raise UsersError(f"nothing was changed: {trouble}; try again, or let a password be made") from None
        if why:
            raise UsersError(f"{why}; `mailappliance password suggest` shows some")
        return chosen, self._clock.seconds()

    async def set_password(
        self,
        account: str,
        password: str | None = None,
        *,
        still: Callable[[Snapshot, AccountRecord], bool] | None = None,
    ) -> str:
        """Another main password; None generates one. Returns the generated one, else ''.

        ``still`` is asked in the moment of the change: False refuses it.
        """
        record = living(self._directory.snapshot, account)
        chosen, judged = await self._good_password(
            password, record.address, own_words(self._directory.snapshot, record)
        )
        hash = await self._hashed(chosen)

        def plan(snapshot: Snapshot) -> Work:
            now = living(snapshot, account)
            if still is not None and not still(snapshot, now):
                raise UsersError("the password has changed in the meantime; nothing was changed")

            def work(connection: sqlite3.Connection) -> None:
                connection.execute(
                    "UPDATE accounts SET hash = ?, hash_version = hash_version + 1 WHERE id = ?", (hash, now.number)
                )
                forget_known(connection, now.number, judged)

            return work

        await self._directory.edit(plan)
        self._journal.tell(PasswordChanged(account=str(record.address)))
        return "" if password is not None else chosen

    async def set_quota(self, account: str, quota: int | None) -> None:
        """``quota`` in octets, 0 = none, None = the default."""
        octets = _good_quota(quota)
        await self._change(
            account, "quota", lambda number: ("UPDATE accounts SET quota = ? WHERE id = ?", (octets, number))
        )

    async def set_name(self, account: str, name: str) -> str:
        """How people call its owner; "" for nothing. Returns it as it is kept."""
        good = good_name(name)
        await self._change(
            account, "name", lambda number: ("UPDATE accounts SET name = ? WHERE id = ?", (good, number))
        )
        return good

    async def set_setting(self, account: str, key: str, value: str | None) -> None:
        """A small setting, such as ``may_send`` = "no" (reads mail but sends none); None removes it."""
        if not _SETTING_KEY.fullmatch(key):
            raise UsersError(f"{key!r} is not the name of a setting: lower-case letters, digits and _ only")
        if value is not None and len(value) > SETTING_LENGTH:
            raise UsersError(f"the value of {key} is too long: {SETTING_LENGTH} characters at most")
        if value is None:
            await self._change(
                account, key, lambda number: ("DELETE FROM settings WHERE account = ? AND key = ?", (number, key))
            )
            return
        had = living(self._directory.snapshot, account).settings
        if key not in had and len(had) >= MOST_SETTINGS:
            raise UsersError(f"{account} has {MOST_SETTINGS} settings already")
        sql = "INSERT OR REPLACE INTO settings (account, key, value) VALUES (?, ?, ?)"
        await self._change(account, key, lambda number: (sql, (number, key, value)))

    async def _change(
        self, account: str, what: str, statement: Callable[[int], tuple[str, tuple[object, ...]]]
    ) -> None:
        address = living(self._directory.snapshot, account).address

        def plan(snapshot: Snapshot) -> Work:
            sql, values = statement(living(snapshot, account).number)
            return lambda connection: connection.execute(sql, values)

        await self._directory.edit(plan)
        self._journal.tell(AccountChanged(account=str(address), what=what))

    async def remove(self, account: str) -> RemovedAccount:
        """End an account. It rests, with its passwords and aliases, until it is forgotten or brought back.

        Domains it owned go to the oldest other account of the domain.
        """
        now = self._clock.seconds()
        keep = self._directory.settings_now.keep_removed

        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], tuple[Address, dict[str, AccountRecord | None]]]:
            record = living(snapshot, account)
            heirs: dict[str, AccountRecord | None] = {}
            for domain in snapshot.domains.values():
                if domain.owner == record.number:
                    others = [
                        one for one in snapshot.accounts.values() if one.address.domain == domain.name and one != record
                    ]
                    heirs[domain.name] = min(others, key=lambda one: (one.added, one.number), default=None)

            def work(connection: sqlite3.Connection) -> tuple[Address, dict[str, AccountRecord | None]]:
                connection.execute("UPDATE accounts SET removed = ? WHERE id = ?", (now, record.number))
                for name, heir in heirs.items():
                    # Without an heir the row stays: the account owns the domain again when it is brought back.
                    if heir is not None:
                        connection.execute("UPDATE domains SET owner = ? WHERE name = ?", (heir.number, name))
                return record.address, heirs

            return work

        address, heirs = await self._directory.edit(plan)
        self._journal.tell(AccountRemoved(account=str(address), keep_days=round(keep / 86400)))
        after = self._directory.snapshot
        dead = tuple(
            str(alias)
            for alias, targets in after.aliases.items()
            if address in map(lookup_key, targets) and not isinstance(after.resolve(alias), Known)
        )
        owners = tuple((name, str(heir.address) if heir else "") for name, heir in heirs.items())
        return RemovedAccount(str(address), now + keep, owners, dead)

    async def undelete(self, account: str) -> AccountInfo:
        """Bring a removed account back."""
        address = lookup_key(read_address(account))

        def plan(snapshot: Snapshot) -> Work:
            record = _resting(snapshot, address)
            our_domain(snapshot, address.domain)
            if address in snapshot.aliases:
                raise UsersError(f"{address} is an alias now: `mailappliance alias remove {address}` first")
            ownerless = snapshot.owner(address.domain) is None

            def work(connection: sqlite3.Connection) -> None:
                connection.execute("UPDATE accounts SET removed = NULL WHERE id = ?", (record.number,))
                if ownerless:
                    connection.execute("UPDATE domains SET owner = ? WHERE name = ?", (record.number, address.domain))

            return work

        await self._directory.edit(plan)
        self._journal.tell(AccountBroughtBack(account=str(address)))
        return self._info(self._directory.snapshot, self._directory.snapshot.accounts[address])

    async def forget(self, account: str) -> Address:
        """Delete a removed account for good, now; whoever calls deletes its mail."""
        address = lookup_key(read_address(account))
        await self._directory.edit(lambda snapshot: _delete(snapshot, _resting(snapshot, address)))
        self._journal.tell(AccountForgotten(account=str(address)))
        return address

    async def forget_old(self) -> tuple[Address, ...]:
        """Delete for good what has rested long enough (call it daily); whoever calls deletes the mail of these."""
        limit = self._clock.seconds() - self._directory.settings_now.keep_removed
        due = [one for one in self._directory.snapshot.resting.values() if one.removed and one.removed <= limit]
        return tuple([await self.forget(str(one.address)) for one in due])


def _refuse_taken(snapshot: Snapshot, address: Address) -> None:
    our_domain(snapshot, address.domain)
    if address in snapshot.accounts:
        raise UsersError(f"{address} exists already: `mailappliance account password {address}` changes its password")
    if address in snapshot.lists:
        raise UsersError(f"{address} is a mailing list: choose another name for the account")
    if address in snapshot.aliases:
        raise UsersError(f"{address} is an alias: `mailappliance alias remove {address}` first, or choose another name")
    if address in snapshot.throwaways:
        raise UsersError(f"{address} is or was a throw-away address: choose another name")
    record = snapshot.resting.get(address)
    if record is not None and record.removed is not None:
        day = time.strftime("%Y-%m-%d", time.gmtime(record.removed))
        raise UsersError(
            f"{address} was removed on {day} and its mail is still kept: "
            f"`mailappliance account undelete {address}` brings it back"
        )


def _resting(snapshot: Snapshot, address: Address) -> AccountRecord:
    record = snapshot.resting.get(address)
    if record is None:
        there = "it has not been removed" if address in snapshot.accounts else "it is not kept (any more)"
        raise UsersError(f"{address} cannot be brought back or forgotten: {there}")
    return record


def _delete(snapshot: Snapshot, record: AccountRecord) -> Work:
    """Whoever gets the name next must not inherit what led to it: alias targets and catch-alls go as well."""

    def is_it(target: Address) -> bool:
        return lookup_key(target.without_detail()[0]) == record.address

    targets = {one for targets in snapshot.aliases.values() for one in targets if is_it(one)}
    catch_alls = [one.name for one in snapshot.domains.values() if one.catch_all is not None and is_it(one.catch_all)]

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM accounts WHERE id = ?", (record.number,))
        connection.executemany(
            "DELETE FROM aliases WHERE target_local = ? AND target_domain = ?",
            [(one.local, one.domain) for one in targets],
        )
        connection.executemany("UPDATE domains SET catch_all = '' WHERE name = ?", [(name,) for name in catch_alls])

    return work


def _known(audit: AuditRecord) -> str:
    if audit.weak:
        return "weak, allowed" if audit.allowed else "weak"
    return "" if audit.judged is None else "good"


def forget_known(connection: sqlite3.Connection, account: int | None, judged: float | None) -> None:
    """A password has been set: what was known of the last one, and links to change it, are worth nothing."""
    connection.execute("DELETE FROM password_links WHERE account = ?", (account,))
    connection.execute("DELETE FROM password_audits WHERE account = ?", (account,))
    connection.execute(
        "INSERT INTO password_audits (account, hash_version, judged) SELECT id, hash_version, ? FROM accounts "
        "WHERE id = ?",
        (judged, account),
    )


def _shapely(password: str, address: Address) -> str:
    complaint = weakness(password, str(address))
    if not complaint and apppassword.canonical(password) is not None:
        complaint = "the password looks like an app password (24 letters and digits): make it longer or shorter"
    if complaint:
        raise UsersError(complaint)
    return password


def _good_quota(quota: int | None) -> int | None:
    if quota is not None and not 0 <= quota < 1 << 62:
        raise UsersError("a quota is a number of octets; 0 means none")
    return quota
