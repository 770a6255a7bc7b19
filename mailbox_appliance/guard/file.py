"""The guard's memory on disk: STATE/guard.db, written behind, so that a restart forgives nothing."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import sqlite3
from collections import deque
from collections.abc import Mapping
from typing import Any

from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.guard.memory import Device, Failures, Memory
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.workers import Workers

VERSION_1 = """
CREATE TABLE strangers (
    address TEXT PRIMARY KEY,      -- IPv4, or the first address of an IPv6 /64
    recent TEXT NOT NULL,          -- JSON: [[epoch seconds, weight], ...]
    banned_until REAL NOT NULL,
    bans INTEGER NOT NULL,
    last REAL NOT NULL,
    service TEXT NOT NULL,
    account TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE devices (
    address TEXT NOT NULL,
    account TEXT NOT NULL,
    seen REAL NOT NULL,
    PRIMARY KEY (address, account)
) WITHOUT ROWID
"""
SPENT = """
CREATE TABLE spent (
    device TEXT PRIMARY KEY,       -- as the config names it
    day INTEGER NOT NULL,          -- since 1970, UTC
    recipients INTEGER NOT NULL
) WITHOUT ROWID
"""
MIGRATIONS = (VERSION_1, SPENT)


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows to be written: everything about ``gone`` is deleted first, then the rows are put in."""

    gone_strangers: tuple[tuple[str], ...]
    strangers: tuple[tuple[str, str, float, int, float, str, str], ...]
    gone_devices: tuple[tuple[str], ...]
    devices: tuple[tuple[str, str, float], ...]


def take_changes(memory: Memory) -> Changes:
    """What has changed since the last call, as rows."""
    strangers, memory.changed_strangers = memory.changed_strangers, set()
    addresses, memory.changed_devices = memory.changed_devices, set()
    return Changes(
        tuple((str(key),) for key in strangers if key not in memory.strangers),
        tuple(
            (str(key), json.dumps(list(one.recent)), one.banned_until, one.bans, one.last, one.service, one.account)
            for key in strangers
            if (one := memory.strangers.get(key)) is not None
        ),
        tuple((str(key),) for key in addresses),
        tuple(
            (str(key), account, device.seen)
            for key in addresses
            for account, device in memory.devices.get(key, {}).items()
        ),
    )


def put_back(memory: Memory, changes: Changes) -> None:
    """Writing failed: these are still to be written."""
    for (address,) in changes.gone_strangers:
        memory.changed_strangers.add(ipaddress.ip_address(address))
    for address, *_ in changes.strangers:
        memory.changed_strangers.add(ipaddress.ip_address(address))
    for (address,) in changes.gone_devices:
        memory.changed_devices.add(ipaddress.ip_address(address))


class GuardFile:
    """``path`` is STATE/guard.db; it can be lost without harm."""

    def __init__(self, path: str, workers: Workers) -> None:
        self.path = path
        self._workers = workers
        self._database = Database(path, MIGRATIONS, workers, synchronous="NORMAL")

    async def read(self) -> tuple[list[tuple[IPAddress, Failures]], list[tuple[IPAddress, str, Device]]]:
        """All rows, least recently used first. Raises DatabaseTrouble, sqlite3.Error, OSError, ValueError."""
        strangers, devices = await self._database.run(_read)
        return (
            [
                (
                    ipaddress.ip_address(address),
                    Failures(
                        deque((float(t), float(w)) for t, w in json.loads(recent)), until, bans, last, service, account
                    ),
                )
                for address, recent, until, bans, last, service, account in strangers
            ],
            [(ipaddress.ip_address(address), account, Device(seen)) for address, account, seen in devices],
        )

    async def write(self, changes: Changes) -> None:
        """Raises DatabaseTrouble, sqlite3.Error, OSError, Busy."""
        await self._database.run(lambda connection: _write(connection, changes))

    async def spent(self, day: int) -> dict[str, int]:
        """Recipients that each device wrote to on that day. Raises as ``read``."""
        rows = await self._database.run(
            lambda c: c.execute("SELECT device, recipients FROM spent WHERE day = ?", (day,)).fetchall()
        )
        return dict(rows)

    async def spend(self, day: int, spent: Mapping[str, int]) -> None:
        """Keep those and no others. Raises as ``write``."""

        def keep(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM spent")
            connection.executemany("INSERT INTO spent VALUES (?, ?, ?)", [(k, day, n) for k, n in spent.items()])

        await self._database.run(keep)

    async def put_aside(self) -> None:
        """Rename a file that cannot be read, so that the next write begins a new one."""
        self._database.close()
        await self._workers.run("database", _put_aside, self.path)

    def close(self) -> None:
        self._database.close()


def _read(connection: sqlite3.Connection) -> tuple[list[Any], list[Any]]:
    return (
        connection.execute(
            "SELECT address, recent, banned_until, bans, last, service, account FROM strangers ORDER BY last"
        ).fetchall(),
        connection.execute("SELECT address, account, seen FROM devices ORDER BY seen").fetchall(),
    )


def _write(connection: sqlite3.Connection, changes: Changes) -> None:
    connection.executemany("DELETE FROM strangers WHERE address = ?", changes.gone_strangers)
    connection.executemany("INSERT OR REPLACE INTO strangers VALUES (?, ?, ?, ?, ?, ?, ?)", changes.strangers)
    connection.executemany("DELETE FROM devices WHERE address = ?", changes.gone_devices)
    connection.executemany("INSERT INTO devices VALUES (?, ?, ?)", changes.devices)


def _put_aside(path: str) -> None:
    for ending in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + ending)
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path + ".damaged")


UNREADABLE = (DatabaseTrouble, sqlite3.Error, OSError, ValueError, TypeError)
