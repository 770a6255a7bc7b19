"""The records of our domains: `dns records|check|rotate`, and the daily look at what the world sees of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mailbox_appliance.acme.keeper import CertificateKeeper
from mailbox_appliance.acme.names import public_addresses
from mailbox_appliance.acme.timeofday import TimeOfDay
from mailbox_appliance.admin.names import NamesDesk
from mailbox_appliance.admin.status import Check, Finding, domain_records, signing_keys
from mailbox_appliance.admin.watching import DomainWatch
from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.pages import WebPages
from mailbox_appliance.assembly.part import DailyPart
from mailbox_appliance.checks.signing import DkimKeys
from mailbox_appliance.config.model import Config
from mailbox_appliance.delivery.notices import Notices
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.process import clock_is_kept
from mailbox_appliance.workers import ThreadedWorkers

if TYPE_CHECKING:
    from mailbox_appliance.assembly.store import StorePart

SOON = 3600.0  # after a start, when the machine and its name servers have come to rest


class WatchPart(DailyPart):
    """STATE/names.json. An edge, where nobody lives, and local mode look at nothing."""

    name = "records"

    def __init__(
        self,
        config: Config,
        reactor: Any,
        workers: ThreadedWorkers,
        journal: Journal,
        directory: Directory,
        keys: DkimKeys,
        certificates: CertificateKeeper,
        names: Names,
        pages: WebPages,
        notices: Notices,
        store: StorePart | None,
    ) -> None:
        super().__init__(reactor, journal, SOON)
        self._config = config
        self._directory = directory
        self._keys = keys
        self._notices = notices
        self._desk = NamesDesk(
            lambda: self._config,
            directory,
            keys,
            certificates,
            names,
            reactor,
            public_addresses if store is None else frozenset,
            names.forget,
            lambda: pages.policy_id,
            (lambda: "") if store is None else store.mail_host,
            clock_is_kept,
            TimeOfDay(reactor, reactor, names),
        )
        self._watch = DomainWatch(
            self._desk.examine,
            keys,
            directory.domains,
            os.path.join(config.state, "names.json"),
            reactor,
            workers,
            journal,
            self._tell_owner,
            lambda: self._config.dns.rotate_days,
        )

    @property
    def _idle(self) -> bool:
        return self._config.local or self._config.role == "edge"

    async def start(self) -> None:
        """The first look comes later."""
        if not self._idle:
            await super().start()

    async def each_day(self) -> None:
        """Look, unless the first look is still to come."""
        if self.is_waiting or self._idle:
            return
        try:
            await self._watch.look()
        except (OSError, Busy) as error:
            self._journal.broken(self.name, error)

    async def _tell_owner(self, domain: str, subject: str, text: str) -> bool:
        """True when he was told; a domain without an owner has nobody to tell."""
        owner = await self._directory.owner(domain)
        return owner is None or await self._notices.send(owner, subject, text)

    def take_over(self, config: Config) -> None:
        """``reload``."""
        self._config = config

    def desks(self) -> Sequence[object]:
        """``dns``."""
        return (self._desk,)

    def checks(self) -> Sequence[Check]:
        """The keys that sign, and the records of all domains."""
        return () if self._idle else (signing_keys(self._keys, self._directory.domains), self._check)

    async def _check(self) -> Finding:
        return domain_records(self._watch.bad, self._watch.looked, self._clock.seconds())
