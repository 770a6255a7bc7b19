"""The desk for throw-away addresses: ``shop-x7k2p9@example.org`` leads to its account until it is revoked or expires.

The address is given to one sender. The first domain that writes to it is remembered; mail from any other is a leak:
somebody has sold the address or lost it. A revoked one stays in the table, so that it is refused with its own words
and never made again.
"""

from __future__ import annotations

import re
import sqlite3
import time
import unicodedata
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from mailbox_appliance.journal.events.users import ThrowawayMade, ThrowawayPinned, ThrowawayRevoked
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.users import Throwaway, ThrowawayRefused
from mailbox_appliance.users.answers import ThrowawayInfo, UsersError
from mailbox_appliance.users.desks.names import living, read_address
from mailbox_appliance.users.directory import SnapshotDirectory
from mailbox_appliance.users.password import random_text
from mailbox_appliance.users.records import AccountRecord, ThrowawayRecord
from mailbox_appliance.users.snapshot import Snapshot, lookup_key

Work = Callable[[sqlite3.Connection], object]

LABEL = "mail"  # of one that was given no name
LABEL_LENGTH = 40
SECRET_LENGTH = 6  # characters of 5 bits; whoever guesses is shut out long before
TEXT_LENGTH = 200
MOST_IN_USE = 500
LONGEST = 36_500.0  # days
WRITE_LEAKS_EVERY = 30.0
# The second level of two-letter domains that everybody registers below.
_SHARED = frozenset(
    "ac asn co com csiro ed edu go gob gov gouv gv id info ltd me mil ne net nhs nom or org plc sch tm web".split()
)


