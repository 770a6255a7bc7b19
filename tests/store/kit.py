"""A store in a temporary folder: no threads, a clock that stands still, everything remembered."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.ports.store import NewMessage, Place
from mailbox_appliance.store.account import StoreSettings
from mailbox_appliance.store.depot import MailDepot
from mailbox_appliance.store.mailbox import OpenMailbox
from mailbox_appliance.store.store import AccountStore
from mailbox_appliance.store.stores import MailStores
from tests.kit.journal import RememberedJournal
from tests.kit.rounds import InlineRounds, octets_of
from tests.kit.workers import InlineWorkers

T = TypeVar("T")
ANN = Address("ann", "example.org")


def content(text: str | bytes) -> Content:
    """A message out of text with LF line ends."""
    octets = text.encode() if isinstance(text, str) else text
    head, gap, body = octets.partition(b"\n\n")
    return Content(head + gap, body, octets.count(b"\n"))


def message(
    text: str = "Subject: hello\n\nworld\n", *flags: str, date: float | None = None, zone: int = 0
) -> NewMessage:
    return NewMessage(content(text), frozenset(flags), date, zone)


class Watching:
    """ports.store.Watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def arrived(self, count: int) -> None:
        self.told.append(("arrived", count))

    def expunged(self, uids: Sequence[int], modseq: int) -> None:
        self.told.append(("expunged", list(uids)))

    def flags_changed(self, uids: Sequence[int], modseq: int, by: object) -> None:
        self.told.append(("flags", list(uids), by))

    def keywords_changed(self) -> None:
        self.told.append(("keywords",))

    def vanished(self, text: str) -> None:
        self.told.append(("vanished",))

    def take(self) -> list[tuple[Any, ...]]:
        told, self.told = self.told, []
        return told


def settle(clock: Clock, awaitable: Awaitable[T] | Coroutine[Any, Any, T]) -> T:
    """The result, with the clock pushed on while something waits for its next turn. Raises what it raises."""

    async def wait() -> T:
        return await awaitable

    outcome: list[T | Failure] = []
    Deferred.fromCoroutine(wait()).addBoth(outcome.append)
    for _ in range(10_000):
        if outcome:
            break
        clock.advance(0)
    else:
        raise AssertionError("nothing came of it")
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return outcome[0]


async def collect(batches: AsyncIterator[Sequence[T]]) -> list[T]:
    return [one async for batch in batches for one in batch]


class Shop:
    """The real store with everything it needs. ``folder`` holds mail/; made anew over it by ``reopened``."""

    def __init__(self, folder: str, clock: Clock | None = None, limit: int = 0, **settings: Any) -> None:
        self.folder = folder
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(time.time())
        self.limit = limit
        self.workers = InlineWorkers()
        self.journal = RememberedJournal()
        self.rounds = InlineRounds()
        self.settings = {"prerender": False, **settings}
        self.stores = MailStores(
            StoreSettings(mail=os.path.join(folder, "mail"), host="test", **self.settings),
            self.clock,
            self.workers,
            self.journal,
            self.rounds,
            self._limit_of,
        )
        self.depot = MailDepot(self.stores)
        self.root = os.path.join(folder, "mail", ANN.domain, ANN.local, "Maildir")
        self.index = os.path.join(os.path.dirname(self.root), "index.db")

    async def _limit_of(self, account: Address) -> int:
        return self.limit

    def do(self, awaitable: Awaitable[T]) -> T:
        return settle(self.clock, awaitable)

    def collect(self, batches: AsyncIterator[Sequence[T]]) -> list[T]:
        return settle(self.clock, collect(batches))

    @property
    def store(self) -> AccountStore:
        return self.do(self.stores.of(ANN))

    def open(self, name: str = "INBOX", watcher: Watching | None = None, read_only: bool = False) -> OpenMailbox:
        return self.do(self.store.open(name, watcher or Watching(), read_only=read_only))

    def append(self, text: str = "Subject: hello\n\nworld\n", *flags: str, name: str = "INBOX", **more: Any) -> int:
        return self.do(self.store.append(name, [message(text, *flags, **more)])).uids[0]

    def deliver(self, text: str = "Subject: hello\n\nworld\n", *flags: str, name: str = "INBOX") -> Place:
        """As delivery does it: place, commit, arrived."""
        octets = content(text)
        place = self.do(self.depot.place(ANN, name, octets, frozenset(flags)))
        with open(place.first, "wb") as file:
            file.write(octets_of(octets))
        os.link(place.first, place.final)
        os.unlink(place.first)
        self.depot.arrived(place, octets)
        return place

    def drop_in(self, name: str, text: str = "Subject: foreign\n\nmail\n", place: str = "new", box: str = "") -> None:
        """Another program puts a file into the Maildir."""
        with open(os.path.join(self.root, box, place, name), "w") as file:
            file.write(text)

    def files(self, box: str = "") -> list[str]:
        """Every message file, "cur/…" and "new/…"."""
        return sorted(
            f"{place}/{name}" for place in ("cur", "new") for name in os.listdir(os.path.join(self.root, box, place))
        )

    def reopened(self, **settings: Any) -> Shop:
        """A new process over the same folder; the old one has been killed, so to say."""
        self.stores.stop()
        return Shop(self.folder, self.clock, self.limit, **{**self.settings, **settings})

    def lose_index(self) -> None:
        """Somebody deletes the cache."""
        self.stores.stop()
        for name in os.listdir(os.path.dirname(self.index)):
            if name.startswith("index.db"):
                os.unlink(os.path.join(os.path.dirname(self.index), name))


class StoreCase(SynchronousTestCase):
    """A test with a Shop of its own; nothing may have gone wrong unseen."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "/tmp"))
        self.addCleanup(self._remove)
        self.shop = Shop(self.folder)
        self.addCleanup(self._stop)

    def _remove(self) -> None:
        import shutil

        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self) -> None:
        self.shop.stores.stop()
        self.assertEqual(self.shop.journal.failures, [])

    def reopen(self, **settings: Any) -> Shop:
        self.shop = self.shop.reopened(**settings)
        return self.shop
