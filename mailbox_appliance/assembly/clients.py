"""The record of client troubles joined to the IMAP station: read at start and at `reload`."""

from __future__ import annotations

import os
from dataclasses import replace

from mailbox_appliance.assembly.part import Part
from mailbox_appliance.config.model import Config
from mailbox_appliance.imap.capabilities import NAMES
from mailbox_appliance.imap.listener import ImapHouse
from mailbox_appliance.imap.troubles import SHIPPED, BadRecord, Trouble, joined, read_record, shipped
from mailbox_appliance.journal.events.imap import ImapRecordUnreadable
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.shielded import shielded

LARGEST = 1_000_000  # octets of STATE/clients.toml


class ClientRecord(Part):
    """``path`` is STATE/clients.toml, which need not be there."""

    name = "clients"

    def __init__(self, path: str, imap: ImapHouse, workers: Workers, journal: Journal) -> None:
        self._path = path
        self._imap = imap
        self._workers = workers
        self._journal = journal
        self._troubles: tuple[Trouble, ...] = ()

    @classmethod
    def of(cls, config: Config, imap: ImapHouse, workers: Workers, journal: Journal) -> ClientRecord:
        """Where the config says."""
        return cls(os.path.join(config.state, SHIPPED), imap, workers, journal)

    async def start(self) -> None:
        """Read both; an owner's file that cannot be read is told, and the shipped one counts alone."""
        ours = read_record(await self._workers.run("disk", shipped), NAMES)
        try:
            theirs = read_record(await self._workers.run("disk", self._read), NAMES)
        except (BadRecord, OSError, UnicodeDecodeError) as error:
            self._journal.tell(ImapRecordUnreadable(path=self._path, reason=str(error)))
            theirs = ()
        self._troubles = joined(ours, theirs)
        self._give()

    def _read(self) -> str:
        try:
            with open(self._path, "rb") as file:
                octets = file.read(LARGEST + 1)
        except FileNotFoundError:
            return ""
        if len(octets) > LARGEST:
            raise BadRecord("it is too large")
        return octets.decode("utf-8")

    def _give(self) -> None:
        self._imap.settings = replace(self._imap.settings, troubles=self._troubles)

    def take_over(self, config: Config) -> None:
        """Read again; until that is done the old record counts."""
        self._give()
        shielded(self._again())

    async def _again(self) -> None:
        try:
            await self.start()
        except Busy:
            return
        except Exception as error:  # noqa: BLE001 - the old record counts
            self._journal.broken(self.name, error)
