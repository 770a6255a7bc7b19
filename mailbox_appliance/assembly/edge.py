"""The edge: the public half of a pair, joined. It checks, refuses, keeps what must wait; nobody lives in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mailbox_appliance.admin.pairing import PairDesk
from mailbox_appliance.admin.parts import Door
from mailbox_appliance.admin.result import Refused
from mailbox_appliance.admin.status import Check, Finding
from mailbox_appliance.admin.words import size_words, span_words
from mailbox_appliance.assembly.changing import QueueDesk
from mailbox_appliance.assembly.counts import HandedOver
from mailbox_appliance.assembly.link import LINK_TIMES, Counting, link_finding, link_folder, link_relay, spawn
from mailbox_appliance.assembly.part import Part
from mailbox_appliance.assembly.reports import wanted
from mailbox_appliance.config.model import LINK_PORT, Config
from mailbox_appliance.delivery.space import Space
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.journal.events.link import PairCodeMade
from mailbox_appliance.journal.journal import Journal
from mailbox_appliance.link.account import EDGE
from mailbox_appliance.link.carriage import Carry, HandOver
from mailbox_appliance.link.directory import EdgeDirectory
from mailbox_appliance.link.doors import DISK_FULL, OnceDoor, QueueDoor
from mailbox_appliance.link.edge import EdgeLink
from mailbox_appliance.link.pairing import CODE_SECONDS
from mailbox_appliance.link.splice import Splices
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress, Origin, peer_address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.dns import Resolver
from mailbox_appliance.ports.rounds import Commit, Rounds
from mailbox_appliance.queue.schedule import DAY
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.queue.taken import CameOver
from mailbox_appliance.relay.carry import MailRelay
from mailbox_appliance.relay.settings import Host, RelaySettings, Security
from mailbox_appliance.smtp.limits import is_in
from mailbox_appliance.smtp.listener import SmtpStation
from mailbox_appliance.wire.pairing import Code
from mailbox_appliance.workers import ThreadedWorkers

PATIENCE = 14 * DAY  # how long mail waits for a store that is away
SPLICED = ("submission", "submissions", "imap", "imaps", "https", "http")


class _TellingSpool:
    """The queue, which tells the hand-over of what is new."""

    def __init__(self, spool: QueueSpool, hand_over: HandOver) -> None:
        self._spool = spool
        self._hand_over = hand_over

    def prepare(self, trace: str, origin: Origin, account: str, envelope: Envelope, content: Content) -> Commit:
        """ports.queue.Spool."""
        return self._spool.prepare(trace, origin, account, envelope, content)

    def entered(self, trace: str) -> None:
        """ports.queue.Spool."""
        self._hand_over.accepted(trace)
        self._spool.entered(trace)


class EdgePart(Part):
    """``smtp`` and ``queue_desk`` are set once they stand."""

    name = "link"
    smtp: SmtpStation | None = None
    queue_desk: QueueDesk | None = None
    counts: HandedOver | None = None  # for the store's reports to others

    def __init__(
        self, config: Config, reactor: Any, workers: ThreadedWorkers, journal: Journal, names: Resolver
    ) -> None:
        self._names = names
        self._door_relay: MailRelay | None = None
        self._config = config
        self._reactor = reactor
        self._workers = workers
        self._journal = journal
        self.link = EdgeLink(
            link_folder(config), config.hostname, reactor, workers, journal, self._up_door, self._changed
        )
        self.directory = EdgeDirectory(lambda: self.link.roster, self.link, reactor)
        self.hand_over = HandOver(self._ways)
        self._relay: MailRelay | None = None
        self._taken: CameOver | None = None
        self.splices: Splices | None = None

    @staticmethod
    def spool_settings(folder: str) -> SpoolSettings:
        """Mail for the store waits longer than mail for the world."""
        return SpoolSettings(folder, patience={one: PATIENCE for one in Origin if one is not Origin.PAIRED})

    # ------------------------------------------------------------ joining

    def door(self, spool: QueueSpool, rounds: Rounds, space: Space) -> OnceDoor:
        """Where everything is accepted here."""

        async def room(recipient: Recipient, octets: int) -> Reply | None:
            if not await space.has_room(octets):
                return DISK_FULL
            return await self.directory.room(recipient, octets)

        self._taken = CameOver(spool, self._reactor)
        counting = Counting(spool, self._reactor, self._journal)
        self.link.own_status = lambda: counting.status(self._config.state)
        queue_door = QueueDoor(
            _TellingSpool(spool, self.hand_over), rounds, room, self._reactor, self._journal, self._standing
        )
        return OnceDoor(queue_door, self._taken, rounds, self._journal)

    def _standing(self, recipient: Address, author: Address) -> Standing:
        """What people say of a sender counts as far as the owner lets it (``[checks]``)."""
        if "sender" in self._config.checks.switched_off:
            return Standing.NONE
        return self.directory.standing(recipient, author)

    async def standing(self, recipient: Address, sender: Address) -> Standing:
        """ports.checks.SenderLists."""
        return self._standing(recipient, sender)

    def is_local(self, address: Address) -> bool:
        """Is it for the store? Without a list nobody knows, and everything waits."""
        domains = self.directory.domains()
        return not domains or not address.domain or address.domain in domains

    def make_splices(
        self, guard: RememberingGuard, own_token: Callable[[str], bytes | None], local_site: Callable[[], Any]
    ) -> None:
        """The people's ports lead on to the store."""
        self.splices = Splices(
            lambda: self.link.splices,
            lambda: self.link.is_up,
            self._reactor,
            self._journal,
            guard,
            self._may_enter,
            lambda: self._config.limits.connections_per_address,
            own_token,
            local_site,
        )

    def _may_enter(self, address: IPAddress, service: str) -> str:
        """``submission_from`` keeps 587 and 465 for whom the owner says, and for where our store is."""
        networks = self._config.listen.submission_from
        if service not in ("submission", "submissions") or not networks or is_in(address, networks):
            return ""
        # Its address may change with the day, and its people may come by the same one (NAT): no network can name it.
        if str(address) != self._store_address():
            return "neither in submission_from nor our store"
        return ""

    def _store_address(self) -> str:
        return str(peer_address(self.link.peer_address)) if self.link.is_up else ""

    def factory(self, protocol: str) -> Any:
        """For the ports that are the link's or lead on; None for the others."""
        if protocol == "link":
            return self.link.factory()
        if protocol in SPLICED and self.splices is not None:
            return self.splices.factory(protocol)
        return None

    def _up_door(self) -> Any:
        assert self.smtp is not None
        return self.smtp.factory("link").buildProtocol(None)

    def _ways(self) -> tuple[Any, ...]:
        """Straight to the store's port 587, where it has told us one; else, and when that fails, over the link."""
        if self.link.pairing is None or not self.directory.domains():
            return ()
        straight = self._straight()
        return (*straight, *self._over_the_link(self.link.pairing.name)) if self.link.is_up else straight

    def _straight(self) -> tuple[Carry, ...]:
        door = self.link.door
        if door is None:
            return ()
        if self._door_relay is None:
            host = Host(
                door.host, door.port, Security.STARTTLS, str(EDGE), link_folder(self._config).door_path, door.pins
            )
            settings = RelaySettings(self._config.hostname, smarthost=host, timeouts=LINK_TIMES)
            self._door_relay = MailRelay(self._reactor, self._workers, self._names, self._journal, settings)
        return (self._door_relay.carry,)

    def _over_the_link(self, name: str) -> tuple[Carry, ...]:
        if self._relay is None:
            self._relay = link_relay(
                self._config,
                self._reactor,
                self._workers,
                self._journal,
                name,
                self.link.connect_down,
                lambda: self.link.peer_address,
            )
        return (self._relay.carry,)

    def _changed(self, what: str) -> None:
        if what == "up" and self.queue_desk is not None:
            spawn(self._journal, self._send_all())
            if self.counts is not None:
                spawn(self._journal, self.counts.hand_over())
        elif what == "down" and self._relay is not None:
            relay, self._relay = self._relay, None
            relay.stop()
        elif what == "door" and self._door_relay is not None:
            relay, self._door_relay = self._door_relay, None
            relay.stop()

    async def _send_all(self) -> None:
        """The store is here: everything that waits for it goes now."""
        assert self.queue_desk is not None
        for relay in (self._relay, self._door_relay):
            if relay is not None:
                relay.forget()
        for domain in sorted(self.directory.domains()):
            await self.queue_desk.flush(domain)

    # ------------------------------------------------------------ the part's life

    async def prepare(self) -> None:
        """The list is read before the queue runs: it says what is for the store, and not for the world."""
        await self.link.start()

    async def stop(self) -> None:
        """Hang up."""
        if self.splices is not None:
            self.splices.close()
        for relay in (self._relay, self._door_relay):
            if relay is not None:
                relay.stop()
        await self.link.stop()
        if self.counts is not None:
            await self.counts.tally.stop()

    async def each_day(self) -> None:
        """What came over long ago is forgotten; what was counted goes to the store."""
        if self._taken is not None:
            await self._taken.forget_old()
        if self.counts is not None:
            await self.counts.hand_over()

    def take_over(self, config: Config) -> None:
        """``reload``."""
        self._config = config
        if self.counts is not None:
            self.counts.tally.wanted = wanted(config)

    def desks(self) -> Sequence[object]:
        """``pair``."""
        return (PairDesk(self.pair),)

    async def pair(self, code: str) -> tuple[str, ...]:
        """Make a code for the store. Raises Refused."""
        if code:
            raise Refused("this is the edge: `mailappliance pair` without a code prints one to say at the store")
        endpoints = self._config.listen.link
        if not endpoints:
            raise Refused("listen.link is empty: there is no port for a store to come to")
        secret = self.link.code.make()
        self._journal.tell(PairCodeMade(seconds=CODE_SECONDS))
        text = Code(self._config.hostname, endpoints[0].port, secret).text(LINK_PORT)
        port = endpoints[0].port
        return (
            "say this on the store within a quarter of an hour; it is good once:",
            "",
            f"    mailappliance pair {text}",
            "",
            f"the store must reach this machine at {self._config.hostname} port {port}",
        )

    # ------------------------------------------------------------ status

    def checks(self) -> Sequence[Check]:
        """One line."""
        return (self._check,)

    async def _check(self) -> Finding:
        link, now = self.link, self._reactor.seconds()
        status = link.own_status()
        facts = [f"list of {len(link.roster)} row(s), {span_words(now - link.list_since)} old"]
        if status is not None:
            facts.append(f"{status.queued} recipient(s) in the queue")
        if link.other_status is not None:
            facts.append(f"{link.other_status.queued} waiting there, {size_words(link.other_status.free)} free")
        return link_finding(link.pairing, "edge", up=link.is_up, since=link.since, now=now, facts=tuple(facts))

    def mail_in(self, doors: Callable[[], Sequence[Door]]) -> Check:
        """In the place of the line that counts domains and accounts."""

        async def check() -> Finding:
            if not any(door.protocol == "smtp" for door in doors()):
                return Finding(
                    "mail in", "no port for mail from other servers is open", "set listen.smtp in the config"
                )
            domains = self.directory.domains()
            if not domains:
                remedy = "mailappliance pair, or see what `link` says below"
                return Finding("mail in", "no list of recipients from the store yet: everybody is refused", remedy)
            return Finding("mail in", f"for {', '.join(sorted(domains)[:5])} of the store, {len(doors())} open doors")

        return check
