"""The config in each station's own words."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mailbox_appliance.acme.keeper import CertificateSettings
from mailbox_appliance.checks.settings import ChecksSettings, dns_lists
from mailbox_appliance.config.model import Config, HostPort, NextHost
from mailbox_appliance.guard.memory import GuardSettings
from mailbox_appliance.imap.settings import ImapSettings
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.verdict import Action
from mailbox_appliance.queue.allowance import AllowanceSettings
from mailbox_appliance.relay.settings import Host, Proxy, RelaySettings, Security
from mailbox_appliance.scanners.settings import ScannerSettings
from mailbox_appliance.smtp.devices import Device
from mailbox_appliance.smtp.limits import Limits, SmtpSettings
from mailbox_appliance.sockets import most_connections
from mailbox_appliance.store.account import StoreSettings


def smtp_settings(config: Config) -> SmtpSettings:
    limits = config.limits
    connections = most_connections(400)
    return SmtpSettings(
        hostname=config.hostname,
        spool=os.path.join(config.state, "spool"),
        lan=config.networks.lan,
        devices=tuple(
            Device(
                name,
                one.address,
                frozenset(one.recipients),
                Address.parse(one.send_as) if one.send_as else None,
                one.per_day,
            )
            for name, one in config.devices.items()
        ),
        proxies=config.networks.proxies,
        xclient=config.networks.xclient,
        trusted=config.guard.exempt,
        submission_from=config.listen.submission_from,
        limits=Limits(
            message_size=limits.message_size,
            connections=connections,
            reserve=min(40, connections // 4),
            connections_per_address=limits.connections_per_address,
            idle=limits.smtp_idle,
        ),
    )


def imap_settings(config: Config) -> ImapSettings:
    limits = config.limits
    connections = most_connections(400)
    return ImapSettings(
        hostname=config.hostname,
        spool=os.path.join(config.state, "spool"),
        message_size=limits.message_size,
        messages_per_command=limits.imap_messages,
        connections=connections,
        reserved=min(100, connections // 4),
        connections_per_address=limits.connections_per_address,
        idle_timeout=limits.imap_idle,
    )


def store_settings(config: Config) -> StoreSettings:
    return StoreSettings(
        mail=os.path.join(config.state, "mail"),
        host=config.hostname,
        word_index=config.store.word_index,
        sifters=min(2, os.cpu_count() or 1),
        undelete_age=config.store.undelete_days * 86_400.0,
        undelete_octets=config.store.undelete_size or 1 << 62,
    )


def allowance_settings(config: Config) -> AllowanceSettings:
    return AllowanceSettings(config.limits.outgoing_per_day, config.limits.new_recipients_per_day)


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
    checks = config.checks
    return ChecksSettings(
        authserv_id=config.hostname,
        lists=dns_lists(checks.dnsbl),
        domain_lists=dns_lists(checks.domain_lists),
        people=checks.people,
        forwarders=checks.forwarders,
        trusted_sealers=frozenset(checks.sealers),
        trusted_lists=frozenset(checks.mailing_lists),
        switched_off=frozenset(checks.switched_off),
        weights=checks.weights,
        actions={key: Action(word) for key, word in checks.actions.items()},
        enabled=checks.enabled and not config.local,
        greylist=checks.greylist and checks.enabled,
    )


def scanner_settings(config: Config) -> tuple[ScannerSettings, ...]:
    """[scanners.NAME], in their order."""
    found = []
    for name, one in config.scanners.items():
        place = one.endpoint
        host, port = (place.host, place.port) if isinstance(place, HostPort) else ("", 0)
        path = place if isinstance(place, str) else ""
        defer = one.when_down == "defer"
        found.append(ScannerSettings(name, one.kind, host, port, path, defer, one.weight, one.timeout, config.hostname))
    return tuple(found)


def next_host(stated: NextHost) -> Host | None:
    """A host as the config names it."""
    if stated.host is None:
        return None
    return Host(stated.host.host, stated.host.port, Security(stated.tls), stated.user, stated.password_file)


def next_hosts(stated: Mapping[str, NextHost]) -> dict[str, Host]:
    """Hosts by domain."""
    found = {domain: next_host(one) for domain, one in stated.items()}
    return {domain: host for domain, host in found.items() if host is not None}


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
