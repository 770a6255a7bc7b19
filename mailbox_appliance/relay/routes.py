"""Which way a recipient's mail goes: domain route, smarthost, or the domain's own mail exchangers.

======================== ==========================
the recipient's domain    its mail goes
======================== ==========================
has a route               to that host
any, smarthost is set     to the smarthost
any, ``direct`` is set    to its MX
any                       nowhere: it waits
======================== ==========================

The sender is an argument already, so that routes by sender can become rows of this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.relay.settings import Host, RelaySettings


@dataclass(frozen=True, slots=True)
class ToHost:
    """To a configured host. ``kind`` is "smarthost" or "route"."""

    host: Host
    kind: str

    @property
    def key(self) -> str:
        """The destination's name for the queue."""
        return f"{self.kind} {self.host}"


@dataclass(frozen=True, slots=True)
class ToDomain:
    """To the mail exchangers of ``domain`` (or to an address literal)."""

    domain: str

    @property
    def key(self) -> str:
        """The destination's name for the queue."""
        return self.domain


@dataclass(frozen=True, slots=True)
class Nowhere:
    """There is no way out."""

    @property
    def key(self) -> str:
        """The destination's name for the queue."""
        return "nowhere"


Route = ToHost | ToDomain | Nowhere

NO_ROUTE = Outcome(
    Result.TRY_AGAIN,
    Reply(451, "4.4.4", "no route to other hosts is configured"),
    reason="there is no way out: set [relay] smarthost (with user and password_file), or [relay] direct = true, "
    "then run `mailappliance reload`",
)


def route_for(settings: RelaySettings, reverse_path: Address | None, forward_path: Address) -> Route:
    """The way of one recipient's mail."""
    host = settings.routes.get(forward_path.domain)
    if host is not None:
        return ToHost(host, "route")
    if settings.smarthost is not None:
        return ToHost(settings.smarthost, "smarthost")
    if settings.direct:
        return ToDomain(forward_path.domain)
    return Nowhere()
