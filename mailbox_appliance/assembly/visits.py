"""Who comes to us: peers who bring mail (SMTP, with the checks of strangers) and people who read theirs (IMAP)."""

from __future__ import annotations

from typing import Any

from mailbox_appliance.assembly.departure import Departure
from mailbox_appliance.assembly.entry import Entry
from mailbox_appliance.assembly.evidence import EvidencePart
from mailbox_appliance.assembly.ground import Ground
from mailbox_appliance.assembly.own_folders import OwnFoldersPart, make_own_folders
from mailbox_appliance.assembly.reports import ReportsPart
from mailbox_appliance.assembly.settings import imap_settings, smtp_settings
from mailbox_appliance.assembly.sharing import SharingPart, make_shares
from mailbox_appliance.config.model import Config
from mailbox_appliance.imap.listener import ImapHouse
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.smtp.intake import Budget
from mailbox_appliance.smtp.listener import SmtpStation
from mailbox_appliance.smtp.parts import Parts
from mailbox_appliance.workers import ThreadedWorkers


@dataclass(frozen=True, slots=True)
class Visits:
    """``own_folders`` and ``shares`` are what readers see beside the mailboxes of their own."""

    evidence: EvidencePart
    reports: ReportsPart
    smtp: SmtpStation
    own_folders: OwnFoldersPart
    shares: SharingPart
    imap: ImapHouse


def make_visits(
    config: Config,
    reactor: Any,
    workers: ThreadedWorkers,
    journal: Journal,
    ground: Ground,
    entry: Entry,
    departure: Departure,
) -> Visits:
    """The fourth stage."""
    users, edge, store, addresses = ground.users, ground.edge, entry.store, entry.addresses
    evidence = EvidencePart(config, reactor, workers, journal, ground.names, addresses, entry.junk.senders)
    entry.junk.learner.also.append(evidence.taught)
    reports = ReportsPart(
        config,
        reactor,
        workers,
        journal,
        addresses,
        ground.names,
        entry.door,
        store,
        ground.signing,
        entry.acceptance,
    )
    evidence.tally = reports.tally
    settings = smtp_settings(config)
    parts = Parts(
        settings,
        reactor,
        workers,
        journal,
        addresses,
        users.log_in if store is None else store.log_in(users.log_in),
        ground.guard,
        entry.acceptance,
        Budget(settings.limits.memory_budget),
        evidence.made(config),
        allowance=departure.allowance,
        signing=ground.signing if edge is None else None,
        days_work=ground.devices.days_work,
        lists=entry.junk.words_of(addresses) if edge is None else edge,
    )
    own_folders = make_own_folders(ground.stores, ground.spool, departure.dispatch, users, workers, reactor, journal)
    shares = make_shares(config, reactor, workers, journal, own_folders.stores, users, ground.stores.habits)
    entry.lists.archives.shares = shares.shares
    ground.pages.serve_lists(entry.lists.station, journal)
    imap = ImapHouse(
        settings=imap_settings(config),
        stores=shares.shares,
        users=users.log_in,
        guard=ground.guard,
        certificates=ground.certificates,
        clock=reactor,
        workers=workers,
        journal=journal,
        sharing=shares.shares,
    )
    return Visits(evidence, reports, SmtpStation(parts, ground.certificates), own_folders, shares, imap)
