"""The checks of strangers' mail joined: what they share over a reload, and their lines of ``status``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailbox_appliance.admin.status import Check, Finding
from mailbox_appliance.admin.words import span_words
from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.settings import checks_settings, scanner_settings
from mailbox_appliance.checks.domains import registered
from mailbox_appliance.checks.faults import ListFaults
from mailbox_appliance.checks.stages import StrangerChecks
from mailbox_appliance.config.model import Config
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.scanners.station import OutsideScanners
from mailbox_appliance.workers import ThreadedWorkers


class EvidencePart(Part):
    """``made`` gives what smtp/ asks."""

    name = "evidence"

    def __init__(
        self,
        config: Config,
        reactor: Any,
        workers: ThreadedWorkers,
        journal: Journal,
        names: Names,
        directory: Directory,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._workers = workers
        self._journal = journal
        self._names = names
        self._directory = directory
        self.faults = ListFaults(reactor, journal)
        self._scanners: OutsideScanners | None = None

    def made(self, config: Config) -> StrangerChecks | None:
        """[checks]; None when they are off, and in local mode, where nobody is asked for names."""
        if not config.checks.enabled or config.local:
            return None
        return StrangerChecks(
            checks_settings(config),
            self._reactor,
            self._workers,
            self._journal,
            self._names,
            self._directory,
            self.faults,
            self._with_scanners(config),
        )

    def _with_scanners(self, config: Config) -> OutsideScanners | None:
        settings = scanner_settings(config)
        self._scanners = None
        if settings:
            self._scanners = OutsideScanners(settings, self._reactor, self._workers, self._journal)
        return self._scanners

    async def start(self) -> None:
        """The public suffixes are read now: it takes longer than a session may wait."""
        if self._config.checks.enabled and not self._config.local:
            await self._workers.run("disk", registered, self._config.hostname)

    def take_over(self, config: Config) -> None:
        self._config = config

    def checks(self) -> Sequence[Check]:
        return (self._lists, self._outside) if self._scanners is not None else (self._lists,)

    async def _outside(self) -> Finding:
        states = self._scanners.states.values() if self._scanners is not None else ()
        down = [one for one in states if one.trouble]
        if down:
            words = "; ".join(
                f"{one.settings.name} at {one.settings.where} has not answered for "
                f"{span_words(self._reactor.seconds() - one.since)}: {one.trouble}"
                for one in down
            )
            rules = ", ".join(
                f"mail {'is put off' if one.settings.defer else 'is judged without it'} ({one.settings.name})"
                for one in down
            )
            return Finding("scanners", f"{words}; {rules}", "start that program, or take it out of [scanners]")
        return Finding("scanners", ", ".join(f"{one.settings.name} ({one.asked} asked)" for one in states) or "none")

    async def _lists(self) -> Finding:
        checks = self._config.checks
        known = {text.partition("=")[0] for text in checks.dnsbl + checks.domain_lists}
        if not known or not checks.enabled:
            return Finding("DNS lists", "none is asked")
        found = [fault for fault in self.faults.lately() if fault.zone in known]
        if not found:
            return Finding("DNS lists", f"{len(known)} asked")
        words = "; ".join(f"{one.zone}: {one.reason} ({one.answer})" for one in found)
        remedy = "ask it through a resolver of your own (dns.servers), or take it out of checks.dnsbl or domain_lists"
        return Finding("DNS lists", words, remedy)
