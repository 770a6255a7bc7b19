"""The store: the half of a pair where the people and their mail are, joined to its edge."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mailbox_appliance.admin.pairing import PairDesk
from mailbox_appliance.admin.result import Refused, refusing
from mailbox_appliance.admin.status import Check, Finding
from mailbox_appliance.admin.words import size_words
from mailbox_appliance.assembly.changing import QueueDesk, WayOut
from mailbox_appliance.assembly.link import Counting, link_finding, link_folder, link_relay, marked, spawn
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.settings import relay_settings
from mailbox_appliance.checks.impostor import is_named_like_a_person
from mailbox_appliance.checks.senders import Senders
from mailbox_appliance.config.model import LINK_PORT, Config
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.link.account import EdgeMayToo
from mailbox_appliance.link.dial import Dialler
from mailbox_appliance.link.doors import OnceDoor
from mailbox_appliance.link.found import is_in_maildir
from mailbox_appliance.link.roster import Roster, recipient_key
from mailbox_appliance.link.splice import Arrivals
from mailbox_appliance.link.store import StoreLink
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.delivery import Acceptance
from mailbox_appliance.ports.lists import PARTS
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.ports.rounds import Rounds
from mailbox_appliance.ports.store import Depot, StoreError
from mailbox_appliance.ports.users import Directory, Known, LocalMailbox, LogIn, NotOurs, Unknown
from mailbox_appliance.queue.spool import QueueSpool
from mailbox_appliance.queue.taken import CameOver
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.memory import RelayMemory
from mailbox_appliance.smtp.listener import SmtpStation
from mailbox_appliance.users.snapshot import ROLES
from mailbox_appliance.users.station import Users
from mailbox_appliance.wire.link import Door, Entry, plain_text
from mailbox_appliance.wire.pairing import PairingWrong, read_code
from mailbox_appliance.workers import ThreadedWorkers

FULL_EVERY = 300.0  # seconds between looks at all mailboxes: what other programs put there is told by nobody
MOST_SENDERS = 20_000  # lines of people's lists that the edge is told; the store goes by all of them
YES = Reply(250, "2.1.5", "Recipient ok")
NO_SUCH_USER = Reply(550, "5.1.1", "No such user here")
NOT_OURS = Reply(550, "5.7.1", "Relaying denied")


class WayUp(WayOut):
    """The way out through the edge: each message carries the id by which the edge knows it when it comes again."""

    def __init__(self, make: Callable[[Config], MailRelay], memory: RelayMemory, config: Config, clock: Any) -> None:
        super().__init__(make, memory, config)
        self._clock = clock

    async def carry(self, shipment: Shipment) -> tuple[Outcome, ...]:
        """ports.relay.Relay."""
        if not shipment.destination.startswith("smarthost "):
            return await self.current.carry(shipment)  # a route of the owner's own
        return await self.current.carry(marked(shipment, self._clock.seconds()))


class StorePart(Part):
    """``smtp``, ``queue_desk`` and ``services`` are set once they stand."""

    name = "link"
    smtp: SmtpStation | None = None
    queue_desk: QueueDesk | None = None
    acceptance: Acceptance | None = None
    services: Mapping[str, Callable[[], Any]] = {}
    pins: Callable[[], tuple[str, ...]] = tuple  # TLSA data of our keys

    def __init__(
        self,
        config: Config,
        reactor: Any,
        workers: ThreadedWorkers,
        journal: Journal,
        users: Users,
        addresses: Directory,
        depot: Depot,
        senders: Senders,
    ) -> None:
        self._config = config
        self._reactor = reactor
        self._workers = workers
        self._journal = journal
        self._users = users
        self._addresses = addresses
        self._depot = depot
        self._taken: CameOver | None = None
        self._senders = senders
        self._full: set[Address] = set()
        self._counted: set[Address] = set()  # whose mailboxes have grown or shrunk since they were looked at
        self._looked = float("-inf")
        users.directory.watch(self._people_changed)
        arrivals = Arrivals(self._open_services, reactor, journal)
        self.link = StoreLink(
            link_folder(config),
            config.hostname,
            reactor,
            workers,
            journal,
            Dialler(reactor, reactor).dial,
            self._list,
            self._judge,
            self._down_door,
            arrivals.arrived,
            self._changed,
        )
        self.link.own_door = self._own_door

    # ------------------------------------------------------------ joining

    def door(self, inner: Acceptance, spool: QueueSpool, rounds: Rounds) -> OnceDoor:
        """Before the store's own door: what the edge brings comes in once."""
        self.acceptance = inner
        self._taken = CameOver(spool, self._reactor)
        counting = Counting(spool, self._reactor, self._journal)
        self.link.own_status = lambda: counting.status(self._config.state)
        return OnceDoor(
            inner,
            self._taken,
            rounds,
            self._journal,
            self._addresses,
            self._was_delivered,
            self._config.hostname.lower(),
        )

    def log_in(self, people: LogIn) -> LogIn:
        """For 587 and 465: the people, and the edge that brings mail."""
        return EdgeMayToo(people, lambda: self.link.secret if self.link.pairing is not None else "")

    def _own_door(self) -> Door:
        """What the edge is told of our port 587: where ``listen.submission_at`` says that it finds it."""
        at = self._config.listen.submission_at
        keys = tuple(one.rpartition(" ")[2].lower() for one in self.pins() if one.startswith("3 1 1 "))[:4]
        return Door(at.host, at.port, self.link.secret, keys) if at is not None and keys else Door()

    def way_up(self, memory: RelayMemory) -> WayUp:
        """Mail for the world goes by the edge; domains and senders with a host of their own as the owner says."""

        async def connect(factory: Any, seconds: float) -> Any:
            return await self.link.connect_up(factory)

        def make(config: Config) -> MailRelay:
            return link_relay(
                config,
                self._reactor,
                self._workers,
                self._journal,
                self.edge_name or "edge",
                connect,
                lambda: self.link.peer_address,
                memory,
                relay_settings(config),
            )

        return WayUp(make, memory, self._config, self._reactor)

    @property
    def edge_name(self) -> str:
        """Where the MX of our domains lead; "" before the pairing."""
        return self.link.pairing.name if self.link.pairing is not None else ""

    def reports_tls(self) -> bool:
        """Do we tell others of their TLS?"""
        return self._config.relay.tls_reports

    def mail_host(self) -> str:
        """For the records in the DNS; "" where the store itself takes and sends the world's mail."""
        return self.edge_name if self._config.sends_by_edge else ""

    def mail_hosts(self) -> tuple[str, ...]:
        """For the MTA-STS policy."""
        return (self.edge_name or self._config.hostname,)

    def _open_services(self) -> Mapping[str, Callable[[], Any]]:
        listening = self._config.listen.endpoints()
        return {name: make for name, make in self.services.items() if listening.get(name)}

    def _down_door(self) -> Any:
        assert self.smtp is not None
        return self.smtp.factory("link").buildProtocol(None)

    def _changed(self, what: str) -> None:
        if what == "up" and self.queue_desk is not None:
            spawn(self._journal, self._send_all())

    async def _send_all(self) -> None:
        assert self.queue_desk is not None
        await self.queue_desk.retry(())

    # ------------------------------------------------------------ what the edge must know

    async def _list(self) -> Roster:
        """Everybody who gets mail here, as of now."""
        now = self._reactor.seconds()
        snapshot = self._users.directory.snapshot
        await self._look_who_is_full(now)
        roster = Roster(Entry("domain", name) for name in snapshot.domains)
        for domain, record in snapshot.domains.items():
            if snapshot.owner(domain) is not None:
                for role in ROLES:
                    roster.add(Entry("address", f"{role}@{domain}", "d"))
            if record.catch_all is not None:
                roster.add(Entry("catchall", domain))
        for address in snapshot.aliases:
            roster.add(Entry("address", recipient_key(address), "d", self._only_account(address)))
        for address in snapshot.accounts:
            roster.add(Entry("address", recipient_key(address), "df" if address in self._full else "d"))
        for address in snapshot.lists:
            # Its own parts (-request, -owner …) too, and details, in which bounces carry whom they are about.
            stem, domain = address.local, address.domain
            for local in (stem, *(f"{stem}-{part}" for part in PARTS)):
                roster.add(Entry("address", recipient_key(Address(local, domain)), "d"))
        for address, account in snapshot.accounts.items():
            named = account.name or (address.local if is_named_like_a_person(address) else "")
            if plain_text(named):
                roster.add(Entry("person", str(address), text=plain_text(named)))
        for address, throwaway in snapshot.throwaways.items():
            if throwaway.is_over(now):
                text = plain_text(throwaway.text or "This address was given up")
                roster.add(Entry("gone", recipient_key(address), text=text))
            else:
                roster.add(Entry("address", recipient_key(address), text=self._only_account(address)))
        for line in (await self._senders.listing(None))[:MOST_SENDERS]:
            roster.add(Entry("sender", f"{line.account} {line.pattern}", "a" if line.allowed else "b"))
        return roster

    def _only_account(self, address: Address) -> str:
        """Whose lists of senders count for it: of what leads to several, or outside, nobody's alone."""
        resolution = self._users.directory.resolve_now(address)
        if not isinstance(resolution, Known) or len(resolution.destinations) != 1:
            return ""
        (one,) = resolution.destinations
        return str(one.account) if isinstance(one, LocalMailbox) else ""

    def counted(self, account: Address) -> None:
        """A mailbox has grown or shrunk: the next look at the list, within seconds, asks whether it is full."""
        self._counted.add(account)

    def _people_changed(self) -> None:
        """Somebody new, or another quota."""
        self._looked = float("-inf")

    async def _look_who_is_full(self, now: float) -> None:
        """Those whose use has changed; everybody after a change of the people, and now and then."""
        everybody = tuple(self._users.directory.snapshot.accounts)
        counted, self._counted = self._counted, set()
        if now - self._looked >= FULL_EVERY:
            self._looked = now
            counted = set(everybody)
            self._full &= counted
        for account in counted.intersection(everybody):
            try:
                if await self._depot.room(account, 1):
                    self._full.discard(account)
                else:
                    self._full.add(account)
            except StoreError:
                continue  # the store says so itself when mail comes

    async def _judge(self, address: Address, octets: int) -> Reply:
        """Of an address that is on no list."""
        resolution = await self._addresses.resolve(address)
        if isinstance(resolution, NotOurs):
            return NOT_OURS
        if isinstance(resolution, Unknown):
            return Reply(550, "5.1.1", resolution.text) if resolution.text else NO_SUCH_USER
        assert self.acceptance is not None
        return await self.acceptance.room_for(Recipient(address), octets) or YES

    async def _was_delivered(self, id: str, path: Address, since: float) -> bool:
        """Before a crash: into each mailbox that this address leads to?"""
        resolution = await self._addresses.resolve(path)
        if not isinstance(resolution, Known):
            return False
        accounts = [one.account for one in resolution.destinations if isinstance(one, LocalMailbox)]
        if not accounts or len(accounts) < len(resolution.destinations):
            return False
        for account in accounts:
            maildir = os.path.join(self._config.state, "mail", account.domain, account.local, "Maildir")
            if not await self._workers.run("disk", is_in_maildir, maildir, id, since):
                return False
        return True

    # ------------------------------------------------------------ the part's life

    async def start(self) -> None:
        """Read key and pairing, and dial."""
        await self.link.start()

    async def stop(self) -> None:
        """Hang up."""
        await self.link.stop()

    async def each_day(self) -> None:
        """What came over long ago is forgotten."""
        if self._taken is not None:
            await self._taken.forget_old()

    def take_over(self, config: Config) -> None:
        """``reload``."""
        self._config = config

    def desks(self) -> Sequence[object]:
        """``pair``."""
        return (PairDesk(self.pair),)

    async def pair(self, code: str) -> tuple[str, ...]:
        """Say the edge's code. Raises Refused."""
        if not code:
            raise Refused("this is the store: say `mailappliance pair` on the edge, and the code it prints here")
        with refusing(PairingWrong):
            pairing = await self.link.pair(read_code(code, LINK_PORT))
        return (
            f"paired with the edge {pairing.name}",
            "from now on mail comes and goes through it; `mailappliance status` tells how the link is",
            f"the MX record of your domains leads to {pairing.name}: mailappliance dns records DOMAIN",
        )

    # ------------------------------------------------------------ status

    def checks(self) -> Sequence[Check]:
        """One line."""
        return (self._check,)

    async def _check(self) -> Finding:
        link = self.link
        facts = [f"the edge holds {link.list_size} row(s) of the list"] if link.is_up else []
        if link.other_status is not None:
            facts.append(f"{link.other_status.queued} recipient(s) wait there")
            facts.append(f"{size_words(link.other_status.free)} free")
        return link_finding(
            link.pairing,
            "store",
            up=link.is_up,
            since=link.since,
            now=self._reactor.seconds(),
            facts=tuple(facts),
            trouble=link.trouble,
        )
