"""Slow guessing at one account from everywhere: what strangers may still try, and that nobody of the house is kept out."""

from __future__ import annotations

import ipaddress

from mailbox_appliance.guard.guard import MOST_WATCHED, RememberingGuard
from mailbox_appliance.guard.sieges import MOST_NAMES
from mailbox_appliance.journal.events.guard import Besieged
from mailbox_appliance.mail.client import IPAddress
from tests.guard.test_guard import ANN, BOB, PEER, GuardCase


def place(n: int) -> IPAddress:
    """One of the robots: each in a /16 of its own."""
    return ipaddress.ip_address(f"{20 + n // 250}.{n % 250}.3.4")


class SiegeTests(GuardCase):
    def setUp(self) -> None:
        super().setUp()
        self.guard.name_accounts({ANN: ANN, "ann": ANN, BOB: BOB}.get)  # type: ignore[arg-type]
        self.guessed = 0

    def guess(self, peer: IPAddress, account: str = ANN) -> bool:
        """Another wrong password, unless it is not looked at."""
        if self.guard.devices_only(peer, "imap", account) or self.guard.refuses(peer, "imap", account):
            return False
        self.guessed += 1
        self.guard.failed(peer, "imap", account, "password", b"%d" % self.guessed)
        return True

    def besiege(self, account: str = ANN) -> None:
        for n in range(60):
            self.guess(place(n), account)

    def test_five_thousand_robots(self) -> None:
        """One try an hour from each of 5,000 addresses: 120,000 a day become fewer than 1,500,
        however long it goes on."""
        for hour in range(24):
            for n in range(5000):
                if n % 25 == 0:
                    self.clock.advance(18)
                self.guess(place((hour + n) % 5000))
        self.assertLess(self.guessed, 1500)
        told = self.journal.of(Besieged)
        self.assertEqual((told[0].account, told[0].seconds, told[-1].seconds), (ANN, 900, 3600))

    def test_the_house(self) -> None:
        """A known device, its neighbours, other accounts, and home networks go on; a place never seen does not."""
        six = ipaddress.ip_address("2001:db8:5::1")
        self.guard.succeeded(PEER, "imap", ANN)
        self.guard.succeeded(six, "imap", ANN)
        self.besiege()
        self.assertTrue(self.guard.devices_only(place(4000), "imap", ANN))
        self.assertTrue(self.guard.devices_only(place(4000), "imap", "ann"))
        for peer in (PEER, six, "192.0.77.1", "2001:db8:77::1"):
            self.assertFalse(self.guard.devices_only(ipaddress.ip_address(str(peer)), "imap", ANN), peer)
        self.assertFalse(self.guard.devices_only(place(4000), "imap", BOB))

    def test_neighbours_have_a_count_of_their_own(self) -> None:
        """Robots at the family's own provider besiege what is near; the known device itself is not asked."""
        self.guard.succeeded(PEER, "imap", ANN)
        for n in range(60):
            self.guess(ipaddress.ip_address(f"192.0.{n + 3}.1"))
        self.assertTrue(self.guard.devices_only(ipaddress.ip_address("192.0.99.1"), "imap", ANN))
        self.assertFalse(self.guard.devices_only(place(1), "imap", ANN))
        self.assertFalse(self.guard.devices_only(PEER, "imap", ANN))

    def test_a_phone_that_roams(self) -> None:
        """The old password from a hundred addresses is one guess."""
        for n in range(100):
            self.guard.failed(place(n), "imap", ANN, "password", b"the old one")
        self.assertFalse(self.guard.devices_only(place(1), "imap", ANN))

    def test_it_ends(self) -> None:
        """After a quarter of an hour, by the owner's word, and for exempt networks at once."""
        self.besiege()
        self.assertEqual([one.account for one in self.guard.sieges()], [ANN])
        self.assertTrue(self.guard.unban("ann@example.org"))
        self.assertFalse(self.guard.devices_only(place(1), "imap", ANN))
        self.assertFalse(self.guard.unban("ann@example.org"))
        self.besiege()
        self.clock.advance(900)
        self.assertFalse(self.guard.devices_only(place(1), "imap", ANN))
        self.assertEqual(self.guard.sieges(), ())

    def test_names_that_nobody_has(self) -> None:
        """They are treated alike, are shown to nobody, and a flood of them does not free the account."""
        self.besiege()
        self.besiege("carl@example.org")
        self.assertTrue(self.guard.devices_only(place(300), "imap", "CARL@example.org"))
        self.assertEqual([one.account for one in self.guard.sieges()], [ANN])
        self.assertEqual(len(self.journal.of(Besieged)), 1)
        for n in range(MOST_NAMES):
            self.guard.failed(place(n), "imap", f"x{n}@example.org")
        self.assertFalse(self.guard.devices_only(place(300), "imap", "carl@example.org"))
        self.assertTrue(self.guard.devices_only(place(300), "imap", ANN))

    def test_behind_a_device_s_own_address(self) -> None:
        """Who shares a device's address and guesses at its account stops main passwords there, not app passwords."""
        self.guard.succeeded(PEER, "imap", ANN)
        self.fail_times(10)
        self.assertTrue(self.guard.devices_only(PEER, "imap", ANN))
        self.assertFalse(self.guard.devices_only(PEER, "imap", BOB))
        self.assertTrue(self.guard.refuses(PEER, "imap", BOB))

    def test_a_million_addresses(self) -> None:
        """The tables stay as they are bounded, a ban outlives the flood, and so do devices."""
        guard: RememberingGuard = self.guard
        guard.succeeded(PEER, "imap", ANN)
        bad = ipaddress.ip_address("198.51.100.9")
        self.fail_times(10, bad)
        for n in range(60_000):
            guard.failed(ipaddress.IPv4Address(0x14000000 + n * 257), "imap", f"x{n % 3000}@example.org")
        self.assertEqual(len(guard._memory.strangers), guard.settings.most_addresses)
        self.assertLessEqual(len(guard._memory.changed_strangers), 4 * guard.settings.most_addresses + 1)
        self.assertLessEqual(len(guard._memory.networks), guard.settings.most_networks)
        self.assertTrue(guard.refuses(bad, "imap"))
        self.assertTrue(guard.knows(PEER))
        rows = guard.listing()
        self.assertEqual((rows[0].address, len(rows)), ("198.51.100.9", MOST_WATCHED + 1))
