"""Throw-away addresses: made, resolved, pinned to whom they were given, counted, ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.events.users import ThrowawayMade, ThrowawayPinned, ThrowawayRevoked
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import Known, LocalMailbox, ThrowawayRefused, Unknown
from mailbox_appliance.users.answers import UsersError
from mailbox_appliance.users.desks.throwaways import WRITE_LEAKS_EVERY, are_kin
from tests.users.household import Household, now

ANN, BOB = Address("ann", "example.org"), Address("bob", "example.org")


class ThrowawayCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        self.house = Household(self.path).fill(
            ["example.org"], ["ann@example.org", "bob@example.org"], catch_all={"example.org": "bob@example.org"}
        )
        self.desk = self.house.users.throwaways
        self.directory = self.house.users.directory

    def make(self, label: str = "shop", days: float | None = None) -> Address:
        return Address.parse(now(self.desk.new("ann@example.org", label, days)).address)


class MakingTests(ThrowawayCase):
    """What is made."""

    def test_leads_to_its_account(self) -> None:
        """A readable name with a secret behind it leads to the account, in any case of letters, and is the account's
        to write as."""
        address = self.make("Müller & Söhne")
        self.assertRegex(str(address), r"^muller-sohne-[0-9a-z]{6}@example\.org$")
        known = Known((LocalMailbox(ANN),), "throwaway")
        self.assertEqual(now(self.directory.resolve(address)), known)
        self.assertEqual(now(self.directory.resolve(Address(address.local.upper(), address.domain))), known)
        self.assertTrue(now(self.directory.owns(ANN, address)))
        self.assertFalse(now(self.directory.owns(BOB, address)))
        (made,) = self.house.journal.of(ThrowawayMade)
        self.assertEqual((made.account, made.address), (str(ANN), str(address)))

    def test_survives_a_restart(self) -> None:
        """It is in the file."""
        address = self.make(days=3)
        again = Household(self.path)
        self.assertIsInstance(now(again.users.directory.resolve(address)), Known)
        self.assertEqual(again.users.directory.snapshot, self.directory.snapshot)

    def test_a_label_once(self) -> None:
        """Two in use with one label would be mixed up; when the first has ended, the label is free."""
        address = self.make()
        self.assertIn(str(address), str(self.assertRaises(UsersError, self.make)))
        self.assertTrue(self.assertRaises(ThrowawayRefused, now, self.desk.make(ANN, "Shop")).exists)
        now(self.desk.revoke(str(address)))
        self.assertNotEqual(self.make(), address)
        now(self.desk.make(BOB, "shop"))

    def test_refusals(self) -> None:
        """Nobody, nothing to call it by, and no days are said."""
        for account, label, days in (
            ("carl@example.org", "shop", None),
            (None, "shop", None),
            ("ann@example.org", "***", None),
            ("ann@example.org", "shop", 0.0),
            ("ann@example.org", "shop", float("nan")),
            ("ann@example.org", "shop", 1e9),
        ):
            self.assertRaises(UsersError, now, self.desk.new(account, label, days))
        self.assertEqual(now(self.desk.new("ann@example.org")).label, "mail")

    def test_names_stay_apart(self) -> None:
        """Neither an alias nor an account takes the name, also when the address has ended."""
        address = self.make()
        for _ in range(2):
            self.assertRaises(UsersError, now, self.house.users.aliases.add(str(address), ["bob@example.org"]))
            self.assertRaises(UsersError, now, self.house.users.accounts.add(str(address), "open sesame"))
            now(self.desk.revoke(str(address)))

    @given(st.text(max_size=80))
    def test_any_label(self, label: str) -> None:
        """Whatever people type becomes a name of small letters, digits and hyphens, or is refused."""
        house = Household().fill(["example.org"], ["ann@example.org"])
        try:
            info = now(house.users.throwaways.new("ann@example.org", label))
        except UsersError:
            return
        self.assertRegex(info.address, r"^[a-z0-9][a-z0-9-]{0,57}-[0-9a-z]{6}@example\.org$")

    def test_made_lately(self) -> None:
        """For a quarter of an hour the house knows that mail is awaited."""
        self.assertFalse(self.desk.made_lately(ANN))
        self.make()
        self.assertTrue(self.desk.made_lately(ANN))
        self.assertFalse(self.desk.made_lately(BOB))
        self.house.clock.advance(901)
        self.assertFalse(self.desk.made_lately(ANN))


class EndTests(ThrowawayCase):
    """How it ends."""

    def test_revoked(self) -> None:
        """It is refused with the chosen text, not taken by the catch-all, and nobody writes as it."""
        address = self.make()
        gone = now(self.desk.revoke(str(address), "Ann has moved; write to her"))
        self.assertEqual(gone.state, "revoked")
        self.assertEqual(now(self.directory.resolve(address)), Unknown("Ann has moved; write to her"))
        self.assertFalse(now(self.directory.owns(ANN, address)))
        self.assertEqual(self.desk.of(ANN), ())
        self.assertEqual([one.address for one in now(self.desk.listing(ended=True))], [str(address)])
        self.assertEqual(len(self.house.journal.of(ThrowawayRevoked)), 1)

    def test_text(self) -> None:
        """Without a text the standard one is said; one that does not fit into a reply is refused."""
        address = self.make()
        for text in ("näh", "x" * 201, "a\x00b"):
            self.assertRaises(UsersError, now, self.desk.revoke(str(address), text))
        now(self.desk.revoke(str(address), "two\r\nlines"))
        self.assertEqual(now(self.directory.resolve(address)), Unknown("two lines"))
        now(self.desk.revoke(str(address)))
        self.assertEqual(now(self.directory.resolve(address)), Unknown("This address is no longer in use"))
        self.assertRaises(UsersError, now, self.desk.revoke("bob@example.org"))

    def test_expires(self) -> None:
        """It ends by itself, to the second, and its label is free again."""
        address = self.make(days=2)
        self.house.clock.advance(2 * 86_400 - 1)
        self.assertIsInstance(now(self.directory.resolve(address)), Known)
        self.house.clock.advance(1)
        self.assertEqual(now(self.directory.resolve(address)), Unknown("This address is no longer in use"))
        self.assertEqual(now(self.desk.listing()), ())
        self.make()

    def test_with_its_account(self) -> None:
        """While an account rests, its throw-away addresses lead nowhere."""
        address = self.make()
        now(self.house.users.accounts.remove("ann@example.org"))
        self.assertEqual(now(self.directory.resolve(address)), Unknown())
        now(self.house.users.accounts.undelete("ann@example.org"))
        self.assertIsInstance(now(self.directory.resolve(address)), Known)
        now(self.house.users.accounts.remove("ann@example.org"))
        now(self.house.users.accounts.forget("ann@example.org"))
        self.assertEqual(self.directory.snapshot.throwaways, {})

    def test_ones_own(self) -> None:
        """As the folder does it: only one's own, only what is in use."""
        address = self.make()
        self.assertRaises(ThrowawayRefused, now, self.desk.end(BOB, address))
        self.assertEqual(now(self.desk.end(ANN, address)).label, "shop")
        self.assertRaises(ThrowawayRefused, now, self.desk.end(ANN, address))


