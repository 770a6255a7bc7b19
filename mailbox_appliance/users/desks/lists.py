"""The desk for mailing lists, and what the lists ask about their members (fills ports/lists.Memberships)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mailbox_appliance.journal.events import lists as told
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.lists import PARTS, MailingList, Member
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.desks.names import living, our_domain, read_address
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.snapshot import Snapshot, lookup_key

Work = Callable[[sqlite3.Connection], object]
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,23}")
MOST_MEMBERS = 2000
BOUNCES_TO_PAUSE = 3
BOUNCES_FORGOTTEN = 30 * 86_400.0  # seconds without another bounce
SETTINGS: dict[str, tuple[str, ...]] = {
    "posting": ("members", "anyone", "moderators"),
    "joining": ("open", "closed"),
    "author": ("auto", "always"),
    "archive": ("yes", "no"),
}


class Lists:
    """Every method that changes something for the desk raises UsersError when it refuses."""

    def __init__(self, directory: SnapshotDirectory, clock: Clock, journal: Journal) -> None:
        self._directory = directory
        self._clock = clock
        self._journal = journal

    # ------------------------------------------------------------ ports.lists.Memberships

    def find(self, address: Address) -> MailingList | None:
        """From memory."""
        return self._directory.snapshot.lists.get(lookup_key(address))

    async def join(self, address: Address, member: Address) -> bool:
        """False when he is a member already."""
        return await self._join(address, member, moderator=False)

    async def leave(self, address: Address, member: Address) -> bool:
        """False when he was none."""

        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], bool]:
            found = _list(snapshot, address).member(member)
            if found is None:
                return lambda connection: False
            sql, number = "DELETE FROM list_members WHERE id = ?", found.number
            return lambda connection: connection.execute(sql, (number,)).rowcount > 0

        return await self._directory.edit(plan)

    async def bounced(self, address: Address, number: int) -> tuple[Member, bool] | None:
        """Count it; at the third within a month of one another he is paused."""
        now = self._clock.seconds()

        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], tuple[Member, bool] | None]:
            one = snapshot.lists.get(lookup_key(address))
            member = next((each for each in one.members if each.number == number), None) if one else None
            if member is None or member.paused:
                return lambda connection: None
            count = member.bounces + 1 if now - member.bounced < BOUNCES_FORGOTTEN else 1
            paused = "bounces" if count >= BOUNCES_TO_PAUSE else ""

            def work(connection: sqlite3.Connection) -> tuple[Member, bool]:
                sql = "UPDATE list_members SET bounces = ?, bounced = ?, paused = ? WHERE id = ?"
                connection.execute(sql, (count, now, paused, number))
                return replace(member, bounces=count, bounced=now, paused=paused), bool(paused)

            return work

        return await self._directory.edit(plan)

    # ------------------------------------------------------------ the desk

    async def listing(self) -> tuple[MailingList, ...]:
        """All lists by domain and name."""
        return tuple(self._directory.snapshot.lists.values())

    def of(self, text: str) -> MailingList:
        """The list of that address. Raises UsersError."""
        return _list(self._directory.snapshot, read_address(text))

    async def add(self, text: str, title: str = "", owner: str = "") -> MailingList:
        """Make a list; its owner is the domain's unless another account is named."""
        address = lookup_key(read_address(text))
        if not _NAME.fullmatch(address.local):
            raise UsersError(f"{address}: a list's name has 1 to 24 letters a-z, digits, '.', '_' and '-'")
        title = _title(title or address.local.replace("-", " ").replace("_", " ").title())

        def plan(snapshot: Snapshot) -> Work:
            our_domain(snapshot, address.domain)
            _refuse_taken(snapshot, address)
            account = living(snapshot, owner) if owner else snapshot.owner(address.domain)
            if account is None:
                raise UsersError(f"{address.domain} has no owner account: name the list's with --owner")
            row = (address.local, address.domain, title, account.number, self._clock.seconds())
            sql = "INSERT INTO lists (local, domain, title, owner, added) VALUES (?, ?, ?, ?, ?)"
            return lambda connection: connection.execute(sql, row)

        await self._directory.edit(plan)
        self._journal.tell(told.ListMade(account=str(address)))
        return self.of(str(address))

    async def remove(self, text: str) -> MailingList:
        """End a list; its members are forgotten, its archive stays."""
        gone = self.of(text)

        def plan(snapshot: Snapshot) -> Work:
            number = _list(snapshot, gone.address).number
            return lambda connection: connection.execute("DELETE FROM lists WHERE id = ?", (number,))

        await self._directory.edit(plan)
        self._journal.tell(told.ListRemoved(account=str(gone.address)))
        return gone

    async def change(self, text: str, wanted: dict[str, Any]) -> MailingList:
        """Other settings; ``wanted`` has title, owner, tag, size (octets) and the rows of SETTINGS."""
        one = self.of(text)
        for key, values in SETTINGS.items():
            if key in wanted and wanted[key] not in values:
                raise UsersError(f"{key} is one of {', '.join(values)}, not {wanted[key]!r}")
        columns: dict[str, Any] = {key: wanted[key] for key in ("posting", "joining", "author") if key in wanted}
        if "archive" in wanted:
            columns["archive"] = wanted["archive"] == "yes"
        if "title" in wanted:
            columns["title"] = _title(wanted["title"])
        if "tag" in wanted:
            columns["tag"] = _tag(wanted["tag"])
        if "size" in wanted:
            columns["most_octets"] = wanted["size"]

        def plan(snapshot: Snapshot) -> Work:
            number = _list(snapshot, one.address).number
            if "owner" in wanted:
                columns["owner"] = living(snapshot, wanted["owner"]).number
            if not columns:
                raise UsersError("say what shall change, such as --posting moderators")
            sets = ", ".join(f"{column} = ?" for column in columns)
            return lambda connection: connection.execute(
                f"UPDATE lists SET {sets} WHERE id = ?",
                (*columns.values(), number),
            )

        await self._directory.edit(plan)
        self._journal.tell(told.ListChanged(account=str(one.address), what=", ".join(sorted(wanted))))
        return self.of(text)

    async def subscribe(self, text: str, members: Sequence[str], *, moderator: bool = False) -> tuple[Address, ...]:
        """Add people; those who are members already may become moderators. Returns who is new."""
        one = self.of(text)
        ours = self._directory.snapshot.domains
        read = [read_address(member) for member in members]
        people = [lookup_key(person) if person.domain in ours else person for person in read]
        new = []
        for person in people:
            if await self._join(one.address, person, moderator=moderator):
                new.append(person)
                event = told.MemberJoined(account=str(one.address), recipient=str(person), by="owner")
                self._journal.tell(event)
        return tuple(new)

    async def unsubscribe(self, text: str, members: Sequence[str]) -> None:
        """Take people out."""
        one = self.of(text)
        for person in [_member(one, member).address for member in members]:
            await self.leave(one.address, person)
            self._journal.tell(told.MemberLeft(account=str(one.address), recipient=str(person), by="owner"))

    async def pause(self, text: str, member: str, *, paused: bool) -> Address:
        """No mail for now, or mail again."""
        one = self.of(text)
        person = _member(one, member)

        def plan(snapshot: Snapshot) -> Work:
            number = _member(_list(snapshot, one.address), member).number
            sql = "UPDATE list_members SET paused = ?, bounces = 0, bounced = 0 WHERE id = ?"
            return lambda connection: connection.execute(sql, ("wish" if paused else "", number))

        await self._directory.edit(plan)
        if paused:
            event = told.MemberPaused(account=str(one.address), recipient=str(person.address), why="by the owner")
            self._journal.tell(event)
        else:
            self._journal.tell(told.MemberResumed(account=str(one.address), recipient=str(person.address)))
        return person.address

    async def _join(self, address: Address, person: Address, *, moderator: bool) -> bool:
        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], bool]:
            one = _list(snapshot, address)
            kept = lookup_key(person) if person.domain in snapshot.domains else person
            if lookup_key(kept) == one.address:
                raise UsersError("a list cannot be its own member")
            known = one.member(kept)
            if known is not None:
                sql = "UPDATE list_members SET moderator = 1 WHERE id = ?"
                number = known.number if moderator else 0
                return lambda connection: connection.execute(sql, (number,)) is None
            if len(one.members) >= MOST_MEMBERS:
                raise UsersError(f"{one.address} has {MOST_MEMBERS} members, which is the most")
            row = (one.number, kept.local, kept.domain, moderator, self._clock.seconds())
            sql = "INSERT INTO list_members (list, local, domain, moderator, added) VALUES (?, ?, ?, ?, ?)"
            return lambda connection: connection.execute(sql, row) is not None

        return await self._directory.edit(plan)


