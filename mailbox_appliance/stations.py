"""Every station, built from the config and joined to its neighbours by the ports. Nothing is opened here.

``build`` goes in four stages, each a page of assembly/: the ground (people, names, places), the entry (who takes a
message), the departure (how mail leaves), the visits (who comes to us); then the last joints.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mailbox_appliance.acme.keeper import CertificateKeeper
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.assembly.changing import Names, QueueDesk, WayOut
from mailbox_appliance.assembly.departure import make_departure
from mailbox_appliance.assembly.entry import make_entry
from mailbox_appliance.assembly.evidence import EvidencePart
from mailbox_appliance.assembly.ground import lay_ground
from mailbox_appliance.assembly.joints import joined_parts, tell_one_another
from mailbox_appliance.assembly.names import make_resolver
from mailbox_appliance.assembly.pages import WebPages
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.settings import (
    allowance_settings,
    guard_settings,
    imap_settings,
    smtp_settings,
)
from mailbox_appliance.assembly.visits import make_visits
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.config.model import Config
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.imap.listener import ImapHouse
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.delivery import Acceptance
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.queue.allowance import Allowance
from mailbox_appliance.queue.dispatch import Dispatch
from mailbox_appliance.queue.spool import QueueSpool
from mailbox_appliance.rounds.rounds import CommitRounds
from mailbox_appliance.smtp.listener import SmtpStation
from mailbox_appliance.store.stores import MailStores
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.station import Users
from mailbox_appliance.workers import ThreadedWorkers

if TYPE_CHECKING:  # imported by the half that it is
    from mailbox_appliance.assembly.edge import EdgePart
    from mailbox_appliance.assembly.store import StorePart


@dataclass(frozen=True, slots=True)
class Stations:
    """All of them, in the order of a message's journey."""

    workers: ThreadedWorkers
    journal: Journal
    users: Users
    guard: RememberingGuard
    names: Names
    certificates: CertificateKeeper
    tokens: ChallengeTokens
    pages: WebPages
    rounds: CommitRounds
    stores: MailStores
    spool: QueueSpool
    addresses: Directory
    acceptance: Acceptance
    dispatch: Dispatch
    queue_desk: QueueDesk
    relay: WayOut
    dkim_keys: DkimKeys
    smtp: SmtpStation
    imap: ImapHouse
    allowance: Allowance
    evidence: EvidencePart
    parts: tuple[Part, ...] = ()
    edge: EdgePart | None = None  # role = "edge"
    store: StorePart | None = None  # role = "store"


def build(config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal) -> Stations:
    """Build and join. Constructors only: no file, socket or thread is touched."""
    ground = lay_ground(config, reactor, workers, journal)
    entry = make_entry(config, reactor, workers, journal, ground)
    departure = make_departure(config, reactor, workers, journal, ground, entry)
    visits = make_visits(config, reactor, workers, journal, ground, entry, departure)
    tell_one_another(journal, ground, entry, departure, visits)
    return Stations(
        workers,
        journal,
        ground.users,
        ground.guard,
        ground.names,
        ground.certificates,
        ground.tokens,
        ground.pages,
        ground.rounds,
        ground.stores,
        ground.spool,
        entry.addresses,
        entry.acceptance,
        departure.dispatch,
        departure.queue_desk,
        departure.relay,
        ground.dkim_keys,
        visits.smtp,
        visits.imap,
        departure.allowance,
        visits.evidence,
        joined_parts(config, reactor, workers, journal, ground, entry, departure, visits),
        ground.edge,
        entry.store,
    )


def take_over(stations: Stations, config: Config, reactor: Any) -> None:
    """Give every station its new settings; what is open goes on with those it began with. For ``reload``."""
    stations.users.directory.settings_now = UsersSettings(default_quota=config.limits.quota)
    stations.guard.settings = guard_settings(config)
    checks = stations.evidence.made(config)
    stations.smtp.parts = replace(stations.smtp.parts, settings=smtp_settings(config), checks=checks)
    stations.allowance.settings = allowance_settings(config)
    stations.dkim_keys.forget()
    stations.pages.take_over(config)
    stations.imap.settings = imap_settings(config)
    stations.names.current = make_resolver(config, reactor, stations.journal)
    stations.relay.take_over(config)
    for part in stations.parts:
        part.take_over(config)