class LeakTests(ThrowawayCase):
    """Whom it was given to."""

    def met(self, address: Address, sender: str, *, trusted: bool = True) -> str:
        return now(self.desk.met(address, sender, trusted=trusted))

    def test_the_first_pins(self) -> None:
        """The first that is no junk pins it; kin of that is welcome, others are leaks and are counted."""
        address = self.make()
        self.assertEqual(self.met(address, "spam.example", trusted=False), "")
        self.assertEqual(self.met(address, "news.shop.example"), "")
        self.assertEqual(self.met(address, "orders.shop.example"), "")
        self.assertEqual(self.met(address, "casino.example"), "news.shop.example")
        self.assertEqual(self.met(address, "casino.example", trusted=False), "news.shop.example")
        (info,) = now(self.desk.listing())
        self.assertEqual((info.pinned, info.leaks, info.leaked_by), ("news.shop.example", 2, "casino.example"))
        self.assertEqual(len(self.house.journal.of(ThrowawayPinned)), 1)

    def test_counts_reach_the_file(self) -> None:
        """Counts are written after a while; a disk that refuses loses none."""
        address = self.make()
        self.met(address, "shop.example")
        self.met(address, "casino.example")
        self.house.users.database.run_now(lambda c: c.execute("PRAGMA query_only=1").fetchall())
        self.house.clock.advance(WRITE_LEAKS_EVERY)
        self.met(address, "other.example")
        self.house.users.database.close()  # the next use opens it afresh
        self.house.clock.advance(WRITE_LEAKS_EVERY)
        (info,) = now(Household(self.path).users.throwaways.listing())
        self.assertEqual((info.leaks, info.leaked_by), (2, "other.example"))

    def test_other_addresses(self) -> None:
        """Of other addresses nothing is remembered."""
        self.assertEqual(self.met(ANN, "shop.example"), "")
        self.assertEqual(self.met(self.make(), ""), "")

    def test_kin(self) -> None:
        """Names below one registered domain are one sender, as far as names tell."""
        for one, other, expected in (
            ("shop.example", "shop.example", True),
            ("shop.example", "mail.shop.example", True),
            ("a.shop.co.uk", "b.shop.co.uk", True),
            ("shop.co.uk", "other.co.uk", False),
            ("a.shop.de", "b.shop.de", True),
            ("shop.example", "xshop.example", False),
            ("Shop.example.", "shop.example", True),
        ):
            self.assertIs(are_kin(one, other), expected, f"{one} {other}")
            self.assertIs(are_kin(other, one), expected, f"{other} {one}")
