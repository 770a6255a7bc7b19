"""Programs outside that have an opinion about a message: what checks/ asks of them. Filled by ``scanners/``."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.mail.verdict import Evidence
from mailbox_appliance.ports.delivery import Parcel


@dataclass(frozen=True, slots=True)
class Scanned:
    """What they found, and header fields they want on top (whole lines, LF line ends)."""

    evidence: tuple[Evidence, ...] = ()
    fields: bytes = b""


class Scanners(Protocol):
    """All that the owner has named, behind one door."""

    def scan(self, parcel: Parcel) -> Awaitable[Scanned]:
        """Ask all of them, each within its time. Never raises: one that does not answer is evidence, too."""
