"""Every station, built from the config and joined to its neighbours by the ports. Nothing is opened here."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from mailbox_appliance.acme.client import ChildAuthority
from mailbox_appliance.acme.deployed import read_command, run_command
from mailbox_appliance.acme.keeper import CertificateKeeper, CertificateSettings, RunCommand
from mailbox_appliance.acme.orders import AcmeSettings, Orders
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.config.model import Config
from mailbox_appliance.delivery.acceptance import Door
from mailbox_appliance.delivery.redelivery import Redelivery
from mailbox_appliance.delivery.routing import Routing, RoutingSettings
from mailbox_appliance.delivery.space import Space
from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.guard.file import GuardFile
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.guard.memory import GuardSettings
from mailbox_appliance.imap.listener import ImapHouse
from mailbox_appliance.imap.settings import ImapSettings
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.ports.dns import Answer
from mailbox_appliance.ports.relay import Shipment, Step
from mailbox_appliance.queue.bounces import Bounces
from mailbox_appliance.queue.desk import Desk as SpoolDesk
from mailbox_appliance.queue.dispatch import Dispatch, DispatchSettings
from mailbox_appliance.queue.schedule import Schedule
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.settings import Host, RelaySettings, Security
from mailbox_appliance.rounds.rounds import CommitRounds, RoundSettings
from mailbox_appliance.smtp.intake import Budget
from mailbox_appliance.smtp.limits import Limits, SmtpSettings
from mailbox_appliance.smtp.listener import SmtpStation
from mailbox_appliance.smtp.parts import Parts
from mailbox_appliance.store.account import StoreSettings
from mailbox_appliance.store.depot import MailDepot
from mailbox_appliance.store.stores import MailStores
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.station import Users
from mailbox_appliance.workers import ThreadedWorkers


def smtp_settings(config: Config) -> SmtpSettings:
    limits = config.limits
    return SmtpSettings(
        hostname=config.hostname,
        spool=os.path.join(config.state, "spool"),
        lan=config.networks.lan,
        submission_from=config.listen.submission_from,
        limits=Limits(
            message_size=limits.message_size,
            connections_per_address=limits.connections_per_address,
            idle=limits.smtp_idle,
        ),
    )


def imap_settings(config: Config) -> ImapSettings:
    limits = config.limits
    return ImapSettings(
        hostname=config.hostname,
        spool=os.path.join(config.state, "spool"),
        message_size=limits.message_size,
        connections_per_address=limits.connections_per_address,
        idle_timeout=limits.imap_idle,
    )


def guard_settings(config: Config) -> GuardSettings:
    return GuardSettings(exempt=config.guard.exempt)


def relay_settings(config: Config) -> RelaySettings:
    relay = config.relay
    smarthost = None
    if relay.smarthost is not None:
        smarthost = Host(
            relay.smarthost.host, relay.smarthost.port, Security(relay.tls), relay.user, relay.password_file
        )
    return RelaySettings(
        hostname=config.hostname,
        smarthost=smarthost,
        direct=relay.route == "direct",
        mx_port=relay.mx_port,
        allow_loopback=relay.allow_loopback,
        own_names=frozenset({config.hostname}),
        trust_anchor=relay.trust_anchor,
        dead_for=min(60.0, relay.first_retry / 2),
    )


class Names:
    """The resolver of the hour: ``reload`` puts another one in its place."""

    def __init__(self, current: DnsResolver) -> None:
        self.current = current

    def look_up(self, name: str, rdtype: str) -> Awaitable[Answer]:
        """ports.dns.Resolver."""
        return self.current.look_up(name, rdtype)


class WayOut:
    """The relay of the hour: ``reload`` puts another one in its place; attempts in progress end with the old one."""

    def __init__(self, current: MailRelay) -> None:
        self.current = current

    def destination(self, reverse_path: Address | None, forward_path: Address) -> str:
        """ports.relay.Relay."""
        return self.current.destination(reverse_path, forward_path)

    def carry(self, shipment: Shipment) -> Awaitable[tuple[Outcome, ...]]:
        """ports.relay.Relay."""
        return self.current.carry(shipment)

    def explain(self, address: Address) -> AsyncIterator[Step]:
        """ports.relay.Relay."""
        return self.current.explain(address)


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
    rounds: CommitRounds
    stores: MailStores
    spool: QueueSpool
    acceptance: Door
    dispatch: Dispatch
    queue_desk: SpoolDesk
    relay: WayOut
    smtp: SmtpStation
    imap: ImapHouse


def build(config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal) -> Stations:
    """Build and join. Constructors only: no file, socket or thread is touched."""
    state = config.state
    users = Users.at(
        os.path.join(state, "users.db"), workers, reactor, journal, UsersSettings(default_quota=config.limits.quota)
    )
    guard = RememberingGuard(
        reactor, journal, GuardFile(os.path.join(state, "guard.db"), workers), guard_settings(config)
    )
    resolver = Names(make_resolver(config, reactor, journal))
    tokens = ChallengeTokens()
    certificates = make_keeper(config, reactor, workers, journal, resolver, tokens)
    rounds = CommitRounds(workers, RoundSettings())
    stores = MailStores(
        StoreSettings(mail=os.path.join(state, "mail"), host=config.hostname),
        reactor,
        workers,
        journal,
        rounds,
        users.directory.quota,
    )
    depot = MailDepot(stores)
    spool = QueueSpool(SpoolSettings(os.path.join(state, "queue")), workers, rounds, reactor, journal)
    acceptance = Door(
        Routing(users.directory, stores, RoutingSettings(config.hostname, capture=config.local)),
        depot,
        spool,
        rounds,
        users.directory,
        Space(workers, reactor, state),
        reactor,
        journal,
    )
    bounces = Bounces(acceptance, users.directory, reactor, journal, config.hostname)
    acceptance.reports = bounces
    relay = WayOut(MailRelay(reactor, workers, resolver, journal, relay_settings(config)))
    dispatch = Dispatch(
        spool,
        relay,
        Redelivery(acceptance),
        bounces,
        is_ours(users),
        reactor,
        journal,
        DispatchSettings(schedule=Schedule(first_retry=config.relay.first_retry)),
    )
    smtp_limits = smtp_settings(config)
    parts = Parts(
        smtp_limits,
        reactor,
        workers,
        journal,
        users.directory,
        users.log_in,
        guard,
        acceptance,
        Budget(smtp_limits.limits.memory_budget),
    )
    imap = ImapHouse(
        settings=imap_settings(config),
        stores=stores,
        users=users.log_in,
        guard=guard,
        certificates=certificates,
        clock=reactor,
        workers=workers,
        journal=journal,
    )
    return Stations(
        workers,
        journal,
        users,
        guard,
        resolver,
        certificates,
        tokens,
        rounds,
        stores,
        spool,
        acceptance,
        dispatch,
        SpoolDesk(spool, dispatch, reactor, journal),
        relay,
        SmtpStation(parts, certificates),
        imap,
    )


def make_resolver(config: Config, reactor: Any, journal: Journal) -> DnsResolver:
    """[dns] servers, or those of /etc/resolv.conf."""
    return DnsResolver(reactor, journal, DnsSettings(servers=tuple(map(str, config.dns.servers))))


def take_over(stations: Stations, config: Config, reactor: Any) -> None:
    """Give every station its new settings; what is open goes on with those it began with. For ``reload``."""
    stations.users.directory.settings_now = UsersSettings(default_quota=config.limits.quota)
    stations.guard.settings = guard_settings(config)
    stations.smtp.parts = replace(stations.smtp.parts, settings=smtp_settings(config))
    stations.imap.settings = imap_settings(config)
    stations.names.current = make_resolver(config, reactor, stations.journal)
    stations.relay.current.stop()
    stations.relay.current = MailRelay(
        reactor, stations.workers, stations.names, stations.journal, relay_settings(config)
    )


def is_ours(users: Users) -> Callable[[Address], bool]:
    """Is a forward path one of ours? Domain '' is the bare postmaster's."""

    def ours(address: Address) -> bool:
        return not address.domain or address.domain in users.directory.domains()

    return ours


