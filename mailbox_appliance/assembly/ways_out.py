"""The relay, what it remembers, and its daily reports."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mailbox_appliance.acme.names import public_addresses
from mailbox_appliance.assembly.changing import Names, WayOut
from mailbox_appliance.assembly.damage import begin_anew_if_damaged
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.people import first_owner
from mailbox_appliance.assembly.settings import relay_settings
from mailbox_appliance.config.model import Config
from mailbox_appliance.database import Database
from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.ports.delivery import Acceptance
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.memory import MIGRATIONS as RELAY_MIGRATIONS
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.tlsreport import TlsReports
from mailbox_appliance.workers import ThreadedWorkers

if TYPE_CHECKING:
    from mailbox_appliance.assembly.store import StorePart
    from mailbox_appliance.stations import Stations


def make_way_out(
    config: Config,
    reactor: Any,
    workers: ThreadedWorkers,
    journal: Journal,
    names: Names,
    directory: Directory,
    acceptance: Acceptance,
    store: StorePart | None = None,
) -> WayOut:
    """The relay with what it remembers in STATE/relay.db; local mode, where nothing leaves, remembers nothing."""
    path = os.path.join(config.state, "relay.db")
    database = None if config.local else Database(path, RELAY_MIGRATIONS, workers, synchronous="NORMAL")
    memory = RelayMemory(database, journal)
    notices = Notices(acceptance, directory, reactor, config.hostname)

    def make(config: Config) -> MailRelay:
        return MailRelay(
            reactor,
            workers,
            names,
            journal,
            relay_settings(config),
            memory=memory,
            own_addresses=public_addresses,
            probe_sender=first_owner(directory),
            notice=notices.tell_owners,
        )

    return WayOut(make, memory, config) if store is None or not config.sends_by_edge else store.way_up(memory)


class WayOutPart(Part):
    """What the relay remembers, looked at before the queue sends anything."""

    name = "relay"

    def __init__(self, relay: WayOut, journal: Journal) -> None:
        self._memory = relay.memory
        self._journal = journal

    async def prepare(self) -> None:
        if self._memory.database is not None:
            lost = "what was learnt of other hosts (their TLS and policies, who refused us): it is learnt anew"
            await begin_anew_if_damaged(self._memory.database, self._journal, lost)


async def send_tls_reports(stations: Stations, config: Config, reactor: Any) -> int:
    """Once a day; returns how many went out, none where [relay] tls_reports is off."""
    if not config.relay.tls_reports or config.local or config.role == "edge":  # the store sends what its edge has seen
        return 0
    signing = stations.smtp.parts.signing
    reports = TlsReports(
        stations.relay.memory,
        stations.names,
        stations.acceptance,
        reactor,
        stations.journal,
        config.hostname,
        sender=first_owner(stations.addresses),
        sign=signing.sign if signing is not None else None,
    )
    return await reports.send_due()
