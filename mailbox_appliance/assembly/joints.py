"""The last joints: who hears of whose news, and the list of parts that the service starts, asks and stops."""

from __future__ import annotations

from typing import Any

from mailbox_appliance.assembly.ballast import Ballast
from mailbox_appliance.assembly.campaigns import account_names, tell_of_campaigns
from mailbox_appliance.assembly.clients import ClientRecord
from mailbox_appliance.assembly.departure import Departure
from mailbox_appliance.assembly.dropbox import DropPart
from mailbox_appliance.assembly.entry import Entry
from mailbox_appliance.assembly.ground import Ground
from mailbox_appliance.assembly.halves import join_halves
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.passwords import PasswordsPart
from mailbox_appliance.assembly.resting import Resting
from mailbox_appliance.assembly.tidying import Tidying
from mailbox_appliance.assembly.visits import Visits
from mailbox_appliance.assembly.watch import WatchPart
from mailbox_appliance.assembly.ways_out import WayOutPart
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.workers import ThreadedWorkers


def tell_one_another(journal: Journal, ground: Ground, entry: Entry, departure: Departure, visits: Visits) -> None:
    """Changed people end sessions and may need a certificate; attacks are told to the owners."""
    ground.users.directory.watch(visits.imap.look_at_log_ins)
    ground.users.directory.watch(ground.certificates.look_soon)
    ground.guard.name_accounts(account_names(ground.users))
    ground.guard.on_campaign = tell_of_campaigns(ground.users, departure.notices, journal)
    if entry.store is not None:
        entry.store.pins = ground.certificates.tlsa


def joined_parts(
    config: Config,
    reactor: Any,
    workers: ThreadedWorkers,
    journal: Journal,
    ground: Ground,
    entry: Entry,
    departure: Departure,
    visits: Visits,
) -> tuple[Part, ...]:
    """In the order of their start. Nobody lives at an edge: it has none of the parts for people."""
    of_people = _of_people(reactor, journal, ground, entry, visits)
    halves = _halves(reactor, journal, ground, entry, departure, visits)
    watch = _watch(config, reactor, workers, journal, ground, entry, departure)
    return (
        *(of_people if ground.edge is None else ()),
        WayOutPart(departure.relay, journal),
        ground.devices,
        visits.evidence,
        ClientRecord.of(config, visits.imap, workers, journal),
        Ballast(config.state, reactor, workers, journal),
        Tidying(reactor),
        PasswordsPart(
            config, reactor, journal, ground.users, ground.children, departure.notices, ground.guard, ground.pages
        ),
        DropPart(config, reactor, workers, journal, visits.smtp.parts, departure.notices),
        watch,
        *halves,
    )


def _of_people(reactor: Any, journal: Journal, ground: Ground, entry: Entry, visits: Visits) -> tuple[Part, ...]:
    return (
        entry.onward.part,
        entry.lists,
        entry.junk,
        Resting(ground.stores, reactor, journal),
        visits.shares,
        visits.own_folders,
        visits.reports,
    )


def _halves(
    reactor: Any, journal: Journal, ground: Ground, entry: Entry, departure: Departure, visits: Visits
) -> tuple[Part, ...]:
    return join_halves(
        ground.edge,
        entry.store,
        visits.smtp,
        visits.imap,
        ground.pages,
        ground.tokens,
        ground.guard,
        departure.queue_desk,
        visits.reports.tally,
        departure.relay.memory,
        reactor,
        journal,
    )


def _watch(
    config: Config,
    reactor: Any,
    workers: ThreadedWorkers,
    journal: Journal,
    ground: Ground,
    entry: Entry,
    departure: Departure,
) -> WatchPart:
    return WatchPart(
        config,
        reactor,
        workers,
        journal,
        entry.addresses,
        ground.dkim_keys,
        ground.certificates,
        ground.names,
        ground.pages,
        departure.notices,
        entry.store,
    )
