"""What every other part stands on: people, names, certificates, and the places where mail is kept or waits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mailbox_appliance.acme.keeper import CertificateKeeper
from mailbox_appliance.acme.tokens import ChallengeTokens
from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.devices import DevicesPart
from mailbox_appliance.assembly.keeper import make_keeper
from mailbox_appliance.assembly.names import make_resolver
from mailbox_appliance.assembly.pages import WebPages
from mailbox_appliance.assembly.settings import guard_settings, store_settings
from mailbox_appliance.assembly.sharing import limit_of
from mailbox_appliance.checks.signing import DkimKeys, Signer
from mailbox_appliance.config.model import Config
from mailbox_appliance.delivery.space import Space
from mailbox_appliance.guard.file import GuardFile
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.rounds.rounds import CommitRounds, RoundSettings
from mailbox_appliance.store.depot import MailDepot
from mailbox_appliance.store.stores import MailStores
from mailbox_appliance.users.directory import UsersSettings
from mailbox_appliance.users.station import Users
from mailbox_appliance.users.strength.spawned import Children
from mailbox_appliance.workers import ThreadedWorkers

if TYPE_CHECKING:  # imported by the half that it is
    from mailbox_appliance.assembly.edge import EdgePart


@dataclass(frozen=True, slots=True)
class Ground:
    """``signing`` is None in local mode, where nothing leaves; ``edge`` only with role = "edge"."""

    children: Children
    users: Users
    guard: RememberingGuard
    names: Names
    tokens: ChallengeTokens
    edge: EdgePart | None
    pages: WebPages
    certificates: CertificateKeeper
    rounds: CommitRounds
    stores: MailStores
    depot: MailDepot
    spool: QueueSpool
    space: Space
    dkim_keys: DkimKeys
    signing: Signer | None
    devices: DevicesPart


def lay_ground(config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal) -> Ground:
    """The first stage: nothing here needs a part of a later one."""
    state = config.state
    children = Children(reactor)
    settings = UsersSettings(default_quota=config.limits.quota)
    users = Users.at(os.path.join(state, "users.db"), workers, reactor, journal, settings, children)
    guard_file = GuardFile(os.path.join(state, "guard.db"), workers)
    guard = RememberingGuard(reactor, journal, guard_file, guard_settings(config))
    names = Names(make_resolver(config, reactor, journal))
    tokens = ChallengeTokens()
    edge = None
    if config.role == "edge":
        from mailbox_appliance.assembly.edge import EdgePart

        edge = EdgePart(config, reactor, workers, journal, names)
    pages = WebPages(config, reactor, tokens, users.directory.domains, lambda: (config.hostname,))
    certificates = make_keeper(config, reactor, workers, journal, names, tokens, pages.names)
    pages.certificates = certificates
    rounds = CommitRounds(workers, RoundSettings(flush=config.store.flush))
    stores = MailStores(store_settings(config), reactor, workers, journal, rounds, limit_of(users))
    queue = os.path.join(state, "queue")
    spool_settings = SpoolSettings(queue, keep_failed=True) if edge is None else edge.spool_settings(queue)
    dkim_keys = DkimKeys(os.path.join(state, "dkim"), workers, reactor, journal)
    return Ground(
        children,
        users,
        guard,
        names,
        tokens,
        edge,
        pages,
        certificates,
        rounds,
        stores,
        MailDepot(stores),
        QueueSpool(spool_settings, workers, rounds, reactor, journal),
        Space(workers, reactor, state, make_room=stores.make_room),
        dkim_keys,
        None if config.local else Signer(dkim_keys, workers, reactor, journal),
        DevicesPart(guard_file, reactor, journal),
    )
