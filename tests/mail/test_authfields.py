"""Our own results, read again from a kept message."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail.authfields import seen_sender, seen_words

OURS = (
    b"Authentication-Results: mx.home.test; iprev=pass policy.iprev=192.0.2.10;\n\tspf=pass smtp.mailfrom=a@far.test;\n"
    b"\tdmarc=pass (p=reject) header.from=far.test\n"
)


class AuthFieldsTests(SynchronousTestCase):
    """What we said, and nobody else."""

    def test_sender(self) -> None:
        """The domain that passed, and the address; of our field only."""
        self.assertEqual(seen_sender(OURS + b"\nbody", "mx.home.test"), ("far.test", "192.0.2.10"))
        self.assertEqual(seen_sender(OURS + b"\nbody", "other.test"), ("", ""))
        failed = OURS.replace(b"dmarc=pass", b"dmarc=fail")
        self.assertEqual(seen_sender(failed + b"\n", "mx.home.test"), ("", "192.0.2.10"))

    def test_words(self) -> None:
        """Methods and results."""
        self.assertEqual(seen_words(OURS, "mx.home.test"), ("dmarc pass", "iprev pass", "spf pass"))
