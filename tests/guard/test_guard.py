"""The guard by the clock: when it refuses, for how long, and whom it lets through."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.guard.guard import GuardError, RememberingGuard
from mailbox_appliance.guard.memory import WEIGHTS, GuardSettings
from mailbox_appliance.journal.events.guard import Banned, Unbanned
from mailbox_appliance.mail.client import IPAddress
from tests.kit.journal import RememberedJournal

PEER, OTHER = ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("192.0.2.2")
ANN, BOB = "ann@example.org", "bob@example.org"


class GuardCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.journal = RememberedJournal()
        self.guard = self.make()

    def make(self, wanted: GuardSettings | None = None) -> RememberingGuard:
        return RememberingGuard(self.clock, self.journal, None, wanted)

    def fail_times(self, times: int, peer: IPAddress = PEER, account: str = ANN, what: str = "password") -> None:
        for _ in range(times):
            self.guard.failed(peer, "imap", account, what)


class WindowTests(GuardCase):
    """Ten a minute."""

    def test_failures_pass(self) -> None:
        """Nine now and nine a minute later are no ban; ten within a minute are."""
        self.fail_times(9)
        self.clock.advance(60)
        self.fail_times(9)
        self.assertFalse(self.guard.refuses(PEER, "imap"))
        self.clock.advance(59)
        self.fail_times(1)
        self.assertTrue(self.guard.refuses(PEER, "imap"))

    def test_bans_grow(self) -> None:
        """One minute, then two, four … an hour at most; after a quiet day it begins anew."""
        expected = [60, 120, 240, 480, 960, 1920, 3600, 3600]
        for seconds in expected:
            self.fail_times(10)
            self.clock.advance(seconds - 1)
            self.assertTrue(self.guard.refuses(PEER, "imap"))
            self.clock.advance(1)
            self.assertFalse(self.guard.refuses(PEER, "imap"))
        self.clock.advance(86401)
        self.fail_times(10)
        bans = self.journal.of(Banned)
        self.assertEqual([ban.seconds for ban in bans], [*expected, 60])
        self.assertEqual((bans[1].peer, bans[1].service, bans[1].account, bans[1].times), (str(PEER), "imap", ANN, 2))

    def test_what_comes_during_a_ban_does_not_lengthen_it(self) -> None:
        """Attempts that were under way when the ban began are neither counted nor told."""
        self.fail_times(25)
        self.clock.advance(60)
        self.assertFalse(self.guard.refuses(PEER, "imap"))
        self.assertEqual(len(self.journal.of(Banned)), 1)

    def test_weights(self) -> None:
        """How many of each kind it takes: wrong recipients are forgiven longer than wrong passwords."""
        for number, (what, times) in enumerate({"password": 10, "protocol": 20, "recipient": 100}.items()):
            peer = ipaddress.ip_address(f"198.51.100.{number}")
            self.fail_times(times - 1, peer, "", what)
            self.assertFalse(self.guard.refuses(peer, "smtp"), what)
            self.fail_times(1, peer, "", what)
            self.assertTrue(self.guard.refuses(peer, "smtp"), what)
        self.assertEqual(set(WEIGHTS), {"password", "protocol", "recipient"})

    def test_repeated_passwords(self) -> None:
        """A password said an hour ago counts again, and the rule can be turned off."""
        for _ in range(9):
            self.guard.failed(PEER, "imap", ANN, "password", b"token")
        self.assertEqual(self.guard.listing()[0].failures, 1.0)
        self.clock.advance(3600)
        self.guard.failed(PEER, "imap", ANN, "password", b"token")
        self.assertEqual(self.guard.listing()[0].failures, 1.0)
        self.guard.settings = GuardSettings(same_password_once=False)
        for _ in range(9):
            self.guard.failed(PEER, "imap", ANN, "password", b"token")
        self.assertTrue(self.guard.refuses(PEER, "imap"))

    def test_many_at_once(self) -> None:
        """Attempts under way count, so that fifty connections at once are ten guesses, not fifty."""
        tried = [self.guard.refuses(PEER, "imap", ANN) for _ in range(50)]
        self.assertEqual(tried, [False] * 10 + [True] * 40)
        self.assertFalse(self.guard.refuses(PEER, "imap"))
        self.assertFalse(self.guard.refuses(OTHER, "imap", ANN))
        self.fail_times(4)
        self.assertTrue(self.guard.refuses(PEER, "imap", ANN))
        self.fail_times(5)
        self.guard.succeeded(PEER, "imap", BOB)
        self.assertFalse(self.guard.refuses(PEER, "imap", BOB))
        self.fail_times(1)
        self.assertTrue(self.guard.refuses(PEER, "imap", ANN))

    def test_attempts_without_an_end(self) -> None:
        """A connection lost in the middle of a log-in counts for half a minute only."""
        for _ in range(10):
            self.guard.refuses(PEER, "imap", ANN)
        self.clock.advance(29)
        self.assertTrue(self.guard.refuses(PEER, "imap", ANN))
        self.clock.advance(1)
        self.assertFalse(self.guard.refuses(PEER, "imap", ANN))

    def test_a_household_that_starts_all_its_programs(self) -> None:
        """Where somebody has logged in before, any number of programs may log in at once."""
        self.guard.succeeded(PEER, "imap", ANN)
        self.assertEqual({self.guard.refuses(PEER, "imap", BOB) for _ in range(50)}, {False})

    def test_delays_grow(self) -> None:
        """Three are answered at once, then slower and slower; a known device is not slowed down."""
        delays = []
        for _ in range(9):
            self.guard.failed(PEER, "imap", ANN)
            delays.append(self.guard.delay(PEER, "imap"))
        self.assertEqual(delays, [0, 0, 0.25, 0.5, 1, 2, 2, 2, 2])
        self.assertEqual(self.guard.delay(OTHER, "imap"), 0)
        self.guard.succeeded(PEER, "imap", ANN)
        self.assertEqual(self.guard.delay(PEER, "imap"), 0)

    def test_a_clock_that_jumps(self) -> None:
        """Neither a clock put back by years nor one put forward refuses anybody for long."""
        self.fail_times(10)
        self.clock.rightNow -= 10 * 365 * 86400
        self.assertFalse(self.guard.refuses(PEER, "imap"))
        self.fail_times(9)
        self.assertFalse(self.guard.refuses(PEER, "imap"))
        self.fail_times(1)
        self.assertTrue(self.guard.refuses(PEER, "imap"))
        self.clock.advance(20 * 365 * 86400)
        self.assertFalse(self.guard.refuses(PEER, "imap"))


class WhoTests(GuardCase):
    """Exempt networks, known devices, the owner's pardon."""

    def test_exempt(self) -> None:
        """Exempt networks are never counted, and a ban ends when its address becomes exempt."""
        self.fail_times(10)
        self.guard.settings = GuardSettings(
            exempt=(ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32"))
        )
        self.assertFalse(self.guard.refuses(PEER, "imap"))
        for peer in (OTHER, ipaddress.ip_address("2001:db8:1::1")):
            self.fail_times(50, peer)
            self.assertFalse(self.guard.refuses(peer, "imap"))
            self.assertEqual(self.guard.delay(peer, "imap"), 0)
        outside = ipaddress.ip_address("198.51.100.1")
        self.fail_times(10, outside)
        self.assertTrue(self.guard.refuses(outside, "imap"))

    def test_a_known_device_behind_the_same_address(self) -> None:
        """When a neighbour gets the address refused, the device that logged in before still reaches its account."""
        self.guard.succeeded(PEER, "imap", ANN)
        self.fail_times(10, account=BOB)
        self.assertTrue(self.guard.refuses(PEER, "imap"))
        self.assertFalse(self.guard.refuses(PEER, "imap", ""))
        for name in (ANN, "ANN@example.org", "ann"):
            self.assertFalse(self.guard.refuses(PEER, "imap", name), name)
        for name in (BOB, "carl", "an", "ann@far.example"):
            self.assertTrue(self.guard.refuses(PEER, "imap", name), name)
        self.assertTrue(self.guard.refuses(PEER, "imap", ANN) is False and not self.guard.refuses(OTHER, "imap", BOB))

    def test_a_known_device_that_guesses(self) -> None:
        """Ten failures of the device itself refuse it too."""
        self.guard.succeeded(PEER, "imap", ANN)
        self.fail_times(10, account="ann")
        self.assertTrue(self.guard.refuses(PEER, "imap", ANN))
        self.clock.advance(60)
        self.assertFalse(self.guard.refuses(PEER, "imap", ANN))

    def test_a_device_is_forgotten(self) -> None:
        """A month without a log-in, and the device is a stranger again."""
        self.guard.succeeded(PEER, "imap", ANN)
        self.clock.advance(30 * 86400)
        self.fail_times(10, account=BOB)
        self.assertTrue(self.guard.refuses(PEER, "imap", ANN))
        self.assertTrue(self.guard.refuses(PEER, "imap", ""))

    def test_unban(self) -> None:
        """The owner lets an address in again, as it stands in the listing or as any address of the /64."""
        six = ipaddress.ip_address("2001:db8::5")
        for peer, names in ((PEER, ["192.0.2.1"]), (six, ["2001:db8::/64", "2001:db8::77"])):
            for name in names:
                self.fail_times(10, peer)
                self.assertTrue(self.guard.refuses(peer, "imap"))
                self.assertTrue(self.guard.unban(name))
                self.assertFalse(self.guard.refuses(peer, "imap"))
                self.fail_times(9, peer)
                self.assertFalse(self.guard.refuses(peer, "imap"))
                self.assertTrue(self.guard.unban(name))
        self.assertEqual({event.peer for event in self.journal.of(Unbanned)}, {"192.0.2.1", "2001:db8::/64"})
        self.assertFalse(self.guard.unban("198.51.100.1"))
        self.assertRaises(GuardError, self.guard.unban, "everybody")

    def test_unban_of_a_device(self) -> None:
        """An unban forgives the known devices behind the address as well."""
        self.guard.succeeded(PEER, "imap", ANN)
        self.fail_times(10)
        self.assertTrue(self.guard.refuses(PEER, "imap", ANN))
        self.guard.unban("192.0.2.1")
        self.fail_times(10, account=BOB)
        self.assertFalse(self.guard.refuses(PEER, "imap", ANN))

    def test_listing(self) -> None:
        """Banned ones first, then whoever failed within the last minute; the rest is not shown."""
        self.fail_times(3, OTHER)
        self.clock.advance(60)
        self.fail_times(1, ipaddress.ip_address("2001:db8::5"), BOB, "protocol")
        self.fail_times(10)
        self.clock.advance(1)
        self.fail_times(2, OTHER)
        rows = self.guard.listing()
        self.assertEqual([row.address for row in rows], ["192.0.2.1", "192.0.2.2", "2001:db8::/64"])
        self.assertEqual([(row.failures, row.bans) for row in rows], [(0.0, 1), (2.0, 0), (0.5, 0)])
        self.assertEqual(rows[0].banned_until, self.clock.seconds() + 59)


class BoundTests(GuardCase):
    """No table grows without end."""

    def test_strangers(self) -> None:
        """The least recently seen stranger without a ban goes first; bans and known devices stay."""
        self.guard.settings = replace(GuardSettings(), most_addresses=20, most_devices=5)
        self.guard.succeeded(PEER, "imap", ANN)
        self.fail_times(10, OTHER)
        for n in range(19):
            self.fail_times(1, ipaddress.ip_address(f"198.51.100.{n}"))
        self.assertTrue(self.guard.refuses(OTHER, "imap"))
        self.fail_times(1, ipaddress.ip_address("198.51.100.99"))
        self.assertTrue(self.guard.refuses(OTHER, "imap"))
        self.assertEqual(len(self.guard.listing()), 20)
        for n in range(30):  # a table full of bans takes newcomers all the same
            self.fail_times(10, ipaddress.ip_address(f"203.0.{n}.1"))
        self.assertEqual(len(self.guard.listing()), 20)
        self.fail_times(10, account=BOB)
        self.assertFalse(self.guard.refuses(PEER, "imap", ANN))

    def test_devices(self) -> None:
        """Only so many addresses with devices, and so many accounts at one address, are remembered."""
        self.guard.settings = replace(GuardSettings(), most_devices=5)
        for n in range(10):
            self.guard.succeeded(ipaddress.ip_address(f"198.51.100.{n}"), "imap", ANN)
        for n in range(100):
            self.clock.advance(1)
            self.guard.succeeded(PEER, "imap", f"n{n}@example.org")
        memory = self.guard._memory
        self.assertEqual(len(memory.devices), 5)
        self.assertEqual(len(memory.devices[PEER]), 32)
        self.assertIn("n99@example.org", memory.devices[PEER])

    def test_tokens_and_windows(self) -> None:
        """One address cannot fill the memory with passwords or failures."""
        for n in range(1000):
            self.guard.failed(PEER, "imap", "x" * 5000, "recipient", b"%d" % n)
            self.clock.advance(0.2)
        record = self.guard._memory.strangers[PEER]
        self.assertLessEqual(len(record.tokens), 16)
        self.assertLessEqual(len(record.recent), 100)
        self.assertLessEqual(len(record.account), 320)


class PropertyTests(SynchronousTestCase):
    """Whatever the order of things."""

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["fail", "succeed", "wait"]),
                st.integers(0, 2),
                st.floats(0, 40, allow_nan=False),
            ),
            max_size=150,
        )
    )
    def test_never_more_than_ten_a_minute(self, steps: list[tuple[str, int, float]]) -> None:
        """An address that is asked about before each attempt makes ten failures in any minute at most."""
        clock = Clock()
        clock.advance(1_700_000_000)
        guard = RememberingGuard(clock, RememberedJournal())
        peers = [ipaddress.ip_address(f"192.0.2.{n}") for n in range(3)]
        made: dict[int, list[float]] = {0: [], 1: [], 2: []}
        for what, who, seconds in steps:
            if what == "wait":
                clock.advance(seconds)
            elif what == "succeed":
                guard.succeeded(peers[who], "imap", ANN)
            elif not guard.refuses(peers[who], "imap"):
                for _ in range(4):
                    if not guard.refuses(peers[who], "imap"):
                        guard.failed(peers[who], "imap", BOB)
                        made[who].append(clock.seconds())
        for times in made.values():
            for first, eleventh in zip(times, times[10:], strict=False):
                self.assertGreaterEqual(eleventh - first, 60 - 1e-6)
        clock.advance(3600)
        for peer in peers:
            self.assertFalse(guard.refuses(peer, "imap"))
