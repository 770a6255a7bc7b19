"""Reports about our domains: what delivery/ asks of reports/ when a message comes to a postmaster."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.delivery import Parcel


class ReportReading(Protocol):
    """Filled by reports.station."""

    def is_report(self, parcel: Parcel, to: Address) -> bool:
        """Does it look like a report, at an address to which such are sent? It is filed in a folder of its own then."""

    def take(self, parcel: Parcel) -> Awaitable[None]:
        """It is in the mailbox: read it soon. Never raises."""
