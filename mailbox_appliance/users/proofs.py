"""What SCRAM needs to know before and after a proof (RFC 5802 §5.1, RFC 7677): salts for all names, and who failed.

Every name has a salt and an iteration count, and the same ones each time: those of an account that was removed stay,
and those of a name that nobody has are made with a key of this installation.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.users import ScramKeys
from mailbox_appliance.users.apppassword import SCRAM_ITERATIONS, SCRAM_SALT_OCTETS
from mailbox_appliance.users.snapshot import Snapshot

DOUBT_SECONDS = 86_400.0
MOST_DOUBTS = 1000


def keys_for(snapshot: Snapshot, address: Address | None, username: str) -> ScramKeys:
    """What is kept for ``username``, which means ``address``: real, or as good as real."""
    account = None
    if address is not None:
        account = snapshot.accounts.get(address) or snapshot.resting.get(address)
    if account is None:
        name = str(address) if address is not None else username.strip().lower()
        salt = hmac.digest(snapshot.salt_key, name.encode("utf-8", "surrogatepass"), "sha256")[:SCRAM_SALT_OCTETS]
        return ScramKeys(salt, SCRAM_ITERATIONS)
    devices = snapshot.devices.get(account.number, ()) if account.removed is None else ()
    return ScramKeys(account.scram_salt, account.scram_iterations, devices)


class Doubtful:
    """Addresses from which a proof failed lately; ``most`` of them, for a day each."""

    def __init__(self, now: Callable[[], float], seconds: float = DOUBT_SECONDS, most: int = MOST_DOUBTS) -> None:
        self._now = now
        self._seconds = seconds
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()

    def add(self, peer: str) -> None:
        """It failed just now."""
        self._until.pop(peer, None)
        self._until[peer] = self._now() + self._seconds
        while len(self._until) > self._most:
            self._until.popitem(last=False)

    def knows(self, peer: str) -> bool:
        """Has it failed lately?"""
        until = self._until.get(peer)
        if until is None:
            return False
        if not until - self._seconds <= self._now() < until:  # over, or the clock was set back
            del self._until[peer]
            return False
        return True
