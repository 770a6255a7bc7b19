"""The whole user database in memory, frozen: where an address leads is answered without touching the disk.

A household has some thousand addresses at most, so each edit simply makes a new snapshot. The order in which an
address of ours is looked up is the table below; the first that fits wins (RFC 5321 §3.3, §5.1; RFC 5233 for the
subaddress; RFC 2142 for the roles):

    1  account of exactly that name             ann@
    2  alias of exactly that name               family@  ann+shop@
    3  throw-away of exactly that name          shop-x7k2p9@ → its account
    4  mailing list, and its addresses          club@  club-subscribe@  club+unsubscribe@
    5  account or alias without the subaddress  ann+shop@ → ann@, with the detail "shop"
    6  role                                     postmaster@ hostmaster@ webmaster@ abuse@ → the domain's owner
    7  the domain's catch-all

A throw-away that is over leads nowhere, not to the catch-all either: the directory, which has a clock, says so first.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.lists import PARTS, MailingList, Member
from mailbox_appliance.ports.users import (
    AtList,
    Destination,
    DeviceKey,
    Elsewhere,
    Known,
    LocalMailbox,
    NotOurs,
    Resolution,
    Unknown,
)
from mailbox_appliance.users.records import (
    AccountRecord,
    AppPasswordRecord,
    AuditRecord,
    DomainRecord,
    LinkRecord,
    ThrowawayRecord,
)

SEPARATOR = "+"
ROLES = frozenset({"postmaster", "hostmaster", "webmaster", "abuse"})
# One message to an alias goes to so many places at most; the rest of a wilder expansion is left out.
MOST_DESTINATIONS = 1000


def lookup_key(address: Address) -> Address:
    """The form in which addresses of ours are kept and compared: lower case, composed (Unicode NFC)."""
    local = address.local.lower()
    if not local.isascii():
        local = unicodedata.normalize("NFC", local)
    return address if local == address.local else Address(local, address.domain)


@dataclass(frozen=True, slots=True)
class Expansion:
    """Where an address leads. ``via`` says by which row of the table; ``loop`` is an alias that leads to itself."""

    destinations: tuple[Destination, ...]
    via: str
    loop: Address | None = None


@dataclass(frozen=True)
class Snapshot:
    """All rows as they were after the last edit; mappings are never changed."""

    domains: Mapping[str, DomainRecord]
    accounts: Mapping[Address, AccountRecord]  # living ones
    resting: Mapping[Address, AccountRecord]  # removed, not yet forgotten
    aliases: Mapping[Address, tuple[Address, ...]]
    app_passwords: Mapping[str, AppPasswordRecord]  # by prefix
    throwaways: Mapping[Address, ThrowawayRecord] = field(default_factory=dict)  # those that are over included
    salt_key: bytes = b""  # makes the salts of names that nobody has
    lists: Mapping[Address, MailingList] = field(default_factory=dict)
    audits: Mapping[int, AuditRecord] = field(default_factory=dict)  # by the account's number
    links: Mapping[bytes, LinkRecord] = field(default_factory=dict)  # by digest

    def audit(self, account: AccountRecord) -> AuditRecord:
        """What is known of the password that ``account`` has now."""
        known = self.audits.get(account.number)
        if known is None or known.hash_version != account.hash_version:
            return AuditRecord(account.number, account.hash_version)
        return known

    @cached_property
    def domain_names(self) -> frozenset[str]:
        """Our domains."""
        return frozenset(self.domains)

    @cached_property
    def display_names(self) -> Mapping[Address, str]:
        """Of the living accounts that have one."""
        return {address: one.name for address, one in self.accounts.items() if one.name}

    @cached_property
    def by_number(self) -> Mapping[int, AccountRecord]:
        """Every account, living or resting, by its number."""
        return {one.number: one for group in (self.accounts, self.resting) for one in group.values()}

    @cached_property
    def devices(self) -> Mapping[int, tuple[DeviceKey, ...]]:
        """The SCRAM keys of every account's app passwords, by the account's number."""
        found: dict[int, list[DeviceKey]] = {}
        for one in self.app_passwords.values():
            found.setdefault(one.account, []).append(DeviceKey(one.proof, one.stored_key, one.server_key))
        return {account: tuple(keys) for account, keys in found.items()}

    @cached_property
    def _mailboxes(self) -> Mapping[Address, Known]:
        return {address: Known((LocalMailbox(address),)) for address in self.accounts}

    @cached_property
    def primary_domain(self) -> str:
        """The domain that answers for the bare ``postmaster``: the first with an owner; '' when there is none."""
        ordered = sorted(self.domains.values(), key=lambda one: one.number)
        return next((one.name for one in ordered if self.owner(one.name) is not None), "")

    def owner(self, domain: str) -> AccountRecord | None:
        """The living owner account of ``domain``."""
        record = self.domains.get(domain)
        if record is None or record.owner is None:
            return None
        account = self.by_number.get(record.owner)
        return account if account is not None and account.removed is None else None

    def resolve(self, address: Address) -> Resolution:
        """As ports.users.Directory.resolve. Never loops, never names a destination twice."""
        if not address.domain:
            # RFC 5321 §4.5.1: "postmaster" without a domain, in any case of letters, is always served.
            if address.local.lower() != "postmaster" or not self.primary_domain:
                return NotOurs()
            address = Address("postmaster", self.primary_domain)
        if address.domain not in self.domains:
            return NotOurs()
        key = lookup_key(address)
        mailbox = self._mailboxes.get(key)
        if mailbox is not None:
            return mailbox
        expansion = self.expand(address)
        return Known(expansion.destinations, expansion.via) if expansion.destinations else Unknown()

    def expand(self, address: Address) -> Expansion:
        """Follow ``address`` to the end, each alias and each catch-all once.

        One account is named once even when several ways lead to it; the first way gives the detail.
        """
        found: dict[Address, Destination] = {}
        followed: set[tuple[str, Address]] = set()
        path: list[tuple[str, Address]] = []  # the aliases we are inside of
        loop: Address | None = None
        via = ""
        # (address, detail handed down, depth); an explicit stack, since chains may be longer than Python's.
        waiting: list[tuple[Address, str, int]] = [(address, "", 0)]
        while waiting and len(found) < MOST_DESTINATIONS:
            current, handed, depth = waiting.pop()
            del path[depth:]
            if current.domain not in self.domains:
                found.setdefault(lookup_key(current), Elsewhere(current))
                continue
            how, name, detail, onward = self._look_up(current)
            if depth == 0:
                via = how
            detail = detail or handed
            if how == "throwaway" and not onward:
                continue
            if how in ("role", "throwaway") or (not how and onward):
                found.setdefault(onward[0], LocalMailbox(onward[0], detail))
                continue
            if how == "list":
                at = self._at_list(current, name, detail)
                found.setdefault(lookup_key(current), at)
                continue
            if (how, name) in followed:
                if (how, name) in path:
                    loop = loop or name
                continue
            followed.add((how, name))
            path.append((how, name))
            if how == "catch-all":
                detail = ""
            waiting.extend((target, detail, depth + 1) for target in reversed(onward))
        return Expansion(tuple(found.values()), via, loop)

    def _look_up(self, address: Address) -> tuple[str, Address, str, Sequence[Address]]:
        """One row of the table for an address of ours: how, the name that fitted, the detail, where it leads.

        The detail keeps its case, names do not.
        """
        exact = lookup_key(address)
        plain, detail = address.without_detail(SEPARATOR)
        base = lookup_key(plain)
        for name, rest in ((exact, ""),) if base == exact else ((exact, ""), (base, detail)):
            if name in self.accounts:
                return "", name, rest, (name,)
            targets = self.aliases.get(name)
            if targets is not None:
                return "alias", name, rest, targets
            throwaway = self.throwaways.get(name)
            if throwaway is not None:
                owner = self.by_number.get(throwaway.account)
                lives = throwaway.revoked is None and owner is not None and owner.removed is None
                return "throwaway", name, "", (owner.address,) if lives and owner is not None else ()
            if name in self.lists:
                return "list", name, rest, ()
        stem, _, part = base.local.rpartition("-")
        if part in PARTS and (named := Address(stem, base.domain)) in self.lists:
            return "list", named, detail, ()
        if base.local in ROLES:
            owner = self.owner(address.domain)
            if owner is not None:
                return "role", base, detail, (owner.address,)
        default = self.domains[address.domain].catch_all
        return "catch-all", Address("*", address.domain), "", () if default is None else (default,)

    def _at_list(self, address: Address, name: Address, detail: str) -> Destination:
        """The list itself, one of its addresses, or its owner's mailbox."""
        base, _ = address.without_detail(SEPARATOR)
        part = "" if lookup_key(base) == name else lookup_key(base).local[len(name.local) + 1 :]
        if not part and detail.lower() in ("subscribe", "unsubscribe", "request", "owner"):
            part, detail = detail.lower(), ""
        owner = self.lists[name].owner
        if part == "owner" and owner is not None:
            return LocalMailbox(owner)
        return AtList(name, "request" if part == "owner" else part, detail if part else "")

    def with_changes(
        self,
        *,
        aliases: Mapping[Address, tuple[Address, ...]] | None = None,
        domains: Mapping[str, DomainRecord] | None = None,
    ) -> Snapshot:
        """What the directory would be with these aliases or domains in place: for refusing loops before they exist."""
        return dataclasses.replace(
            self, aliases={**self.aliases, **(aliases or {})}, domains={**self.domains, **(domains or {})}
        )


