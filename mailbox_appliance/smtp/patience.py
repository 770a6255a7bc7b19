"""Who is made to wait before anything is said, and for how long (RFC 5321 §4.3.1 lets the server speak first).

Acquaintances and the owner's networks are greeted at once; a stranger waits a little, since programs that spam talk
first; whoever comes faster than anybody needs to waits longer each time (``pace``).
"""

from __future__ import annotations

from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.smtp.limits import is_in
from mailbox_appliance.smtp.pace import is_at_home
from mailbox_appliance.smtp.parts import Parts


def of_newcomer(parts: Parts, client: Client, origin: Origin, who: object) -> float:
    """Count one arrival of ``who``; the seconds it must wait. The owner's networks and private ones never do."""
    if origin in (Origin.LAN, Origin.DEVICE) or is_in(client.address, parts.settings.trusted):
        return 0.0
    if is_at_home(client.address):
        return 0.0
    limits = parts.settings.limits
    return parts.pace.wait(who, parts.clock.seconds(), limits.arrivals, limits.longest_wait)


def before_banner(parts: Parts, client: Client, origin: Origin) -> float:
    """The seconds of silence before the greeting on port 25; 0 for acquaintances and whom the owner trusts anyway."""
    wait = parts.settings.limits.banner_wait
    if not wait or origin is not Origin.WAN or is_in(client.address, parts.settings.trusted):
        return 0.0
    return 0.0 if parts.acquaintances.is_known(client.address, parts.clock.seconds()) else wait
