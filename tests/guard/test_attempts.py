"""Campaigns against one account, networks as a whole, the tarpit, and the log."""

from __future__ import annotations

import ipaddress

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.guard import attempts
from mailbox_appliance.guard.attempts import Attempts, Campaign
from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.guard.memory import GuardSettings
from mailbox_appliance.journal.events.guard import Banned, Unbanned
from mailbox_appliance.mail.client import IPAddress
from tests.kit.journal import RememberedJournal

NOW = 1_700_000_000.0
ANN = "ann@example.org"


def address(number: int, network: str = "198.51.99") -> IPAddress:
    return ipaddress.ip_address(f"{network}.{number}")


class CampaignTests(SynchronousTestCase):
    """Many guesses at one account."""

    def setUp(self) -> None:
        self.attempts = Attempts()

    def tries(self, count: int, sources: int, at: float = NOW, account: str = ANN) -> list[Campaign]:
        found = [self.attempts.password(address(n % sources), "imap", account, at) for n in range(count)]
        return [one for one in found if one is not None]

    def test_a_forgotten_phone(self) -> None:
        """Some dozens from a few addresses are nobody's campaign."""
        self.assertEqual(self.tries(attempts.FAILURES - 1, attempts.SOURCES - 1), [])

    def test_many_addresses(self) -> None:
        """A list of passwords tried from everywhere is one, told once however it is typed."""
        (campaign,) = self.tries(attempts.SOURCES + 30, attempts.SOURCES, account=" Ann@Example.org")
        self.assertEqual(campaign, Campaign(ANN, attempts.SOURCES, attempts.SOURCES, ("imap",), NOW))
        self.assertEqual(self.tries(50, 50, NOW + 3600), [])

    def test_invented_names_hide_nothing(self) -> None:
        """However many names are made up in between, and however the account's own is typed."""
        self.attempts.account_of = lambda typed: ANN if typed in (ANN, "ann") else ""
        told = []
        for n in range(attempts.SOURCES):
            for other in range(attempts.MOST_ACCOUNTS // 4):
                self.attempts.password(address(n), "imap", f"x{n}.{other}", NOW)
            told.append(self.attempts.password(address(n), "imap", (ANN, "Ann")[n % 2], NOW))
        self.assertEqual([one.account for one in told if one is not None], [ANN])
        aims = self.attempts.aims(NOW)
        self.assertEqual(
            (aims[0].account, aims[0].failures, aims[0].sources), (ANN, attempts.SOURCES, attempts.SOURCES)
        )

    def test_many_tries(self) -> None:
        """So are very many guesses from one place."""
        (campaign,) = self.tries(attempts.FAILURES + 5, 1)
        self.assertEqual((campaign.failures, campaign.sources), (attempts.FAILURES, 1))

    def test_the_next_day(self) -> None:
        """It begins anew, and is told anew."""
        self.assertEqual(len(self.tries(100, 100)), 1)
        self.assertEqual(len(self.tries(100, 100, NOW + attempts.DAY)), 1)

    def test_bounds(self) -> None:
        """Names and addresses without number cost no memory without bound."""
        for n in range(attempts.MOST_ADDRESSES + 50):
            self.attempts.password(ipaddress.ip_address(n + 1), "smtp", f"name{n}@example.org", NOW)
        self.assertEqual(len(self.attempts.trails(NOW)), attempts.MOST_ADDRESSES)
        for n in range(100):
            self.attempts.password(address(1), "smtp", f"other{n}", NOW)
        trail = self.attempts.trails(NOW)[0]
        self.assertEqual((trail.address, trail.tries), (address(1), 100))
        self.assertEqual(trail.accounts, tuple(f"other{n}" for n in range(92, 100)))


class NetworkTests(SynchronousTestCase):
    """One /24 together."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = RememberedJournal()
        self.guard = RememberingGuard(self.clock, self.journal)

    def storm(self, network: str, failures: int = 60) -> None:
        for n in range(failures):
            self.guard.failed(address(n, network), "imap", f"name{n}@example.org")

    def test_shut_out_together(self) -> None:
        """Sixty failures from sixty addresses of a /24 shut out the rest of it; neighbours and devices come in."""
        device = address(250)
        self.guard.succeeded(device, "imap", ANN)
        self.storm("198.51.99", 59)
        self.assertFalse(self.guard.refuses(address(200), "smtp"))
        self.storm("198.51.99", 1)
        self.assertTrue(self.guard.refuses(address(200), "smtp"))
        self.assertTrue(self.guard.refuses(address(200), "imap", ANN))
        self.assertFalse(self.guard.refuses(device, "imap", ANN))
        self.assertFalse(self.guard.refuses(address(200, "198.51.98"), "smtp"))
        self.assertEqual([one.peer for one in self.journal.of(Banned)], ["198.51.99.0/24"])
        self.assertEqual([one.address for one in self.guard.listing() if one.banned_until], ["198.51.99.0/24"])
        self.clock.advance(GuardSettings().first_ban)
        self.assertFalse(self.guard.refuses(address(200), "smtp"))

    def test_unban(self) -> None:
        """By the name it is listed under."""
        self.storm("198.51.99")
        self.assertTrue(self.guard.unban("198.51.99.0/24"))
        self.assertFalse(self.guard.refuses(address(200), "smtp"))
        self.assertEqual([one.peer for one in self.journal.of(Unbanned)], ["198.51.99.0/24"])

    def test_home(self) -> None:
        """Addresses that are nobody's in the public net stand for themselves: behind them may be one household."""
        for network in ("127.0.0", "192.168.1", "10.0.0"):
            self.storm(network, 200)
            self.assertFalse(self.guard.refuses(address(210, network), "smtp"), network)

    def test_exempt(self) -> None:
        """The owner's exemptions hold for networks too."""
        self.guard.settings = GuardSettings(exempt=(ipaddress.ip_network("198.51.99.192/26"),))
        self.storm("198.51.99", 100)
        self.assertTrue(self.guard.refuses(address(120), "smtp"))
        self.assertFalse(self.guard.refuses(address(200), "smtp"))


class TarpitTests(SynchronousTestCase):
    """Whoever tries many names waits for each answer."""

    def test_grows_and_passes(self) -> None:
        """A hundred an hour are answered at once, then slower and slower; an hour later all is well."""
        clock = Clock()
        clock.advance(NOW)
        guard = RememberingGuard(clock, RememberedJournal())
        waits = []
        for _ in range(300):
            guard.failed(address(1), "smtp", "", "recipient")
            waits.append(guard.tarpit(address(1)))
        self.assertEqual((waits[99], waits[-1]), (0.0, guard.settings.longest_tarpit))
        self.assertEqual(waits, sorted(waits))
        self.assertEqual(guard.tarpit(address(2)), 0.0)
        clock.advance(3600)
        self.assertEqual(guard.tarpit(address(1)), 0.0)
