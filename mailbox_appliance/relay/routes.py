"""Which way a recipient's mail goes: domain route, smarthost, or the domain's own mail exchangers.

================= ==================== ================================================
recipient domain   sender's domain      its mail goes
================= ==================== ================================================
has a route        any                  to that host
any                has a smarthost      to that one
any                any                  to the smarthost, unless ``direct`` is set too
any                any                  to its MX when ``direct`` is set; a smarthost beside
                                        it is where mail falls back to
any                any                  nowhere: it waits
================= ==================== ================================================
"""

from __future__ import annotations

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.outcome import Outcome, Result
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.relay.settings import Host, RelaySettings


@dataclass(frozen=True, slots=True)
class ToHost:
    """To a configured host. ``kind`` is "smarthost" or "route" ("sender" is a smarthost, too, of the sender's own)."""

    host: Host
    kind: str

    @property
    def key(self) -> str:
        """The destination's name for the queue."""
        # Two users at one host are two places: a connection belongs to who has logged in on it.
        user = f"{self.host.user} " if self.host.user and self.kind != "smarthost" else ""
        return f"{self.kind} {user}{self.host}"


@dataclass(frozen=True, slots=True)
class ToDomain:
    """To the mail exchangers of ``domain`` (or to an address literal), else perhaps by ``fallback``."""

    domain: str
    fallback: ToHost | None = None

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
    if reverse_path is not None and (own := settings.senders.get(reverse_path.domain)) is not None:
        return ToHost(own, "sender")
    smarthost = ToHost(settings.smarthost, "smarthost") if settings.smarthost is not None else None
    if settings.direct:
        return ToDomain(forward_path.domain, smarthost)
    if smarthost is not None:
        return smarthost
    return Nowhere()
