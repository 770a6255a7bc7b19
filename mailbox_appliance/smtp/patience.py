"""Who waits for whom, and for how long: strangers for our greeting, and we for what a peer has to say.

RFC 5321 §4.3.1 lets the server speak first; §4.5.3.2 gives a peer five minutes for each command, and nobody has less.
Acquaintances and the owner's networks are greeted at once; a stranger waits a little, since programs that spam talk
first; whoever comes faster than anybody needs to waits longer each time (``pace``).
"""

from __future__ import annotations

from math import inf

from mailbox_appliance.mail.client import Client, Origin
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.smtp.limits import NEIGHBOURS, Limits, Room, is_in
from mailbox_appliance.smtp.line import Line, TooSlow
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


def room_for(limits: Limits, origin: Origin) -> Room:
    """How long a peer of this origin may take; who is no stranger has more room."""
    if origin in (Origin.PAIRED, Origin.LOCAL):
        return NEIGHBOURS
    return limits.strangers if origin is Origin.WAN else limits.known


class Stay:
    """How long we have waited for one peer since its last accepted message. ``message_size`` 0 = no limit."""

    def __init__(self, room: Room, message_size: int) -> None:
        self._message_size = message_size
        self._commands = self._content = 0.0  # seconds waited for them
        self._octets = 0
        self.room = room
        self._credit = room.silence

    def begin_anew(self, room: Room) -> None:
        """A message was accepted, or the peer is somebody else now."""
        self.room = room
        self._commands = self._content = 0.0
        self._octets = 0
        self.content_begins()

    def content_begins(self) -> None:
        """The next content has the whole silence before it."""
        self._credit = self.room.silence

    async def listen(self, line: Line, clock: Clock, progress: bool, in_content: bool) -> bytes:
        """Wait for the peer, and note for how long. Raises TooSlow, and what Line.more raises."""
        began = clock.seconds()
        if not in_content:
            octets = await line.more(progress=progress, restful=True)
            self.waited(clock.seconds() - began)
            return octets
        octets = await line.more(progress=True, restful=False, until=self.until(began))
        self.waited_for_content(clock.seconds() - began, len(octets))
        if self.is_too_slow:
            raise TooSlow
        return octets

    def until(self, now: float) -> float:
        """The moment up to which more content must come."""
        return now + self._credit if self.room.silence else inf

    def waited(self, seconds: float) -> None:
        """For a command, or for a reply to be taken."""
        self._commands += seconds

    def waited_for_content(self, seconds: float, octets: int) -> None:
        """So many octets came then: they give time back, as much as their number needs at the slowest pace."""
        room = self.room
        self._content += seconds
        self._octets += octets
        if room.rate:
            self._credit = min(self._credit - seconds + octets / room.rate, room.silence)

    @property
    def is_over(self) -> bool:
        """Commands without a message have taken too long."""
        return 0 < self.room.stay < self._commands

    @property
    def is_too_slow(self) -> bool:
        """So has content. No octets win time that are more than one message may have."""
        room = self.room
        if self._credit < 0:
            return True
        if not room.content_stay:
            return False
        octets = min(self._octets, self._message_size) if self._message_size else self._octets
        return self._content > room.content_stay + octets / room.content_rate
