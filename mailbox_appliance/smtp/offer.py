"""What a session tells the machine of SMTP before the greeting: what this peer is offered, and what it may use up."""

from __future__ import annotations

from datetime import UTC, datetime

from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.smtp.limits import is_in
from mailbox_appliance.smtp.parts import Parts
from mailbox_appliance.smtp.patience import room_for
from mailbox_appliance.wire.smtp.terms import SERVICES, Terms


def terms(parts: Parts, client: Client, origin: Origin, *, tls_available: bool) -> Terms:
    """For one peer, by its service and where it comes from."""
    limits, service = parts.settings.limits, SERVICES[client.service]
    return Terms(
        service,
        parts.settings.hostname,
        tls_available,
        limits.message_size,
        limits.command_line,
        limits.auth_line,
        limits.errors,
        room_for(limits, origin).commands,
        recipients=limits.recipients,
        hold=limits.hold,
        hold_until=_last_day(parts.clock.seconds() + limits.hold) if service.needs_auth else "",
        pipeconnect=client.service == "smtp",
        xclient=client.service == "smtp" and is_in(client.address, parts.settings.xclient),
    )


def _last_day(moment: float) -> str:
    """The beginning of that day, RFC 3339: the same words for all sessions of one day."""
    return datetime.fromtimestamp(moment // 86_400 * 86_400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
