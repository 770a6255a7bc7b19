"""Who answers an operator while the service runs: a desk for each noun, and the lines of ``status``.

Imported and made when the first question comes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin import status
from mailbox_appliance.admin.aliases import AliasDesk
from mailbox_appliance.admin.apppasswords import AppPasswordDesk
from mailbox_appliance.admin.certs import CertDesk
from mailbox_appliance.admin.clientsettings import ClientSettings
from mailbox_appliance.admin.configuring import ReloadDesk
from mailbox_appliance.admin.dispatch import Desk
from mailbox_appliance.admin.domains import DomainDesk
from mailbox_appliance.admin.edge import AT_THE_STORE, edge_desks
from mailbox_appliance.admin.filing import FilingDesk
from mailbox_appliance.admin.firewall import FirewallDesk
from mailbox_appliance.admin.guarding import GuardingDesk
from mailbox_appliance.admin.mailqueue import MailQueueDesk
from mailbox_appliance.admin.pairing import PairDesk
from mailbox_appliance.admin.people import AccountDesk
from mailbox_appliance.admin.routes import RouteDesk
from mailbox_appliance.admin.status import StatusDesk
from mailbox_appliance.admin.throwaways import ThrowawayDesk
from mailbox_appliance.admin.tracing import TraceDesk
from mailbox_appliance.admin.undeleting import RestingMail
from mailbox_appliance.assembly.doors import Doors
from mailbox_appliance.assembly.greeting import make_welcomes
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.events.checks import LookUpsFailed

if TYPE_CHECKING:
    from mailbox_appliance.stations import Stations


def make_desk(
    built: Stations,
    doors: Doors,
    clock: Any,
    config: Config,
    present: Callable[[], Config],
    reload: Callable[[], Awaitable[tuple[str, ...]]],
) -> Desk:
    """Every verb that a running service answers; ``config`` is that of its start, ``present`` gives today's."""
    users = built.users
    welcomes = make_welcomes(built, config, clock)
    checks: Sequence[status.Check] = (
        status.mail_in(lambda: doors.known, users.directory)
        if built.edge is None
        else built.edge.mail_in(lambda: doors.known),
        status.mail_out(built.queue_desk, config, clock),
        status.certificate(built.certificates, clock),
        status.disk(config.state),
        status.name_servers(
            None if config.local else built.names.probe,
            lambda: built.journal.counters.of(LookUpsFailed.name),
        ),
        *(check for part in built.parts for check in part.checks()),
    )
    desks: list[object] = [
        DomainDesk(users.domains, None if config.local else built.dkim_keys),
        AccountDesk(
            users.accounts,
            ClientSettings(config),
            welcomes.greet,
            RestingMail(built.stores, built.workers, clock),
        ),
        AliasDesk(users.aliases),
        AppPasswordDesk(users.app_passwords),
        ThrowawayDesk(users.throwaways),
        FilingDesk(built.stores, users.directory.accounts, config.state),
        MailQueueDesk(built.queue_desk, clock),
        RouteDesk(None if config.local else built.relay),
        CertDesk(built.certificates, built.certificates, clock),
        TraceDesk(built.journal),
        GuardingDesk(built.guard, clock, present, None if config.local else built.names),
        FirewallDesk(present),
        ReloadDesk(reload),
        StatusDesk(checks),
        *(desk for part in built.parts for desk in part.desks()),
    ]
    if built.edge is None and built.store is None:
        desks.append(PairDesk(None))
    if built.edge is not None:
        desks = edge_desks(desks)
    missing = AT_THE_STORE if built.edge is not None else ""
    return Desk(desks, built.journal, missing=missing)
