"""What the sessions of this station ask of others, in one frozen value that the service fills."""

from __future__ import annotations

from dataclasses import field

from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.checks import Checks, SenderLists, Signing
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.delivery import Acceptance
from mailbox_appliance.ports.guard import Guard
from mailbox_appliance.ports.journal import FullJournal
from mailbox_appliance.ports.queue import Allowance
from mailbox_appliance.ports.users import Directory, LogIn
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.smtp.acquaintances import Acquaintances
from mailbox_appliance.smtp.devices import DaysWork
from mailbox_appliance.smtp.intake import Budget
from mailbox_appliance.smtp.limits import SmtpSettings, is_in
from mailbox_appliance.smtp.pace import Pace


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a session asks of others; one for all sessions."""

    settings: SmtpSettings
    clock: Clock
    workers: Workers
    journal: FullJournal
    directory: Directory
    log_in: LogIn
    guard: Guard
    acceptance: Acceptance
    budget: Budget
    checks: Checks | None = None
    allowance: Allowance | None = None
    acquaintances: Acquaintances = field(default_factory=Acquaintances)
    signing: Signing | None = None
    pace: Pace = field(default_factory=Pace)
    days_work: DaysWork = field(default_factory=DaysWork)
    lists: SenderLists | None = None


def origin_of(settings: SmtpSettings, client: Client) -> Origin:
    """LAN is what the owner configured and nothing else, not even loopback; LMTP is a server on this machine."""
    if client.service == "lmtp":
        return Origin.LOCAL
    if client.service == "link":
        return Origin.PAIRED
    if client.device:
        return Origin.DEVICE
    return Origin.LAN if is_in(client.address, settings.lan) else Origin.WAN
