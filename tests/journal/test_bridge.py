"""Twisted's own log in the journal."""

from __future__ import annotations

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.journal.bridge import LogBridge
from mailbox_appliance.journal.events.journal import NoDescriptors, Remarked
from tests.kit.journal import RememberedJournal


class BridgeTests(SynchronousTestCase):
    """What is said, and what is left out."""

    def test_no_descriptors(self) -> None:
        """That no descriptor is left is told once a minute, however many connections come."""
        journal = RememberedJournal()
        bridge = LogBridge(journal)  # type: ignore[arg-type]
        for moment in (1000.0, 1000.5, 1059.0, 1061.0):
            for text in ("EMFILE encountered; releasing reserved file descriptor.", "EMFILE recovery: Closed socket"):
                bridge(
                    {
                        "log_namespace": "twisted.internet.tcp",
                        "log_level": LogLevel.info,
                        "log_format": text,
                        "log_time": moment,
                    }
                )
        self.assertEqual([type(event) for event in journal.events], [NoDescriptors, NoDescriptors])

    def test_remark(self) -> None:
        """A warning is a remark; what a library merely informs about is left out."""
        journal = RememberedJournal()
        bridge = LogBridge(journal)  # type: ignore[arg-type]
        for level in (LogLevel.info, LogLevel.warn):
            bridge({"log_namespace": "some.library", "log_level": level, "log_format": "hm"})
        (event,) = journal.events
        self.assertIsInstance(event, Remarked)
