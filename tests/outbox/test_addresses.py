"""Throw-away addresses as folders: made, read, revoked from a mail client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.outbox.stores import OwnFolders, OwnStore
from mailbox_appliance.ports.queue import OwnMessages, OwnQueue
from mailbox_appliance.ports.store import Column, FlagAction, NewMessage, Problem, StoreError
from mailbox_appliance.ports.users import Known, Unknown
from tests.kit.fake_store import FakeStores
from tests.kit.journal import RememberedJournal
from tests.kit.post_office import message, now
from tests.kit.workers import InlineWorkers
from tests.store.kit import Watching
from tests.users.household import Household

ANN, BOB = Address.parse("ann@example.org"), Address.parse("bob@example.org")


class NothingQueued:
    """ports.queue.OwnQueue with nothing in it."""

    async def of(self, account: Address) -> OwnMessages:
        return OwnMessages(1, 1, ())

    async def cancel(self, account: Address, uids: Sequence[int]) -> frozenset[int]:
        return frozenset()

    async def send_now(self, account: Address, uids: Sequence[int]) -> None:
        pass

    def watch(self, account: Address, listener: Any) -> None:
        pass

    def unwatch(self, account: Address, listener: Any) -> None:
        pass


async def collect(batches: AsyncIterator[Sequence[Any]]) -> list[Any]:
    return [one async for batch in batches for one in batch]


class AddressFolderTests(SynchronousTestCase):
    """The folder Addresses and what is below it."""

    def setUp(self) -> None:
        self.house = Household().fill(["example.org"], ["ann@example.org", "bob@example.org"])
        self.desk = self.house.users.throwaways
        self.behind = FakeStores(Clock())
        queue: OwnQueue = NothingQueued()
        self.stores = OwnFolders(self.behind, queue, self.desk, self.house.clock, InlineWorkers(), RememberedJournal())

    def store(self, account: Address = ANN) -> OwnStore:
        return now(self.stores.of(account))

    def names(self, account: Address = ANN) -> list[str]:
        return [info.name for info in now(self.store(account).mailboxes()) if info.name.startswith("Addresses")]

    def fails(self, problem: Problem, awaitable: Any) -> None:
        error = self.assertRaises(StoreError, now, awaitable)
        self.assertIs(error.problem, problem, str(error))

    def address(self) -> Address:
        (one,) = self.desk.of(ANN)
        return one.address

    def test_made_and_told(self) -> None:
        """CREATE makes an address; the one letter in the folder tells it; others do not see it."""
        now(self.store().create("Addresses.Müller & Co"))
        address = self.address()
        self.assertRegex(str(address), r"^muller-co-[0-9a-z]{6}@example\.org$")
        self.assertEqual(self.names(), ["Addresses", "Addresses.Müller & Co"])
        self.assertEqual(self.names(BOB), ["Addresses"])
        box = now(self.store().open("Addresses.Müller & Co", Watching()))
        self.assertEqual((list(box.uids), box.uidnext), ([1], 2))
        ((_, (envelope,)),) = now(collect(box.rows([1], [Column.ENVELOPE])))
        self.assertIn(str(address).encode(), envelope)
        (file,) = now(collect(box.files([1])))
        self.assertIn(str(address).encode(), now(file.read(0, 9999)))
        status = now(self.store().status("Addresses.Müller & Co"))
        self.assertEqual((status.messages, status.unseen, status.uidvalidity), (1, 0, box.uidvalidity))

    def test_deleted(self) -> None:
        """DELETE revokes; whoever looks at the folder is told that it is gone; a new one has another UIDVALIDITY."""
        now(self.store().create("Addresses.shop"))
        address = self.address()
        watcher = Watching()
        before = now(self.store().open("Addresses.shop", watcher)).uidvalidity
        now(self.store().delete("Addresses.shop"))
        self.assertEqual(watcher.take(), [("vanished",)])
        self.assertEqual(self.names(), ["Addresses"])
        self.assertIsInstance(now(self.house.users.directory.resolve(address)), Unknown)
        self.fails(Problem.NO_SUCH_MAILBOX, self.store().delete("Addresses.shop"))
        now(self.store().create("Addresses.shop"))
        self.assertGreater(now(self.store().open("Addresses.shop", Watching())).uidvalidity, before)
        self.assertNotEqual(self.address(), address)

    def test_moved_into_the_trash(self) -> None:
        """As mail clients delete a folder: the address ends, and the client finds a folder where it put one."""
        now(self.store().create("Addresses.shop"))
        address = self.address()
        self.fails(Problem.NOT_ALLOWED, self.store().rename("Addresses.shop", "Addresses.other"))
        self.fails(Problem.NOT_ALLOWED, self.store().rename("Addresses.shop", "Somewhere"))
        self.assertIsInstance(now(self.house.users.directory.resolve(address)), Known)
        now(self.store().rename("Addresses.shop", "Trash.shop"))
        self.assertIsInstance(now(self.house.users.directory.resolve(address)), Unknown)
        self.assertIn("Trash.shop", [info.name for info in now(self.store().mailboxes())])

    def test_names(self) -> None:
        """A label of the command line with dots is one folder; twice the same, levels and unreadable names are
        refused."""
        now(self.desk.new("ann@example.org", "shop.example"))
        self.assertEqual(self.names(), ["Addresses", "Addresses.shop_example"])
        self.fails(Problem.MAILBOX_EXISTS, self.store().create("Addresses.shop_example"))
        self.fails(Problem.MAILBOX_EXISTS, self.store().create("Addresses.Shop-Example"))
        self.fails(Problem.MAILBOX_EXISTS, self.store().create("Addresses"))
        for name in ("Addresses.a.b", "Addresses.", "Addresses.***", "Addresses.x  y", "Addresses." + "x" * 80):
            self.fails(Problem.NOT_ALLOWED, self.store().create(name))
        self.assertEqual(len(self.desk.of(ANN)), 1)
        now(self.store().delete("Addresses.shop_example"))

    def test_nothing_else_can_be_done(self) -> None:
        """The letter stays, nothing is put in, and the folder Addresses explains itself."""
        store = self.store()
        box = now(store.open("Addresses", Watching()))
        (file,) = now(collect(box.files(box.uids)))
        self.assertIn(b"Make a folder below this one", now(file.read(0, 9999)))
        now(box.mark([1], FlagAction.ADD, ["\\Deleted"]))
        self.fails(Problem.NOT_ALLOWED, box.expunge())
        self.fails(Problem.NOT_ALLOWED, box.copy([1], "INBOX"))
        self.fails(Problem.NOT_ALLOWED, store.append("Addresses", [NewMessage(message())]))
        self.fails(Problem.NO_SUCH_MAILBOX, store.append("Addresses.none", [NewMessage(message())]))
        self.fails(Problem.NOT_ALLOWED, store.delete("Addresses"))
        self.fails(Problem.NOT_ALLOWED, store.rename("Addresses", "Trash.Addresses"))
        self.fails(Problem.NO_SUCH_MAILBOX, store.status("Addresses.none"))

    def test_expired(self) -> None:
        """Its folder goes with it."""
        now(self.desk.new("ann@example.org", "shop", 1))
        self.house.clock.advance(86_400)
        self.assertEqual(self.names(), ["Addresses"])
