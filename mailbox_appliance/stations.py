"""Every station, built from the config and joined to its neighbours by the ports. Nothing is opened here."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mailbox_appliance.acme.client import ChildAuthority
from mailbox_appliance.acme.deployed import read_command, run_command
from mailbox_appliance.acme.keeper import CertificateKeeper, CertificateSettings, RunCommand
from mailbox_appliance.acme.names import public_addresses
from mailbox_appliance.acme.orders import AcmeSettings, Orders
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.checks.settings import ChecksSettings, dns_lists
from mailbox_appliance.checks.signing import DkimKeys, Signer
from mailbox_appliance.checks.stages import StrangerChecks
from mailbox_appliance.config.model import Config, NextHost
from mailbox_appliance.database import Database
from mailbox_appliance.delivery.acceptance import Door
from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.delivery.redelivery import Redelivery
from mailbox_appliance.delivery.routing import Routing, RoutingSettings
from mailbox_appliance.delivery.space import Space
from mailbox_appliance.dns.resolver import DnsResolver
from mailbox_appliance.dns.servers import ServerState
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
from mailbox_appliance.ports.users import LocalMailbox
from mailbox_appliance.queue.allowance import Allowance, AllowanceSettings
from mailbox_appliance.queue.bounces import Bounces
from mailbox_appliance.queue.desk import Desk as SpoolDesk
from mailbox_appliance.queue.dispatch import Dispatch, DispatchSettings
from mailbox_appliance.queue.schedule import Schedule
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.memory import MIGRATIONS as RELAY_MIGRATIONS
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.relay.settings import Host, Proxy, RelaySettings, Security
from mailbox_appliance.relay.tlsreport import TlsReports
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
        proxies=config.networks.proxies,
        xclient=config.networks.xclient,
        trusted=config.guard.exempt,
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


def allowance_settings(config: Config) -> AllowanceSettings:
    return AllowanceSettings(config.limits.outgoing_per_day, config.limits.new_recipients_per_day)


def tell_whom_it_concerns(notices: Notices, users: Users) -> Callable[[Address, str, str], Awaitable[None]]:
    """Write to an account, and to the owner of its domain when that is another."""

    async def tell(account: Address, subject: str, text: str) -> None:
        owner = await users.directory.owner(account.domain)
        for address in {account, owner or account}:
            await notices.send(address, subject, text)

    return tell


def guard_settings(config: Config) -> GuardSettings:
    return GuardSettings(exempt=config.guard.exempt)


def relay_settings(config: Config) -> RelaySettings:
    relay = config.relay
    smarthost = next_host(NextHost(relay.smarthost, relay.user, relay.password_file, relay.tls))
    socks = None
    if relay.socks is not None:
        socks = Proxy(relay.socks.host, relay.socks.port, relay.socks_user, relay.socks_password_file)
    return RelaySettings(
        hostname=config.hostname,
        smarthost=smarthost,
        direct=relay.route == "direct",
        routes=next_hosts(relay.domains),
        senders=next_hosts(relay.senders),
        fallback_after=relay.fallback_after or 0,
        socks=socks,
        mx_port=relay.mx_port,
        allow_loopback=relay.allow_loopback,
        own_names=frozenset({config.hostname}),
        trust_anchor=relay.trust_anchor,
        dead_for=min(60.0, relay.first_retry / 2),
    )


def checks_settings(config: Config) -> ChecksSettings:
    return ChecksSettings(authserv_id=config.hostname, lists=dns_lists(config.checks.dnsbl))


def next_host(stated: NextHost) -> Host | None:
    """A host as the config names it."""
    if stated.host is None:
        return None
    return Host(stated.host.host, stated.host.port, Security(stated.tls), stated.user, stated.password_file)


def next_hosts(stated: Mapping[str, NextHost]) -> dict[str, Host]:
    """Hosts by domain."""
    found = {domain: next_host(one) for domain, one in stated.items()}
    return {domain: host for domain, host in found.items() if host is not None}


class Names:
    """The resolver of the hour: ``reload`` puts another one in its place."""

    def __init__(self, current: DnsResolver) -> None:
        self.current = current

    def look_up(self, name: str, rdtype: str) -> Awaitable[Answer]:
        """ports.dns.Resolver."""
        return self.current.look_up(name, rdtype)

    def probe(self) -> Awaitable[tuple[ServerState, ...]]:
        """How each name server fares just now, for ``status``."""
        return self.current.probe()

    def forget(self) -> None:
        """Empty the cache: the operator wants to see what is there now."""
        self.current.forget()


class WayOut:
    """The relay of the hour: ``reload`` puts another one in its place; attempts in progress end with the old one.

    ``memory`` outlives them all.
    """

    def __init__(self, make: Callable[[Config], MailRelay], memory: RelayMemory, config: Config) -> None:
        self._make = make
        self.memory = memory
        self.current = make(config)

    def take_over(self, config: Config) -> None:
        """Another relay, for new settings."""
        self.current.stop()
        self.current = self._make(config)

    async def close(self) -> None:
        """Say goodbye on kept connections, and write what the relay has learned."""
        self.current.stop()
        await self.memory.close()

    def destination(self, reverse_path: Address | None, forward_path: Address) -> str:
        """ports.relay.Relay."""
        return self.current.destination(reverse_path, forward_path)

    def carry(self, shipment: Shipment) -> Awaitable[tuple[Outcome, ...]]:
        """ports.relay.Relay."""
        return self.current.carry(shipment)

    def explain(self, address: Address) -> AsyncIterator[Step]:
        """ports.relay.Relay."""
        return self.current.explain(address)

    def forget(self) -> None:
        """Which hosts were dead: the operator wants them tried."""
        self.current.forget()


class QueueDesk(SpoolDesk):
    """The queue's desk, whose "try now" means now: hosts that rest as dead are tried too."""

    def __init__(self, spool: QueueSpool, dispatch: Dispatch, clock: Any, journal: Journal, relay: WayOut) -> None:
        super().__init__(spool, dispatch, clock, journal)
        self._relay = relay

    async def retry(self, traces: tuple[str, ...]) -> int:
        """Try now; no ids means all that are not held."""
        self._relay.forget()
        return await super().retry(traces)

    async def flush(self, domain: str) -> int:
        """Try now whatever waits for ``domain``."""
        self._relay.forget()
        return await super().flush(domain)


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
    queue_desk: QueueDesk
    relay: WayOut
    dkim_keys: DkimKeys
    smtp: SmtpStation
    imap: ImapHouse
    allowance: Allowance


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
    rounds = CommitRounds(workers, RoundSettings(flush=config.store.flush))
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
    notices = Notices(acceptance, users.directory, reactor, config.hostname)
    allowance = Allowance(spool, reactor, journal, tell_whom_it_concerns(notices, users), allowance_settings(config))
    bounces = Bounces(acceptance, users.directory, reactor, journal, config.hostname)
    acceptance.reports = bounces
    relay = make_way_out(config, reactor, workers, journal, resolver, users, acceptance)
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
    dkim_keys = DkimKeys(os.path.join(state, "dkim"), workers, reactor, journal)
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
        make_checks(config, reactor, workers, journal, resolver, users),
        allowance=allowance,
        signing=None if config.local else Signer(dkim_keys, workers, reactor, journal),
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
        QueueDesk(spool, dispatch, reactor, journal, relay),
        relay,
        dkim_keys,
        SmtpStation(parts, certificates),
        imap,
        allowance,
    )


