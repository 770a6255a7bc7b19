"""Reports about our domains, and ours about others': what delivery/ and checks/ ask of reports/."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.delivery import Parcel


class ReportReading(Protocol):
    """Filled by reports.station."""

    def is_report(self, parcel: Parcel, to: Address) -> bool:
        """Does it look like a report, at an address to which such are sent? It is filed in a folder of its own then."""

    def take(self, parcel: Parcel) -> Awaitable[None]:
        """It is in the mailbox: read it soon. Never raises."""


@dataclass(frozen=True, slots=True)
class DmarcSeen:
    """One message that came in the name of a domain with a policy. All as the report says it (RFC 9990 §3.1.1)."""

    policy_domain: str
    source: str  # the peer's address
    author: str  # domain in From
    envelope: str  # domain of the reverse path, "" for the null path
    disposition: str  # none, quarantine, reject
    dkim: bool  # passed, and for the author's domain
    spf: bool
    signatures: str  # "domain/selector/result", with blanks between
    spf_domain: str
    spf_scope: str  # mfrom, helo
    spf_result: str
    reason: str = ""  # why the policy was not obeyed


class DmarcTally(Protocol):
    """Filled by reports.tally."""

    def count(self, seen: DmarcSeen) -> None:
        """Take note of one message. Costs next to nothing, never raises."""