EMPTY = Snapshot({}, {}, {}, {}, {})


def read_snapshot(connection: sqlite3.Connection) -> Snapshot:
    """Read every row; runs in a worker inside the transaction of the edit."""
    settings: dict[int, dict[str, str]] = {}
    for account, key, value in connection.execute("SELECT account, key, value FROM settings"):
        settings.setdefault(account, {})[key] = value
    living: dict[Address, AccountRecord] = {}
    resting: dict[Address, AccountRecord] = {}
    for number, local, domain, hash, version, salt, iterations, quota, added, removed, name in connection.execute(
        "SELECT id, local, domain, hash, hash_version, scram_salt, scram_iterations, quota, added, removed, "
        "name FROM accounts ORDER BY domain, local"
    ):
        record = AccountRecord(
            number,
            Address(local, domain),
            hash,
            version,
            salt,
            iterations,
            quota,
            added,
            removed,
            settings.get(number, {}),
            name,
        )
        (living if record.removed is None else resting)[record.address] = record
    domains = {
        name: DomainRecord(name, number, owner, Address.parse(catch_all) if catch_all else None, added)
        for name, number, owner, catch_all, added in connection.execute(
            "SELECT name, number, owner, catch_all, added FROM domains ORDER BY name"
        )
    }
    aliases: dict[Address, tuple[Address, ...]] = {}
    for local, domain, target_local, target_domain in connection.execute(
        "SELECT local, domain, target_local, target_domain FROM aliases ORDER BY domain, local, position"
    ):
        alias = Address(local, domain)
        aliases[alias] = (*aliases.get(alias, ()), Address(target_local, target_domain))
    app_passwords = {
        row[2]: AppPasswordRecord(*row)
        for row in connection.execute(
            "SELECT id, account, prefix, label, digest, stored_key, server_key, made, used, used_from, used_by "
            "FROM app_passwords ORDER BY id"
        )
    }
    throwaways = {
        Address(row[2], row[3]): ThrowawayRecord(row[0], row[1], Address(row[2], row[3]), *row[4:])
        for row in connection.execute(
            "SELECT id, account, local, domain, label, made, expires, revoked, text, pinned FROM throwaways ORDER BY id"
        )
    }
    secrets = dict(connection.execute("SELECT name, value FROM secrets"))
    snapshot = Snapshot(domains, living, resting, aliases, app_passwords, throwaways, secrets.get("salts", b""))
    audits, links = read_audits(connection)
    return dataclasses.replace(snapshot, lists=read_lists(connection, snapshot), audits=audits, links=links)