def make_resolver(config: Config, reactor: Any, journal: Journal) -> DnsResolver:
    """[dns] servers, or those of /etc/resolv.conf."""
    return DnsResolver(reactor, journal, DnsSettings(servers=tuple(map(str, config.dns.servers))))


def make_checks(
    config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal, names: Names, users: Users
) -> StrangerChecks | None:
    """[checks]; None when they are off, and in local mode, where nobody is asked for names."""
    if not config.checks.enabled or config.local:
        return None
    return StrangerChecks(checks_settings(config), reactor, workers, journal, names, users.directory)


def take_over(stations: Stations, config: Config, reactor: Any) -> None:
    """Give every station its new settings; what is open goes on with those it began with. For ``reload``."""
    stations.users.directory.settings_now = UsersSettings(default_quota=config.limits.quota)
    stations.guard.settings = guard_settings(config)
    checks = make_checks(config, reactor, stations.workers, stations.journal, stations.names, stations.users)
    stations.smtp.parts = replace(stations.smtp.parts, settings=smtp_settings(config), checks=checks)
    stations.allowance.settings = allowance_settings(config)
    stations.dkim_keys.forget()
    stations.imap.settings = imap_settings(config)
    stations.names.current = make_resolver(config, reactor, stations.journal)
    stations.relay.take_over(config)


def make_way_out(
    config: Config,
    reactor: Any,
    workers: ThreadedWorkers,
    journal: Journal,
    names: Names,
    users: Users,
    acceptance: Door,
) -> WayOut:
    """The relay with what it remembers in STATE/relay.db; local mode, where nothing leaves, remembers nothing."""
    path = os.path.join(config.state, "relay.db")
    database = None if config.local else Database(path, RELAY_MIGRATIONS, workers, synchronous="NORMAL")
    memory = RelayMemory(database, journal)
    notices = Notices(acceptance, users.directory, reactor, config.hostname)

    def make(config: Config) -> MailRelay:
        return MailRelay(
            reactor,
            workers,
            names,
            journal,
            relay_settings(config),
            memory=memory,
            own_addresses=public_addresses,
            probe_sender=first_owner(users),
            notice=notices.tell_owners,
        )

    return WayOut(make, memory, config)


def first_owner(users: Users) -> Callable[[], Awaitable[Address | None]]:
    """Who answers for this machine: the owner of its first domain, whom the bare postmaster leads to."""

    async def owner() -> Address | None:
        resolution = await users.directory.resolve(Address("postmaster", ""))
        for destination in getattr(resolution, "destinations", ()):
            if isinstance(destination, LocalMailbox):
                return destination.account
        return None

    return owner


async def send_tls_reports(stations: Stations, config: Config, reactor: Any) -> int:
    """Once a day; returns how many went out, none where [relay] tls_reports is off."""
    if not config.relay.tls_reports or config.local:
        return 0
    signing = stations.smtp.parts.signing
    reports = TlsReports(
        stations.relay.memory,
        stations.names,
        stations.acceptance,
        reactor,
        stations.journal,
        config.hostname,
        sender=first_owner(stations.users),
        sign=signing.sign if signing is not None else None,
    )
    return await reports.send_due()


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
            own_addresses=public_addresses,
        )
    run: RunCommand | None = None
    if config.tls.deployed_command:
        command = read_command(config.tls.deployed_command)

        def run(facts: dict[str, str]) -> Awaitable[tuple[str, str]]:
            return run_command(reactor, reactor, command, facts)

    return CertificateKeeper(settings, clock=reactor, workers=workers, journal=journal, orders=orders, run_command=run)
