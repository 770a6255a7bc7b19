"""Devices of the house that know no log-in: a scanner, a NAS. Each may write to a few recipients, so many a day.

Only what the owner has listed is granted, and only on port 25 from the device's own address; a named device has no
other rights there, even inside the LAN. What it calls itself is mended: with ``send_as`` both the reverse path and
From become that address.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from twisted.internet.defer import Deferred

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.header import remove_named
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass

SPENT = Reply(452, "4.5.3", "This device has written to as many recipients today as it may")
AS_US = Reply(550, "5.7.1", "The device must write its From field as an address of ours")
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Device:
    """``recipients`` are addresses, or domains as "@example.org", in lower case; ``per_day`` 0 = no bound."""

    name: str
    networks: tuple[IPv4Network | IPv6Network, ...]
    recipients: frozenset[str] = frozenset()
    send_as: Address | None = None
    per_day: int = 0

    def reaches(self, address: Address) -> bool:
        """May it write to ``address``?"""
        return str(address).lower() in self.recipients or f"@{address.domain}" in self.recipients


def device_at(devices: tuple[Device, ...], address: IPAddress) -> Device | None:
    """The first device that ``address`` belongs to."""
    for device in devices:
        if any(address.version == network.version and address in network for network in device.networks):
            return device
    return None


class Ledger(Protocol):
    """Where a day's work is kept. Neither raises."""

    def read(self, day: int) -> Awaitable[Mapping[str, int]]:
        """Recipients of that day by device; days are counted from 1970."""

    def write(self, day: int, spent: Mapping[str, int]) -> Awaitable[None]:
        """Keep those in the place of all before."""


class DaysWork:
    """Recipients a device has written to on the present day (UTC). ``ledger`` None: a restart begins anew."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._day = 0
        self._spent: dict[str, int] = {}
        self._changed = False
        self._writing: Deferred[None] | None = None

    def left(self, device: Device, now: float) -> int:
        """How many more it may write to today."""
        self._turn(now)
        return device.per_day - self._spent.get(device.name, 0) if device.per_day else 1 << 30

    def add(self, name: str, recipients: int, now: float) -> None:
        """A message of the device ``name`` has been accepted for so many."""
        self._turn(now)
        self._spent[name] = self._spent.get(name, 0) + recipients
        self._changed = True
        if self._ledger is not None and self._writing is None:
            self._writing = Deferred()
            Deferred.fromCoroutine(self._write(self._ledger)).addBoth(self._written)

    async def load(self, now: float) -> None:
        """What an earlier process has counted today."""
        self._turn(now)
        if self._ledger is not None:
            for name, recipients in (await self._ledger.read(self._day)).items():
                self._spent[name] = self._spent.get(name, 0) + recipients

    async def settled(self) -> None:
        """Wait until all is written."""
        if self._writing is not None:
            done: Deferred[None] = Deferred()
            self._writing.addCallback(done.callback)
            await done

    async def _write(self, ledger: Ledger) -> None:
        while self._changed:
            self._changed = False
            await ledger.write(self._day, dict(self._spent))

    def _written(self, result: object) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.callback(None)

    def _turn(self, now: float) -> None:
        day = int(now // _DAY)
        if day != self._day:
            self._day, self._spent = day, {}


def speak_as(header: bytes, name: str, address: Address) -> bytes:
    """The header block with one From field, which names the device, and no Sender (RFC 5322 §3.6.2)."""
    return f"From: {name} <{address}>\n".encode() + remove_named(header, ("from", "sender"))