def certificate_settings(config: Config) -> CertificateSettings:
    """[tls], [acme] and the names that a certificate must carry."""
    source = "files" if config.tls.certificate else "acme" if config.acme.wanted else "self-made"
    return CertificateSettings(
        folder=os.path.join(config.state, "certificates"),
        names=config.certificate_names + (("localhost", "127.0.0.1", "::1") if config.local else ()),
        source=source,
        certificate=config.tls.certificate,
        key=config.tls.key,
    )


def make_keeper(
    config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal, names: Names, tokens: ChallengeTokens
) -> CertificateKeeper:
    """The keeper with what it needs for its source."""
    settings = certificate_settings(config)
    orders = None
    if settings.source == "acme":
        acme = AcmeSettings(
            directory=config.acme.directory,
            email=config.acme.email,
            trust_anchor=config.acme.trust_anchor,
            webroot=config.acme.webroot,
            names_stated=bool(config.acme.names),
        )
        orders = Orders(
            acme,
            settings.names,
            settings.folder,
            authority=ChildAuthority(reactor, reactor),
            tokens=tokens,
            clock=reactor,
            workers=workers,
            journal=journal,
            resolver=names,
        )
    run: RunCommand | None = None
    if config.tls.deployed_command:
        command = read_command(config.tls.deployed_command)

        def run(facts: dict[str, str]) -> Awaitable[tuple[str, str]]:
            return run_command(reactor, reactor, command, facts)

    return CertificateKeeper(settings, clock=reactor, workers=workers, journal=journal, orders=orders, run_command=run)