class Throwaways:
    """Fills ports.users.Throwaways; the other methods are for the desk and raise UsersError when they refuse."""

    def __init__(self, directory: SnapshotDirectory, clock: Clock, journal: Journal) -> None:
        self._directory = directory
        self._clock = clock
        self._journal = journal
        self._leaks: dict[int, tuple[int, float, str]] = {}  # number: how many more, when, by whom
        self._timer: Timer | None = None

    # ------------------------------------------------------------ the desk

    async def listing(self, account: str | None = None, *, ended: bool = False) -> tuple[ThrowawayInfo, ...]:
        """Those in use, of everybody or of one account; with ``ended`` those that are over as well."""
        await self.write()
        snapshot = self._directory.snapshot
        only = living(snapshot, account).number if account else None
        now = self._clock.seconds()
        counted = await self._directory.database.run(
            lambda connection: {
                row[0]: row[1:]
                for row in connection.execute("SELECT id, leaks, leaked, leaked_by FROM throwaways").fetchall()
            }
        )
        found = []
        for one in snapshot.throwaways.values():
            owner = snapshot.by_number[one.account]
            if owner.removed is None and only in (None, one.account) and (ended or not one.is_over(now)):
                found.append(_info(one, owner, now, *counted.get(one.number, (0, None, ""))))
        return tuple(sorted(found, key=lambda info: (info.account, info.made, info.number)))

    async def new(self, account: str | None, label: str = "", days: float | None = None) -> ThrowawayInfo:
        """Make one. Without ``account`` there must be only one in the house."""
        snapshot = self._directory.snapshot
        if account:
            owner = living(snapshot, account)
        elif len(snapshot.accounts) == 1:
            (owner,) = snapshot.accounts.values()
        else:
            raise UsersError("say whose it shall be: --account ann@example.org")
        return _info(await self._new(owner.address, label, days), owner, self._clock.seconds())

    async def revoke(self, text: str, words: str = "") -> ThrowawayInfo:
        """End the one with that address; senders hear 550 and ``words`` from now on."""
        address = lookup_key(read_address(text))
        record = self._directory.snapshot.throwaways.get(address)
        if record is None:
            raise UsersError(f"{address} is no throw-away address: `mailappliance throwaway list` shows them")
        await self._revoke(record, words)
        snapshot = self._directory.snapshot
        return _info(snapshot.throwaways[address], snapshot.by_number[record.account], self._clock.seconds())

    # ------------------------------------------------------------ the port

    def of(self, account: Address) -> tuple[Throwaway, ...]:
        """Those in use, the oldest first."""
        return tuple(_shown(one) for one in self._in_use(self._directory.snapshot, account))

    async def make(self, account: Address, label: str, days: float | None = None) -> Throwaway:
        """A new one that leads to ``account``. Raises ThrowawayRefused."""
        taken = False
        try:
            plain = _plain(_label(label))
            taken = any(_plain(one.label) == plain for one in self._in_use(self._directory.snapshot, account))
            return _shown(await self._new(account, label, days))
        except UsersError as error:
            raise ThrowawayRefused(str(error), exists=taken) from None

    async def end(self, account: Address, address: Address, text: str = "") -> Throwaway:
        """Revoke one of the account's own. Raises ThrowawayRefused."""
        for record in self._in_use(self._directory.snapshot, account):
            if record.address == address:
                try:
                    await self._revoke(record, text)
                except UsersError as error:
                    raise ThrowawayRefused(str(error)) from None
                return _shown(record)
        raise ThrowawayRefused(f"there is no address {address} of yours")

    async def met(self, address: Address, sender: str, *, trusted: bool) -> str:
        """Pin the first trusted sender; count another. Returns whom it was given to when this is another."""
        key = lookup_key(address)
        record = self._directory.snapshot.throwaways.get(key)
        if record is None or not sender:
            return ""
        if not record.pinned:
            if trusted:
                await self._pin(record, sender)
            return ""
        if are_kin(record.pinned, sender):
            return ""
        count = self._leaks.get(record.number, (0, 0.0, ""))[0]
        self._leaks[record.number] = (count + 1, self._clock.seconds(), sender[:255])
        if self._timer is None:
            self._timer = self._clock.callLater(WRITE_LEAKS_EVERY, self._write_soon)
        return record.pinned

    def made_lately(self, account: Address, seconds: float = 900.0) -> bool:
        """Did ``account`` make one just now?"""
        since = self._clock.seconds() - seconds
        return any(one.made > since for one in self._in_use(self._directory.snapshot, account))

    # ------------------------------------------------------------ underneath

    def _in_use(self, snapshot: Snapshot, account: Address) -> Iterator[ThrowawayRecord]:
        owner = snapshot.accounts.get(lookup_key(account))
        now = self._clock.seconds()
        if owner is not None:
            yield from (
                one for one in snapshot.throwaways.values() if one.account == owner.number and not one.is_over(now)
            )

    async def _new(self, account: Address, label: str, days: float | None) -> ThrowawayRecord:
        label = _label(label)
        plain = _plain(label)
        if days is not None and not 0 < days <= LONGEST:
            raise UsersError("an address expires after some days: a number above 0, or none at all")
        now = self._clock.seconds()
        expires = None if days is None else now + days * 86_400

        def plan(snapshot: Snapshot) -> Callable[[sqlite3.Connection], Address]:
            owner = living(snapshot, str(account))
            in_use = list(self._in_use(snapshot, owner.address))
            for one in in_use:
                if _plain(one.label) == plain:
                    raise UsersError(
                        f"{owner.address} has {one.address} for {label} already: "
                        f"`mailappliance throwaway revoke {one.address}`, or choose another label"
                    )
            if len(in_use) >= MOST_IN_USE:
                raise UsersError(f"{owner.address} has {MOST_IN_USE} throw-away addresses in use: revoke some first")
            address = _free(snapshot, plain, owner.address.domain)

            def work(connection: sqlite3.Connection) -> Address:
                connection.execute(
                    "INSERT INTO throwaways (account, local, domain, label, made, expires) VALUES (?, ?, ?, ?, ?, ?)",
                    (owner.number, address.local, address.domain, label, now, expires),
                )
                return address

            return work

        address = await self._directory.edit(plan)
        until = "" if expires is None else time.strftime("%Y-%m-%d", time.gmtime(expires))
        self._journal.tell(ThrowawayMade(account=str(account), address=str(address), expires=until))
        return self._directory.snapshot.throwaways[address]

    async def _revoke(self, record: ThrowawayRecord, text: str) -> None:
        words = " ".join(text.split())
        if not words.isascii() or not words.isprintable() or len(words) > TEXT_LENGTH:
            raise UsersError(f"the text is said in a reply: at most {TEXT_LENGTH} plain (ASCII) characters")
        now = self._clock.seconds()

        def plan(snapshot: Snapshot) -> Work:
            current = snapshot.throwaways[record.address]
            ended = now if current.revoked is None else current.revoked
            return lambda connection: connection.execute(
                "UPDATE throwaways SET revoked = ?, text = ? WHERE id = ?", (ended, words, record.number)
            )

        await self._directory.edit(plan)
        owner = self._directory.snapshot.by_number[record.account]
        self._journal.tell(ThrowawayRevoked(account=str(owner.address), address=str(record.address)))

    async def _pin(self, record: ThrowawayRecord, sender: str) -> None:
        def plan(snapshot: Snapshot) -> Work:
            return lambda connection: connection.execute(
                "UPDATE throwaways SET pinned = ? WHERE id = ? AND pinned = ''", (sender[:255], record.number)
            )

        try:
            await self._directory.edit(plan)
        except UsersError:
            return  # the disk is full: the next message pins it
        self._journal.tell(ThrowawayPinned(address=str(record.address), domain=sender))

    def _write_soon(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self.write())

    async def write(self) -> None:
        """Write what has been counted; it stays in memory while the disk refuses."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted, self._leaks = self._leaks, {}
        if not counted:
            return
        rows = [(count, when, by, number) for number, (count, when, by) in counted.items()]
        try:
            await self._directory.database.run(
                lambda connection: connection.executemany(
                    "UPDATE throwaways SET leaks = leaks + ?, leaked = ?, leaked_by = ? WHERE id = ?", rows
                )
            )
        except Exception:  # noqa: BLE001 - a count is not worth a message
            for number, (count, when, by) in counted.items():
                more = self._leaks.get(number)
                self._leaks[number] = (count, when, by) if more is None else (count + more[0], *more[1:])


def _info(
    one: ThrowawayRecord,
    owner: AccountRecord,
    now: float,
    leaks: int = 0,
    leaked: float | None = None,
    leaked_by: str = "",
) -> ThrowawayInfo:
    state = "revoked" if one.revoked is not None else "expired" if one.is_over(now) else "in use"
    return ThrowawayInfo(
        str(one.address),
        str(owner.address),
        one.label,
        state,
        one.made,
        one.expires,
        one.revoked,
        one.pinned,
        leaks,
        leaked,
        leaked_by,
        one.number,
    )


def _shown(one: ThrowawayRecord) -> Throwaway:
    return Throwaway(one.number, one.address, one.label, one.made, one.expires)


def _label(text: str) -> str:
    """What people call it. Raises UsersError."""
    label = " ".join(text.split()) or LABEL
    if len(label) > LABEL_LENGTH or not label.isprintable():
        raise UsersError(f"a label is one line of at most {LABEL_LENGTH} characters, such as the name of a shop")
    _plain(label)
    return label


def _plain(label: str) -> str:
    """As it stands in an address: "Müller & Söhne" becomes "muller-sohne". Raises UsersError."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-")
    if not plain:
        raise UsersError(f"{label!r}: a label has letters a-z or digits in it")
    return plain


def _free(snapshot: Snapshot, label: str, domain: str) -> Address:
    while True:
        address = Address(f"{label}-{random_text(SECRET_LENGTH)}", domain)
        groups = (snapshot.accounts, snapshot.resting, snapshot.aliases, snapshot.throwaways)
        if not any(address in group for group in groups):
            return address


def are_kin(one: str, other: str) -> bool:
    """Do two domains belong to one owner, as far as names can tell? news.shop.example and orders.shop.example do."""
    return _registered(one) == _registered(other) or one.endswith("." + other) or other.endswith("." + one)


def _registered(domain: str) -> str:
    labels = domain.lower().rstrip(".").split(".")
    shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SHARED
    return ".".join(labels[-3:] if shared else labels[-2:])
