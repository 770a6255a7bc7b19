"""Every station, built from the config and joined to its neighbours by the ports. Nothing is opened here."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from mailbox_appliance.acme.keeper import CertificateKeeper
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.assembly.ballast import Ballast
from mailbox_appliance.assembly.campaigns import tell_of_campaigns
from mailbox_appliance.assembly.changing import Names, QueueDesk, WayOut
from mailbox_appliance.assembly.clients import ClientRecord
from mailbox_appliance.assembly.dropbox import DropPart
from mailbox_appliance.assembly.edge import EdgePart
from mailbox_appliance.assembly.evidence import EvidencePart
from mailbox_appliance.assembly.halves import join_halves
from mailbox_appliance.assembly.junk import JunkPart
from mailbox_appliance.assembly.keeper import make_keeper
from mailbox_appliance.assembly.lists import ListsPart
from mailbox_appliance.assembly.names import make_resolver
from mailbox_appliance.assembly.onward import make_onward
from mailbox_appliance.assembly.own_folders import make_own_folders
from mailbox_appliance.assembly.pages import WebPages
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.passwords import PasswordsPart
from mailbox_appliance.assembly.people import is_ours, tell_whom_it_concerns
from mailbox_appliance.assembly.reports import ReportsPart
from mailbox_appliance.assembly.resting import Resting
from mailbox_appliance.assembly.settings import (
    allowance_settings,
    guard_settings,
    imap_settings,
    smtp_settings,
    store_settings,
)
from mailbox_appliance.assembly.sharing import limit_of, make_shares
from mailbox_appliance.assembly.store import StorePart
from mailbox_appliance.assembly.watch import WatchPart
from mailbox_appliance.assembly.ways_out import make_way_out
from mailbox_appliance.checks.signing import DkimKeys, Signer
from mailbox_appliance.config.model import Config
from mailbox_appliance.delivery.acceptance import Door
from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.delivery.redelivery import Redelivery
from mailbox_appliance.delivery.routing import Routing, RoutingSettings
from mailbox_appliance.delivery.space import Space
from mailbox_appliance.guard.file import GuardFile
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.imap.listener import ImapHouse
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.delivery import Acceptance
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.queue.allowance import Allowance
from mailbox_appliance.queue.bounces import Bounces
from mailbox_appliance.queue.dispatch import Dispatch, DispatchSettings
from mailbox_appliance.queue.schedule import Schedule
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.rounds.rounds import CommitRounds, RoundSettings
from mailbox_appliance.smtp.intake import Budget
from mailbox_appliance.smtp.listener import SmtpStation
from mailbox_appliance.smtp.parts import Parts
from mailbox_appliance.store.depot import MailDepot
from mailbox_appliance.store.stores import MailStores
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.station import Users
from mailbox_appliance.users.strength.spawned import Children
from mailbox_appliance.workers import ThreadedWorkers


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
    state = config.state
    children = Children(reactor)
    users_settings = UsersSettings(default_quota=config.limits.quota)
    users = Users.at(os.path.join(state, "users.db"), workers, reactor, journal, users_settings, children)
    guard = RememberingGuard(
        reactor, journal, GuardFile(os.path.join(state, "guard.db"), workers), guard_settings(config)
    )
    resolver = Names(make_resolver(config, reactor, journal))
    tokens = ChallengeTokens()
    edge = EdgePart(config, reactor, workers, journal, resolver) if config.role == "edge" else None
    pages = WebPages(config, reactor, tokens, users.directory.domains, lambda: (config.hostname,))
    certificates = make_keeper(config, reactor, workers, journal, resolver, tokens, pages.names)
    pages.certificates = certificates
    rounds = CommitRounds(workers, RoundSettings(flush=config.store.flush))
    stores = MailStores(
        store_settings(config),
        reactor,
        workers,
        journal,
        rounds,
        limit_of(users),
    )
    depot = MailDepot(stores)
    queue = os.path.join(state, "queue")
    settings = SpoolSettings(queue, keep_failed=True) if edge is None else edge.spool_settings(queue)
    spool = QueueSpool(settings, workers, rounds, reactor, journal)
    junk = JunkPart(config, reactor, workers, journal, stores, users, spool)
    dkim_keys = DkimKeys(os.path.join(state, "dkim"), workers, reactor, journal)
    signing = None if config.local else Signer(dkim_keys, workers, reactor, journal)
    onward = make_onward(config, reactor, workers, journal, users, dkim_keys, signing)
    addresses: Directory = onward.addresses if edge is None else edge.directory
    lists = ListsPart(config, reactor, workers, journal, resolver, users, dkim_keys, signing)
    space = Space(workers, reactor, state, make_room=stores.make_room)
    door = Door(
        Routing(
            addresses,
            stores,
            RoutingSettings(config.hostname, capture=config.local),
            users.throwaways,
            junk.persons,
        ),
        depot,
        spool,
        rounds,
        addresses,
        space,
        reactor,
        journal,
        forwarding=onward.forwarding,
        vacation=onward.vacation,
        mailings=lists.station,
    )
    store = None
    acceptance: Acceptance = door
    if config.role == "store":
        store = StorePart(config, reactor, workers, journal, users, addresses, depot, junk.senders)
        stores.on_use = store.counted
        acceptance = store.door(door, spool, rounds)
        pages.mail_hosts = store.mail_hosts
    elif edge is not None:
        acceptance = edge.door(spool, rounds, space)
    notices = Notices(acceptance, addresses, reactor, config.hostname, signing)
    allowance = Allowance(spool, reactor, journal, tell_whom_it_concerns(notices, users), allowance_settings(config))
    bounces = Bounces(acceptance, addresses, reactor, journal, config.hostname, signing)
    door.reports = bounces
    relay = make_way_out(config, reactor, workers, journal, resolver, addresses, acceptance, store)
    dispatch = Dispatch(
        spool,
        relay,
        Redelivery(door) if edge is None else edge.hand_over,
        bounces,
        is_ours(addresses, captured=config.local) if edge is None else edge.is_local,
        reactor,
        journal,
        DispatchSettings(schedule=Schedule(first_retry=config.relay.first_retry)),
    )
    evidence = EvidencePart(config, reactor, workers, journal, resolver, addresses)
    junk.learner.also.append(evidence.taught)
    smtp_limits = smtp_settings(config)
    reports = ReportsPart(config, reactor, workers, journal, addresses, resolver, door, store, signing, acceptance)
    evidence.tally = reports.tally
    parts = Parts(
        smtp_limits,
        reactor,
        workers,
        journal,
        addresses,
        users.log_in if store is None else store.log_in(users.log_in),
        guard,
        acceptance,
        Budget(smtp_limits.limits.memory_budget),
        evidence.made(config),
        allowance=allowance,
        signing=signing if edge is None else None,
        lists=junk.words_of(addresses) if edge is None else edge.directory.lists,
    )
    own_folders = make_own_folders(stores, spool, dispatch, users, workers, reactor, journal)
    shares = make_shares(config, reactor, workers, journal, own_folders.stores, users)
    lists.archives.shares = shares.shares
    pages.serve_lists(lists.station, journal)
    imap = ImapHouse(
        settings=imap_settings(config),
        stores=shares.shares,
        users=users.log_in,
        guard=guard,
        certificates=certificates,
        clock=reactor,
        workers=workers,
        journal=journal,
        sharing=shares.shares,
    )
    users.directory.watch(imap.look_at_log_ins)
    users.directory.watch(certificates.look_soon)
    guard.on_campaign = tell_of_campaigns(users, notices, journal)
    queue_desk = QueueDesk(spool, dispatch, reactor, journal, relay)
    smtp = SmtpStation(parts, certificates)
    if store is not None:
        store.pins = certificates.tlsa
    halves = join_halves(edge, store, smtp, imap, pages, tokens, guard, queue_desk)
    of_people = (
        onward.part,
        lists,
        junk,
        Resting(stores, reactor, journal),
        shares,
        own_folders,
        reports,
    )
    return Stations(
        workers,
        journal,
        users,
        guard,
        resolver,
        certificates,
        tokens,
        pages,
        rounds,
        stores,
        spool,
        addresses,
        acceptance,
        dispatch,
        queue_desk,
        relay,
        dkim_keys,
        smtp,
        imap,
        allowance,
        evidence,
        (
            *(of_people if edge is None else ()),
            evidence,
            ClientRecord.of(config, imap, workers, journal),
            Ballast(state, reactor, workers, journal),
            PasswordsPart(config, reactor, journal, users, children, notices, guard, pages),
            DropPart(config, reactor, workers, journal, parts, notices),
            WatchPart(
                config, reactor, workers, journal, addresses, dkim_keys, certificates, resolver, pages, notices, store
            ),
            *halves,
        ),
        edge,
        store,
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
