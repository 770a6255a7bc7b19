"""The way of a stranger's message through the checks (fills ports/checks.Checks): its stages side by side, a verdict.

::

    connection     name of the address, HELO, DNS lists
    sender         SPF of HELO and of MAIL FROM
    content        DKIM and ARC; then DMARC with all that was proven
    scanners       programs outside, if the owner has named any
    inside         files and links; the domains among them in lists; who pretends to be one of us
    verdict        checks/verdict.py; Authentication-Results go on top of the message

No stage waits for the net longer than the message's budget, and no look-up that failed counts as a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from sqlite3 import Error as SqliteError
from typing import TypeVar

from mailbox_appliance.checks import connection, content
from mailbox_appliance.checks.attachments import check_attachments
from mailbox_appliance.checks.author import author_of
from mailbox_appliance.checks.bodies import digests
from mailbox_appliance.checks.brands import is_firm
from mailbox_appliance.checks.domains import check_domains, names_to_ask, registered
from mailbox_appliance.checks.faults import ListFaults
from mailbox_appliance.checks.findings import Findings
from mailbox_appliance.checks.impostor import check_impostor, persons_of, reply_domain, subject_of
from mailbox_appliance.checks.inside import Inside, look_inside
from mailbox_appliance.checks.links import Reader, check_links
from mailbox_appliance.checks.lookups import Inquiry, together
from mailbox_appliance.checks.lures import check_lures, lures
from mailbox_appliance.checks.readable import check_text, read_texts
from mailbox_appliance.checks.reputation import Reputation, evidence_of, key_of
from mailbox_appliance.checks.settings import ChecksSettings
from mailbox_appliance.checks.verdict import WEIGHTS, decide, turning_points
from mailbox_appliance.database import DatabaseTrouble
from mailbox_appliance.journal.events.checks import Judged
from mailbox_appliance.mail.address import Address, show_reverse_path
from mailbox_appliance.mail.client import Client
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.verdict import Action, Evidence, Verdict
from mailbox_appliance.mailauth import canonical, dmarc, results, spf
from mailbox_appliance.mailauth.dmarc import DmarcResult
from mailbox_appliance.mailauth.lookups import Answers, settle
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.reports import DmarcTally
from mailbox_appliance.ports.scanners import Scanned, Scanners
from mailbox_appliance.ports.users import Directory
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.slices import Slices

T = TypeVar("T")

_WITHIN = ("attachment", "link", "lure", "text")  # checks of what a message carries inside
FAULT = Reply(451, "4.3.0", "The message could not be checked now, try again later")


class StrangerChecks:
    """Fills ports/checks.Checks. One for all messages; each message keeps its own state."""

    def __init__(
        self,
        settings: ChecksSettings,
        clock: Clock,
        workers: Workers,
        journal: FullJournal,
        resolver: Resolver,
        directory: Directory,
        faults: ListFaults | None = None,
        scanners: Scanners | None = None,
        reputation: Reputation | None = None,
        tally: DmarcTally | None = None,
    ) -> None:
        """``tally`` counts for our reports to others."""
        self.tally = tally
        self._settings = settings
        self._clock = clock
        self._workers = workers
        self._journal = journal
        self._resolver = resolver
        self._directory = directory
        self.scanners = scanners
        self.reputation = reputation
        self.findings = Findings()
        self._loaded = False
        self._persons: tuple[tuple[Address, ...], tuple[str, ...], dict[str, str]] | None = None
        self.faults = faults if faults is not None else ListFaults(clock, journal)

    async def examine(self, parcel: Parcel) -> Verdict:
        """ports/checks.Checks. What breaks in here defers the message: nothing passes unseen."""
        try:
            return await self._judged(parcel)
        except (Busy, OSError) as error:
            self._journal.broken("checks", error, parcel.trace)
            return Verdict(Action.DEFER, "the message could not be read for checking", FAULT)
        except Exception as error:  # noqa: BLE001 - one message's trouble must not be the station's
            self._journal.broken("checks", error, parcel.trace)
            return Verdict(Action.DEFER, "a check broke down", FAULT)

    async def _judged(self, parcel: Parcel) -> Verdict:
        began = self._clock.seconds()
        if not self._loaded:
            await self._workers.run("disk", _load)
            self._loaded = True
        inquiry = Inquiry(self._resolver, self._clock, self._settings.look_up_seconds)
        verdict, author = await Examination(self, parcel, inquiry).run()
        inquiry.tell(self._journal, parcel.trace)
        self._journal.tell(
            Judged(
                trace=parcel.trace,
                peer=str(parcel.client.address) if parcel.client else "",
                sender=show_reverse_path(parcel.envelope.reverse_path),
                author=author,
                action=verdict.action.value,
                score=verdict.score,
                reason=verdict.reason[:500],
                evidence=tuple(one.shown for one in verdict.evidence),
                otherwise=turning_points(verdict, self._settings),
                seconds=round(self._clock.seconds() - began, 3),
            )
        )
        return verdict

    def persons(self, accounts: tuple[Address, ...], names: tuple[str, ...]) -> dict[str, str]:
        """``impostor.persons_of``, worked out anew when somebody has come or gone."""
        if self._persons is None or self._persons[:2] != (accounts, names):
            self._persons = accounts, names, persons_of(accounts, names)
        return self._persons[2]

    @property
    def parts(self) -> tuple[ChecksSettings, Clock, Workers, Directory]:
        """What an examination needs."""
        return self._settings, self._clock, self._workers, self._directory


def _load() -> None:
    """What is imported and read when the first stranger writes: together a tenth of a second."""
    spf.load()
    canonical.load()
    lures()


class Examination:
    """One message."""

    def __init__(self, station: StrangerChecks, parcel: Parcel, inquiry: Inquiry) -> None:
        self._station = station
        self._settings, self._clock, self._workers, self._directory = station.parts
        self._parcel = parcel
        self._inquiry = inquiry
        self._slices = Slices(self._clock)
        self._iprev: tuple[str, str] | None = None

    async def _settle(self, job: Callable[[Answers], T], *key: Hashable) -> T:
        """``key`` is all that ``job`` looks at, with its name; without one the job is done for each message."""
        inquiry = self._inquiry
        if key:
            found = await self._station.findings.settle(key, job, inquiry.answers(), inquiry.ask)
        else:
            found = await settle(job, inquiry.answers(), inquiry.ask)
        await self._slices.breathe()  # with all answers at hand nothing else would let others in between
        return found

    def _on(self, check: str) -> bool:
        return check not in self._settings.switched_off

    async def run(self) -> tuple[Verdict, str]:
        """The verdict, and the author as the journal shows it."""
        client = self._parcel.client
        assert client is not None  # a stranger's message has a peer
        papers = content.read_papers(self._parcel.content.header, self._clock.seconds(), self._settings)
        author = author_of(papers.block)
        evidence, (helo, sender), proofs, inside, scanned = await together(
            self._connection(client),
            self._sender(client),
            self._proofs(papers),
            self._inside(papers, author),
            self._scanned(),
        )
        evidence += content.spf_evidence(helo, sender, client)
        if self._on("dkim"):
            evidence += content.dkim_evidence(proofs)
        if proofs.arc.result != "none":
            evidence.append(Evidence("arc", proofs.arc.result, reason=proofs.arc.reason))
        evidence += [*inside, *scanned.evidence]
        found: DmarcResult | None = None
        if author is None:
            evidence.append(Evidence("author", "unclear", reason="From does not name one author plainly"))
        else:
            found = await self._author(author, sender, proofs)
            believed = content.whom_we_believe(client, sender, proofs, self._settings)
            if self._on("own"):
                ours = self._directory.domains()
                evidence += content.own_evidence(author, ours, found, proofs, believed)
            if self._on("dmarc"):
                evidence += content.dmarc_evidence(found, believed, content.list_of(papers, sender, proofs))
        proven = found is not None and (found.result == "pass" or bool(found.aligned or found.kin))
        verdict = decide(evidence, self._settings)
        known = await self._reputation(author if proven else None, client, verdict)
        if known:
            verdict = decide([*evidence, *known], self._settings)
        value = results.field_value(
            self._settings.authserv_id,
            spf=[one for one in (sender, helo) if one is not None and (one is sender or one.result != "none")],
            dkim=proofs.dkim,
            dmarc=found,
            arc=proofs.arc,
            iprev=self._iprev,
        )
        verdict = replace(
            verdict,
            fields=results.field(value) + scanned.fields,
            is_final=verdict.action is Action.DEFER or (verdict.action is Action.REJECT and not verdict.rests),
            author=author,
            is_proven=proven,
        )
        if self._station.tally is not None and found is not None and found.policy_domain:
            if verdict.action is not Action.DEFER:  # it comes again
                reverse_path = self._parcel.envelope.reverse_path
                self._station.tally.count(content.seen_by_dmarc(client, reverse_path, found, sender, proofs, verdict))
        return verdict, str(author) if author else ""

    async def _author(self, author: Address, sender: spf.SpfResult | None, proofs: content.Proofs) -> DmarcResult:
        domain, (by_spf, by_dkim) = author.domain, content.proven_domains(sender, proofs)
        return await self._settle(
            lambda answers: dmarc.evaluate(domain, by_spf, by_dkim, answers), "dmarc", domain, by_spf, by_dkim
        )

    async def _reputation(self, author: Address | None, client: Client, verdict: Verdict) -> list[Evidence]:
        """What is known of the sender; and this message is remembered, by what the other checks made of it."""
        memory = self._station.reputation
        if memory is None or not self._on("reputation"):
            return []
        key = key_of(author, client.address)
        try:
            known = evidence_of(key, await memory.standing(key))
            if memory.judged(key, verdict.action, verdict.score):
                await memory.write()
        except (DatabaseTrouble, SqliteError, Busy, OSError) as error:
            return [Evidence("reputation", "temperror", reason=str(error)[:200])]
        return known

    async def _connection(self, client: Client) -> list[Evidence]:
        reverse, helo, listed = await together(self._reverse(client), self._helo(client), self._lists(client))
        return [*reverse, *helo, *listed]

    async def _reverse(self, client: Client) -> list[Evidence]:
        if not self._on("fcrdns"):
            return []
        address = client.address
        found = await self._settle(lambda answers: connection.check_reverse(address, answers), "fcrdns", address)
        words = {"pass": "pass", "fail": "fail", "none": "permerror"}
        self._iprev = (words.get(found.result, "temperror"), str(client.address))
        return [found]

    async def _helo(self, client: Client) -> list[Evidence]:
        if not self._on("helo"):
            return []
        address, helo, ours = client.address, client.helo, self._directory.domains()
        us = self._settings.authserv_id
        found = await self._settle(
            lambda answers: connection.check_helo(address, helo, ours | {us}, answers), "helo", address, helo, ours
        )
        return [found]

    async def _lists(self, client: Client) -> list[Evidence]:
        lists, address = self._settings.lists, client.address
        if not self._on("dnsbl") or not lists:
            return []
        listed, faults = await self._settle(
            lambda answers: connection.check_lists(address, lists, answers), "dnsbl", address
        )
        for fault in faults:
            self._station.faults.note(fault, self._parcel.trace)
        return listed

    async def _sender(self, client: Client) -> tuple[spf.SpfResult | None, spf.SpfResult | None]:
        """SPF of HELO (None when it would be the same as MAIL FROM's) and of MAIL FROM."""
        if not self._on("spf"):
            return None, None
        address, helo, path = client.address, client.helo, self._parcel.envelope.reverse_path
        sender = await self._settle(
            lambda answers: spf.check_mail_from(address, path, helo, answers), "spf", address, path, helo
        )
        if path is None:
            return None, sender
        return await self._settle(lambda a: spf.check_helo(address, helo, a), "helo-spf", address, helo), sender

    async def _proofs(self, papers: content.Papers) -> content.Proofs:
        needed = papers.bodies_needed()
        bodies = await digests(self._parcel.content, needed, self._workers, self._clock)
        return await self._settle(lambda answers: content.prove(papers, bodies, self._settings, answers))

    async def _inside(self, papers: content.Papers, author: Address | None) -> list[Evidence]:
        """Files, links, words, and who pretends to be one of us."""
        inside = Inside()
        if any(map(self._on, _WITHIN)) or (self._on("domain-list") and self._settings.domain_lists):
            inside = await look_inside(self._parcel.content, self._workers, self._clock)
        evidence = await self._read(papers, author, inside)
        if self._on("impostor") and author is not None:
            called = (await self._directory.display_names()).values()
            accounts, names = await self._directory.accounts(), (*called, *self._settings.people)
            persons = self._station.persons(accounts, names)
            ours = self._directory.domains()
            evidence += check_impostor(papers.block, author, ours, persons, registered)
        return evidence + await self._domains(papers, author, inside.hosts)

    async def _read(self, papers: content.Papers, author: Address | None, inside: Inside) -> list[Evidence]:
        """What files, links and words say."""
        slices = Slices(self._clock)
        seen = read_texts(inside.texts)
        await slices.breathe()
        evidence = check_attachments(inside.files, seen.text) if self._on("attachment") else []
        path = self._parcel.envelope.reverse_path
        kin = frozenset(registered(one.domain) for one in (author, path) if one is not None)
        if self._on("link"):
            recipients = tuple(str(one.forward_path).lower() for one in self._parcel.envelope.recipients)
            reader = Reader(recipients, kin, self._directory.domains(), registered)
            evidence += check_links(seen.links, seen.text, reader)
            await slices.breathe()
        if self._on("lure"):
            of_firm = author is not None and is_firm(registered(author.domain))
            figures = {**WEIGHTS, **self._settings.weights}
            evidence += check_lures(f"{subject_of(papers.block)} {seen.text}", figures, of_firm=of_firm)
        if self._on("text"):
            evidence += check_text(seen)
        return evidence

    async def _scanned(self) -> Scanned:
        if not self._on("scanner") or self._station.scanners is None:
            return Scanned()
        return await self._station.scanners.scan(self._parcel)

    async def _domains(self, papers: content.Papers, author: Address | None, hosts: tuple[str, ...]) -> list[Evidence]:
        lists, path = self._settings.domain_lists, self._parcel.envelope.reverse_path
        if not self._on("domain-list") or not lists:
            return []
        senders = (author.domain if author else "", reply_domain(papers.block), path.domain if path else "")
        names = names_to_ask(senders, hosts, self._directory.domains())
        listed, faults = await self._settle(lambda answers: check_domains(names, lists, answers), "domains", names)
        for fault in faults:
            self._station.faults.note(fault, self._parcel.trace)
        return listed
