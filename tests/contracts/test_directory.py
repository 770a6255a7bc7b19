"""What every Directory must do: the one of users/ and the fake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import Directory, Elsewhere, Known, LocalMailbox, NotOurs, Resolution, Unknown
from mailbox_appliance.users.directory import UsersSettings
from tests.kit.fake_directory import FakeDirectory
from tests.users.household import CHEAP, Household, now

DOMAINS = {"example.org": "ann@example.org", "club.example": ""}
ACCOUNTS = ["ann@example.org", "bob@example.org"]
ALIASES = {
    "family@example.org": ["ann@example.org", "bob@example.org"],
    "all@example.org": ["family@example.org", "ann@example.org", "carl@far.example"],
    "webmaster@example.org": ["bob@example.org"],
    "info@club.example": ["bob+club@example.org"],
}
CATCH_ALL = {"club.example": "bob@example.org"}

ANN, BOB = Address("ann", "example.org"), Address("bob", "example.org")


def known(via: str, *destinations: LocalMailbox | Elsewhere) -> Known:
    return Known(destinations, via)


TABLE: list[tuple[Address, Resolution]] = [
    (ANN, known("", LocalMailbox(ANN))),
    (Address("ANN", "example.org"), known("", LocalMailbox(ANN))),
    (Address("ann+Shop", "example.org"), known("", LocalMailbox(ANN, "Shop"))),
    (Address("Family", "example.org"), known("alias", LocalMailbox(ANN), LocalMailbox(BOB))),
    (Address("family+x", "example.org"), known("alias", LocalMailbox(ANN, "x"), LocalMailbox(BOB, "x"))),
    (
        Address("all", "example.org"),
        known("alias", LocalMailbox(ANN), LocalMailbox(BOB), Elsewhere(Address("carl", "far.example"))),
    ),
    (Address("info", "club.example"), known("alias", LocalMailbox(BOB, "club"))),
    (Address("abuse", "example.org"), known("role", LocalMailbox(ANN))),
    (Address("PostMaster", ""), known("role", LocalMailbox(ANN))),
    (Address("webmaster", "example.org"), known("alias", LocalMailbox(BOB))),
    (Address("whoever", "club.example"), known("catch-all", LocalMailbox(BOB))),
    (Address("nobody", "example.org"), Unknown()),
    (Address("ann", "far.example"), NotOurs()),
    (Address("abuse", ""), NotOurs()),
]

# A mixin at run time, so that trial does not run it by itself.
if TYPE_CHECKING:
    Case = SynchronousTestCase
else:
    Case = object


class DirectoryContract(Case):
    """Mixed into a test case that makes the directory."""

    def make(self) -> Directory:
        raise NotImplementedError

    def test_resolution(self) -> None:
        """Each row of the table."""
        directory = self.make()
        for address, expected in TABLE:
            self.assertEqual(now(directory.resolve(address)), expected, str(address))

    def test_owning(self) -> None:
        """Whoever receives an address may write as it, and nobody else."""
        directory = self.make()
        rows = [
            (ANN, "ann", "example.org", True),
            (ANN, "Ann", "example.org", True),
            (ANN, "ann+shop", "example.org", True),
            (ANN, "family", "example.org", True),
            (ANN, "all", "example.org", True),
            (ANN, "postmaster", "example.org", True),
            (ANN, "bob", "example.org", False),
            (ANN, "webmaster", "example.org", False),
            (ANN, "nobody", "example.org", False),
            (ANN, "whoever", "club.example", False),
            (ANN, "carl", "far.example", False),
            (BOB, "whoever", "club.example", True),
            (BOB, "info", "club.example", True),
            (BOB, "ann", "example.org", False),
            (Address("carl", "far.example"), "carl", "far.example", False),
        ]
        for account, local, domain, expected in rows:
            self.assertIs(now(directory.owns(account, Address(local, domain))), expected, f"{account} {local}@{domain}")

    def test_facts(self) -> None:
        """Domains, accounts, owners, quota and settings."""
        directory = self.make()
        self.assertEqual(directory.domains(), frozenset(DOMAINS))
        self.assertEqual(set(now(directory.accounts())), {ANN, BOB})
        self.assertEqual(now(directory.owner("example.org")), ANN)
        self.assertIsNone(now(directory.owner("club.example")))
        self.assertIsNone(now(directory.owner("far.example")))
        self.assertEqual((now(directory.quota(ANN)), now(directory.quota(BOB))), (5000, 0))
        settings: Mapping[str, str] = now(directory.settings(ANN))
        self.assertEqual((dict(settings), dict(now(directory.settings(BOB)))), ({"language": "de"}, {}))


class FakeDirectoryTests(DirectoryContract, SynchronousTestCase):
    """The fake keeps the contract."""

    def make(self) -> Directory:
        return FakeDirectory(
            DOMAINS,
            ACCOUNTS,
            ALIASES,
            CATCH_ALL,
            {"ann@example.org": 5000},
            {"ann@example.org": {"language": "de"}},
        )


class SnapshotDirectoryTests(DirectoryContract, SynchronousTestCase):
    """The real one keeps the contract."""

    def make(self) -> Directory:
        house = Household(settings=UsersSettings(hashing=CHEAP)).fill(list(DOMAINS), ACCOUNTS, ALIASES, CATCH_ALL)
        now(house.users.accounts.set_quota("ann@example.org", 5000))
        now(house.users.accounts.set_setting("ann@example.org", "language", "de"))
        return house.users.directory
