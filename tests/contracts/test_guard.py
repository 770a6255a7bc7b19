"""What every Guard must do: the remembering one and the fake."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.guard.guard import RememberingGuard
from mailbox_appliance.ports.guard import Guard
from tests.kit.fake_guard import FakeGuard
from tests.kit.journal import RememberedJournal

PEER, OTHER = ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("192.0.2.2")

# A mixin at run time, so that trial does not run it by itself.
if TYPE_CHECKING:
    Case = SynchronousTestCase
else:
    Case = object


class GuardContract(Case):
    """Mixed into a test case that makes the guard."""

    def make(self) -> Guard:
        raise NotImplementedError

    def test_ten_failures(self) -> None:
        """Ten wrong passwords over all services, then this address is refused by all, and no other is."""
        guard = self.make()
        for n in range(10):
            self.assertFalse(guard.refuses(PEER, "imap"))
            guard.failed(PEER, ("imap", "submission")[n % 2], "ann@example.org", "password", b"%d" % n)
        for service in ("imap", "smtp", "submission"):
            self.assertTrue(guard.refuses(PEER, service))
            self.assertTrue(guard.refuses(PEER, service, "ann@example.org"))
            self.assertTrue(guard.refuses(PEER, service, ""))
            self.assertFalse(guard.refuses(OTHER, service))

    def test_one_network(self) -> None:
        """An IPv6 /64 is one knocker."""
        guard = self.make()
        for n in range(10):
            guard.failed(ipaddress.ip_address(f"2001:db8::{n + 1:x}"), "imap", "ann@example.org")
        self.assertTrue(guard.refuses(ipaddress.ip_address("2001:db8::ffff:1"), "imap"))
        self.assertFalse(guard.refuses(ipaddress.ip_address("2001:db8:0:1::1"), "imap"))

    def test_a_phone(self) -> None:
        """The same wrong password again and again is one guess."""
        guard = self.make()
        for _ in range(50):
            guard.failed(PEER, "imap", "ann@example.org", "password", b"old password")
        self.assertFalse(guard.refuses(PEER, "imap"))

    def test_knows(self) -> None:
        """An address is known after a good log-in, with its IPv6 /64; a wrong password makes nobody known."""
        guard = self.make()
        guard.failed(PEER, "imap", "ann@example.org")
        self.assertFalse(guard.knows(PEER))
        guard.succeeded(PEER, "imap", "ann@example.org")
        guard.succeeded(ipaddress.ip_address("2001:db8::1"), "imap", "ann@example.org")
        self.assertTrue(guard.knows(PEER) and guard.knows(ipaddress.ip_address("2001:db8::2")))
        self.assertFalse(guard.knows(OTHER))

    def test_a_success_is_no_amnesty(self) -> None:
        """Good log-ins do not buy more guesses."""
        guard = self.make()
        for n in range(10):
            guard.failed(PEER, "imap", "bob@example.org", "password", b"%d" % n)
            guard.succeeded(PEER, "imap", "ann@example.org")
        self.assertTrue(guard.refuses(PEER, "imap"))

    def test_delays(self) -> None:
        """The first failures are answered at once, no answer is held back for long."""
        guard = self.make()
        guard.failed(PEER, "imap", "ann@example.org")
        self.assertEqual(guard.delay(PEER, "imap"), 0.0)
        for _ in range(20):
            guard.failed(PEER, "imap", "ann@example.org")
            self.assertLessEqual(guard.delay(PEER, "imap"), 5.0)


class FakeGuardTests(GuardContract, SynchronousTestCase):
    """The fake keeps the contract."""

    def make(self) -> Guard:
        return FakeGuard()


class RememberingGuardTests(GuardContract, SynchronousTestCase):
    """The real one keeps the contract."""

    def make(self) -> Guard:
        return RememberingGuard(Clock(), RememberedJournal())
