"""The checks of strangers' mail joined: what they share over a reload, and their lines of ``status``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b
from sqlite3 import Error as SqliteError
from typing import TYPE_CHECKING, Any

from mailbox_appliance.admin.reputation import ReputationDesk
from mailbox_appliance.admin.status import Check, Finding
from mailbox_appliance.admin.words import span_words
from mailbox_appliance.assembly.changing import Names
from mailbox_appliance.assembly.damage import begin_anew_if_damaged
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.settings import checks_settings, scanner_settings
from mailbox_appliance.checks.author import author_of
from mailbox_appliance.checks.domains import registered
from mailbox_appliance.checks.faults import ListFaults
from mailbox_appliance.checks.reputation import MIGRATIONS as REPUTATION
from mailbox_appliance.checks.reputation import Reputation, key_of
from mailbox_appliance.checks.senders import Senders
from mailbox_appliance.checks.verdict import unknown_results
from mailbox_appliance.config.model import Config
from mailbox_appliance.database import Database, DatabaseTrouble
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.authfields import seen_senders
from mailbox_appliance.mail.client import peer_address
from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mailauth.canonical import HeaderBlock
from mailbox_appliance.ports.reports import DmarcTally
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.workers import ThreadedWorkers

if TYPE_CHECKING:  # both are imported when the config asks for them
    from mailbox_appliance.checks.stages import StrangerChecks
    from mailbox_appliance.scanners.station import OutsideScanners


class EvidencePart(Part):
    """``made`` gives what smtp/ asks."""

    name = "evidence"
    tally: DmarcTally | None = None  # for our reports to others

    def __init__(
        self,
        config: Config,
        reactor: Any,
        workers: ThreadedWorkers,
        journal: Journal,
        names: Names,
        directory: Directory,
        senders: Senders | None = None,
    ) -> None:
        """``senders`` is told whose letters a person called junk."""
        self._senders = senders
        self._config = config
        self._reactor = reactor
        self._workers = workers
        self._journal = journal
        self._names = names
        self._directory = directory
        self.faults = ListFaults(reactor, journal)
        self._scanners: OutsideScanners | None = None
        database = Database(os.path.join(config.state, "reputation.db"), REPUTATION, workers, synchronous="NORMAL")
        self.reputation = Reputation(database, reactor)

    def made(self, config: Config) -> StrangerChecks | None:
        """[checks]; None when they are off, and in local mode, where nobody is asked for names."""
        if not config.checks.enabled or config.local:
            return None
        from mailbox_appliance.checks.stages import StrangerChecks

        return StrangerChecks(
            checks_settings(config),
            self._reactor,
            self._workers,
            self._journal,
            self._names,
            self._directory,
            self.faults,
            self._with_scanners(config),
            self.reputation,
            tally=self.tally,
        )

    def _with_scanners(self, config: Config) -> OutsideScanners | None:
        settings = scanner_settings(config)
        self._scanners = None
        if settings:
            from mailbox_appliance.scanners.station import OutsideScanners

            self._scanners = OutsideScanners(settings, self._reactor, self._workers, self._journal)
        return self._scanners

    async def start(self) -> None:
        """The public suffixes are read now: it takes longer than a session may wait."""
        await begin_anew_if_damaged(self.reputation.database, self._journal, "the names that senders have with us")
        if self._config.checks.enabled and not self._config.local:
            await self._workers.run("disk", registered, self._config.hostname)

    async def stop(self) -> None:
        """What was learnt lately is kept."""
        try:
            await self.reputation.write()
        except (DatabaseTrouble, SqliteError, Busy, OSError) as error:
            self._journal.broken(self.name, error)
        self.reputation.close()

    async def each_day(self) -> None:
        """What was learnt lately is kept."""
        await self.reputation.write()

    async def taught(self, account: Address, octets: bytes, junk: bool) -> None:
        """A person's word on a message (the first octets of one that was kept)."""
        block = HeaderBlock(octets)
        passed, address = seen_senders(octets, self._config.hostname)
        author = author_of(block)
        try:
            peer = peer_address(address) if address else None
        except ValueError:
            peer = None
        # As the checks see it: somebody stands behind the name that the author's domain is registered under.
        proven = author is not None and registered(author.domain) in {registered(domain) for domain in passed}
        if author is not None and self._senders is not None:
            letter = blake2b(octets[: header_end(octets)], digest_size=8).digest()
            await self._senders.said(account, author, letter, junk=junk, proven=proven)
        if self.reputation.taught(key_of(author if proven else None, peer), junk):
            await self.reputation.write()

    def take_over(self, config: Config) -> None:
        self._config = config

    def desks(self) -> Sequence[object]:
        """``spam reputation``."""
        return (ReputationDesk(self.reputation),)

    def checks(self) -> Sequence[Check]:
        return self._on, self._lists, self._outside  # scanners may come with a reload

    async def _on(self) -> Finding:
        """Off is no fault, but whoever looks should see it."""
        if self._config.local:
            return Finding("checks", "off in local mode, where nothing can be asked")
        if self._config.role == "store":
            return Finding("checks", "made by the edge")
        if self._config.checks.enabled:
            unknown = [
                f'"{key}"' + (f' (perhaps "{like}")' if like else "")
                for key, like in unknown_results([*self._config.checks.weights, *self._config.checks.actions])
            ]
            if unknown:
                words = f"[checks] weights or actions name what no check finds: {', '.join(unknown)}"
                return Finding("checks", words, "write them as docs/checks.md has them; until then they do nothing")
            return Finding("checks", "strangers' mail is checked before it is taken")
        return Finding(
            "checks", "off: nobody asks who strangers are; [checks] enabled = true once the name servers are good"
        )

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
