"""The keeper of certificates with what it needs for its source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mailbox_appliance.acme.client import ChildAuthority
from mailbox_appliance.acme.deployed import read_command, run_command
from mailbox_appliance.acme.keeper import CertificateKeeper, RunCommand
from mailbox_appliance.acme.names import public_addresses
from mailbox_appliance.acme.orders import AcmeSettings, Orders
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.settings import certificate_settings
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.workers import ThreadedWorkers


def make_keeper(
    config: Config,
    reactor: Any,
    workers: ThreadedWorkers,
    journal: Journal,
    names: Names,
    tokens: ChallengeTokens,
    more_names: Callable[[], tuple[str, ...]],
) -> CertificateKeeper:
    """The keeper with what it needs for its source; whoever lists [acme] names has listed them all."""
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
            # The names of a store lead to its edge.
            own_addresses=frozenset if config.role == "store" else public_addresses,
            more_names=tuple if config.acme.names else more_names,
        )
    run: RunCommand | None = None
    if config.tls.deployed_command:
        command = read_command(config.tls.deployed_command)

        def run(facts: dict[str, str]) -> Awaitable[tuple[str, str]]:
            return run_command(reactor, reactor, command, facts)

    return CertificateKeeper(
        settings,
        clock=reactor,
        workers=workers,
        journal=journal,
        orders=orders,
        run_command=run,
        more_names=more_names,
    )