def read_audits(connection: sqlite3.Connection) -> tuple[dict[int, AuditRecord], dict[bytes, LinkRecord]]:
    """What is known of main passwords, and the links to change them; how far guessing has come stays on the disk."""
    audits = {
        row[0]: AuditRecord(row[0], row[1], row[2], row[3], row[4], bool(row[5]))
        for row in connection.execute("SELECT account, hash_version, judged, weak, found, allowed FROM password_audits")
    }
    links = {
        row[0]: LinkRecord(*row)
        for row in connection.execute("SELECT digest, account, hash_version, expires FROM password_links")
    }
    return audits, links


def read_lists(connection: sqlite3.Connection, people: Snapshot) -> dict[Address, MailingList]:
    """The lists with their members; one whose owner is gone belongs to the domain's."""
    members: dict[int, list[Member]] = {}
    for number, of, local, domain, moderator, *state in connection.execute(
        "SELECT id, list, local, domain, moderator, paused, bounces, bounced FROM list_members ORDER BY domain, local"
    ):
        members.setdefault(of, []).append(Member(number, Address(local, domain), bool(moderator), *state))
    lists = {}
    for number, local, domain, title, owner, posting, joining, author, tag, archive, most in connection.execute(
        "SELECT id, local, domain, title, owner, posting, joining, author, tag, archive, most_octets FROM lists "
        "ORDER BY domain, local"
    ):
        account = people.by_number.get(owner) if owner is not None else None
        if account is None or account.removed is not None:
            account = people.owner(domain)
        address = Address(local, domain)
        lists[address] = MailingList(
            number, address, title, account.address if account is not None else None, posting, joining, tag, author,
            bool(archive), most, tuple(members.get(number, ())),
        )  # fmt: skip
    return lists
