"""Evidence about a stranger's message: what smtp/ asks before it accepts. Filled by ``checks/``."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from mailbox_appliance.mail.verdict import Verdict
from mailbox_appliance.ports.delivery import Parcel


class Checks(Protocol):
    """All checks of one message behind one door."""

    def examine(self, parcel: Parcel) -> Awaitable[Verdict]:
        """Judge a message from outside, not yet accepted; its header block is final. Never raises."""
