"""Who has behaved lately: strangers must wait for our greeting, acquaintances are greeted at once.

Programs that spam talk before they are greeted, and a short silence at the beginning shows them (RFC 5321 §3.1 lets a
client wait). Whoever has brought an accepted message need not be tried again for a day. The same memory holds to whom
PIPECONNECT was offered: they may talk first the next time.
"""

from __future__ import annotations

from collections import OrderedDict

from mailbox_appliance.mail.client import IPAddress, network_of


class Acquaintances:
    """Bounded: the least recently seen are forgotten. IPv6 counts by /64."""

    def __init__(self, most: int = 8192, seconds: float = 86_400.0) -> None:
        self._most = most
        self._seconds = seconds
        self._behaved: OrderedDict[object, float] = OrderedDict()
        self._offered: OrderedDict[object, float] = OrderedDict()

    def behaved(self, address: IPAddress, now: float) -> None:
        """It has waited for us, and brought a message that was accepted."""
        self._keep(self._behaved, address, now)

    def offered(self, address: IPAddress, now: float) -> None:
        """It was told that it may talk first."""
        self._keep(self._offered, address, now)

    def is_known(self, address: IPAddress, now: float) -> bool:
        """Need not wait."""
        return self._has(self._behaved, address, now)

    def may_talk_first(self, address: IPAddress, now: float) -> bool:
        """PIPECONNECT was offered to it."""
        return self._has(self._offered, address, now)

    def forget(self, address: IPAddress) -> None:
        """It has misbehaved."""
        network = network_of(address)
        self._behaved.pop(network, None)
        self._offered.pop(network, None)

    def _keep(self, table: OrderedDict[object, float], address: IPAddress, now: float) -> None:
        network = network_of(address)
        table[network] = now
        table.move_to_end(network)
        if len(table) > self._most:
            table.popitem(last=False)

    def _has(self, table: OrderedDict[object, float], address: IPAddress, now: float) -> bool:
        return table.get(network_of(address), float("-inf")) > now - self._seconds
