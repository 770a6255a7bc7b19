"""What an author's domain publishes, as a list asks for it."""

from __future__ import annotations

from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.checks.policies import PublishedPolicies
from mailbox_appliance.mailauth import dmarc
from tests.checks.scene import ZONE
from tests.kit.fake_dns import FakeDns
from tests.kit.journal import RememberedJournal


class PolicyTests(SynchronousTestCase):
    """May a list go on writing in the author's name?"""

    def is_strict(self, domain: str) -> bool:
        self.journal = RememberedJournal()
        policies = PublishedPolicies(FakeDns(ZONE), Clock(), self.journal)
        return self.successResultOf(Deferred.fromCoroutine(policies.is_strict(domain)))

    def test_policies(self) -> None:
        """reject and quarantine are strict; none, and no record at all, are not."""
        found = {domain: self.is_strict(domain) for domain in ("victim.test", "bank.test", "shop.test", "plain.test")}
        self.assertEqual(found, {"victim.test": True, "bank.test": True, "shop.test": False, "plain.test": False})

    def test_not_known(self) -> None:
        """What cannot be asked for counts as strict; a fault of ours does, too, and is told."""
        self.assertTrue(self.is_strict("broken.test"))
        self.assertEqual(self.journal.failures, [])
        self.patch(dmarc, "evaluate", mock.Mock(side_effect=RuntimeError("broken")))
        self.assertTrue(self.is_strict("plain.test"))
        self.assertEqual([where for where, _ in self.journal.failures], ["checks.policies"])
