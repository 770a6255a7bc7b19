"""Delivery and queue joined as the service joins them: real rounds, spool and dispatch; fake store, users and relay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbox_appliance.database import Database
from mailbox_appliance.delivery.acceptance import AcceptanceSettings, Door
from mailbox_appliance.delivery.forwarding import Forwarding
from mailbox_appliance.delivery.memory import MIGRATIONS as MEMORY_TABLES
from mailbox_appliance.delivery.memory import DeliveryMemory
from mailbox_appliance.delivery.redelivery import Redelivery
from mailbox_appliance.delivery.returnpaths import AddressBook, ReturnPaths
from mailbox_appliance.delivery.routing import Routing, RoutingSettings
from mailbox_appliance.delivery.space import Space
from mailbox_appliance.delivery.vacation import Vacation
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Client, Origin, peer_address
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.trace import new_trace_id
from mailbox_appliance.mail.verdict import Verdict
from mailbox_appliance.ports.checks import ArcSealing
from mailbox_appliance.ports.delivery import ACCEPTED, Parcel, Receipt
from mailbox_appliance.ports.lists import Mailings
from mailbox_appliance.queue.bounces import Bounces
from mailbox_appliance.queue.desk import Desk
from mailbox_appliance.queue.dispatch import Dispatch, DispatchSettings
from mailbox_appliance.queue.spool import QueueSpool, SpoolSettings
from mailbox_appliance.rounds.disk import Disk
from mailbox_appliance.rounds.rounds import CommitRounds
from tests.kit.fake_depot import FakeDepot
from tests.kit.fake_directory import FakeDirectory
from tests.kit.fake_relay import FakeRelay
from tests.kit.fake_store import FakeStores
from tests.kit.journal import RememberedJournal
from tests.kit.workers import InlineWorkers

T = TypeVar("T")
HOST = "mail.example.org"
NOW = 1_800_000_000.0


def now(awaited: Awaitable[T]) -> T:
    """The result of what needs no waiting; an exception is raised."""

    async def wait() -> T:
        return await awaited

    results: list[Any] = []
    Deferred.fromCoroutine(wait()).addBoth(results.append)
    if not results:
        raise AssertionError("it waits for something")
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    result: T = results[0]
    return result


def message(subject: str = "Hello", body: bytes = b"Some text.\n", more: str = "") -> Content:
    """A small message with a Message-ID made of its subject."""
    header = (
        f"{more}From: Ann <ann@example.org>\nTo: undisclosed\nSubject: {subject}\n"
        f"Message-ID: <{subject.lower()}@example.org>\n\n"
    ).encode()
    return Content(header, body, header.count(b"\n") + body.count(b"\n"))


class PostOffice:
    """``close`` and a second PostOffice on the same ``root`` are a restart. ``clock`` begins at NOW."""

    def __init__(
        self,
        root: str | Path,
        *,
        clock: Clock | None = None,
        relay: FakeRelay | None = None,
        capture: bool = False,
        settings: DispatchSettings | None = None,
        acceptance: AcceptanceSettings | None = None,
        disk: Disk | None = None,
        start: bool = True,
        sealing: ArcSealing | None = None,
        mailings: Mailings | None = None,
        directory: Any = None,
    ) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        if clock is None:
            clock = Clock()
            clock.advance(NOW)
        self.clock = clock
        self.workers = InlineWorkers()
        self.journal = RememberedJournal()
        self.directory = directory or FakeDirectory(
            {"example.org": "ann@example.org"},
            ["ann@example.org", "bob@example.org", "cleo@example.org"],
            {
                "family@example.org": ["ann@example.org", "bob@example.org"],
                "away@example.org": ["someone@elsewhere.example"],
                "both@example.org": ["ann@example.org", "someone@elsewhere.example"],
            },
        )
        self.depot = FakeDepot(self.root / "mail")
        self.stores = FakeStores(clock)
        self.relay = relay or FakeRelay()
        self.rounds = CommitRounds(self.workers, disk=disk)
        settings = settings or DispatchSettings()
        self.spool = QueueSpool(
            SpoolSettings(str(self.root / "queue"), settings.schedule.give_up),
            self.workers,
            self.rounds,
            clock,
            self.journal,
        )
        self.space = Space(self.workers, clock, str(self.root), reserve=0)
        self.memory = DeliveryMemory(Database(str(self.root / "delivery.db"), MEMORY_TABLES, self.workers))
        self.paths = ReturnPaths(self._keys, self.memory, clock)
        self.addresses = AddressBook(self.directory, self.paths)
        self.sealing = sealing
        self.routing = Routing(self.addresses, self.stores, RoutingSettings(HOST, capture))
        self.door = Door(
            self.routing,
            self.depot,
            self.spool,
            self.rounds,
            self.addresses,
            self.space,
            clock,
            self.journal,
            acceptance,
            Forwarding(self.paths, self.addresses, self.journal, sealing),
            Vacation(self.memory, self.addresses, clock, HOST),
            mailings,
        )
        self.bounces = Bounces(self.door, self.addresses, clock, self.journal, HOST)
        self.door.reports = self.bounces
        self.dispatch = Dispatch(
            self.spool,
            self.relay,
            Redelivery(self.door),
            self.bounces,
            lambda address: address.domain in self.directory.domains(),
            clock,
            self.journal,
            settings,
        )
        self.desk = Desk(self.spool, self.dispatch, clock, self.journal)
        now(self.spool.open())
        if start:
            now(self.dispatch.start())

    def close(self) -> None:
        now(self.dispatch.stop())
        self.spool.close()
        self.memory.database.close()

    async def _keys(self) -> tuple[bytes, ...]:
        return (b"k" * 32,)

    def parcel(
        self,
        to: list[str] | list[Recipient],
        *,
        sender: str | None = "ann@example.org",
        content: Content | None = None,
        origin: Origin = Origin.AUTHENTICATED,
        verdict: Verdict = ACCEPTED,
        each_answered: bool = False,
        **envelope: Any,
    ) -> Parcel:
        recipients = tuple(one if isinstance(one, Recipient) else Recipient(Address.parse(one)) for one in to)
        path = Address.parse(sender) if sender else None
        account = sender if origin is Origin.AUTHENTICATED and sender else ""
        client = Client(peer_address("192.0.2.9"), 40000, "submission", account=account)
        return Parcel(
            new_trace_id(self.clock.seconds()),
            origin,
            Envelope(path, recipients, **envelope),
            content or message(),
            verdict,
            client,
            each_answered=each_answered,
        )

    def accept(self, to: list[str] | list[Recipient], **more: Any) -> tuple[Receipt, ...]:
        """Accept a parcel and return its receipts."""
        return now(self.door.accept(self.parcel(to, **more)))

    def codes(self, to: list[str], **more: Any) -> list[int]:
        return [receipt.reply.code for receipt in self.accept(to, **more)]

    def later(self, seconds: float, *, step: float = 0.0) -> None:
        """Let time pass, in steps so that what one moment starts can end in the next."""
        left = seconds
        while left > 0:
            piece = min(step or seconds, left)
            self.clock.advance(piece)
            left -= piece
        self.clock.advance(0.1)

    def queue_files(self) -> list[str]:
        return sorted(path.name for path in (self.root / "queue" / "content").iterdir())

    def rows(self, table: str = "recipient") -> int:
        work: Callable[[Any], int] = lambda c: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: E731
        return self.spool.database.run_now(work)
