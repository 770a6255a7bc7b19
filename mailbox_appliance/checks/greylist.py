"""Asking a suspicious first-time sender to come again in a few minutes: mail servers do, junk programs often do not.

Off by default, since it delays. Who waits for a letter is not kept waiting: for a quarter of an hour after somebody
has opened Rejects or made a throw-away address, nothing is put off for him. All in memory: after a restart a sender is
asked once more at worst.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_network

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.ports.clock import Clock

WAIT = 240.0  # seconds until the next try counts
PATIENCE = 2 * 86_400.0  # within which it must come
LANE = 900.0
MOST = 20_000
_MOST_LANES = 1_000

_Key = tuple[str, str, str]


class Greylist:
    """First tries by network, author and account; lanes by account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tried: OrderedDict[_Key, float] = OrderedDict()
        self._lanes: OrderedDict[Address, float] = OrderedDict()

    def open_lane(self, account: Address) -> None:
        """The person waits for a letter."""
        self._lanes[account] = self._clock.seconds()
        self._lanes.move_to_end(account)
        while len(self._lanes) > _MOST_LANES:
            self._lanes.popitem(last=False)

    def has_lane(self, account: Address) -> bool:
        """Is nothing to be put off for this person just now?"""
        return 0 <= self._clock.seconds() - self._lanes.get(account, float("-inf")) < LANE

    def must_wait(self, address: IPAddress, sender: str, account: Address) -> bool:
        """Note a try; True when it came too early."""
        now = self._clock.seconds()
        prefix = 24 if address.version == 4 else 64
        key = (str(ip_network(f"{address}/{prefix}", strict=False)), sender.lower()[:320], str(account))
        first = self._tried.get(key)
        if first is None or not 0 <= now - first <= PATIENCE:
            self._tried[key] = now
            self._tried.move_to_end(key)
            while len(self._tried) > MOST:
                self._tried.popitem(last=False)
            return True
        return now - first < WAIT