def _list(snapshot: Snapshot, address: Address) -> MailingList:
    one = snapshot.lists.get(lookup_key(address))
    if one is None:
        raise UsersError(f"there is no list {address}: `mailappliance lists list` shows what there is")
    return one


def _member(one: MailingList, text: str) -> Member:
    found = one.member(read_address(text))
    if found is None:
        raise UsersError(f"{text} is no member of {one.address}: `mailappliance lists members {one.address}`")
    return found


def _refuse_taken(snapshot: Snapshot, address: Address) -> None:
    if address in snapshot.lists:
        raise UsersError(f"{address} is a list already")
    names = [address, *(Address(f"{address.local}-{word}", address.domain) for word in PARTS)]
    for name in names:
        for kind, there in (
            ("an account", snapshot.accounts),
            ("an account that can still be brought back", snapshot.resting),
            ("an alias", snapshot.aliases),
            ("a throw-away address", snapshot.throwaways),
        ):
            if name in there:
                raise UsersError(f"{name} is {kind}: choose another name for the list")


def _title(text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > 60 or not text.isprintable():
        raise UsersError("a list's title is one line of 1 to 60 characters")
    return text


def _tag(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > 30 or not text.isprintable():
        raise UsersError("a tag is at most 30 characters, such as [Family]; none takes it away")
    return "" if text == "none" else text
