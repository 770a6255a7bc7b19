"""Addresses that could not be reached lately: passed over for a short while, so that one dead host delays little."""

from __future__ import annotations

from mailbox_appliance.mail.outcome import Outcome
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.relay.mx import Target

MOST = 1000


@dataclass(frozen=True, slots=True)
class _Grave:
    until: float
    outcome: Outcome


class DeadHosts:
    """``seconds`` is how long an address rests after a failure."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._graves: dict[tuple[str, int], _Grave] = {}

    def bury(self, target: Target, outcome: Outcome, now: float, most: float = 1e9) -> None:
        """The address could not be reached; it rests, for at most ``most`` seconds."""
        seconds = min(self._seconds, most)
        key = (target.address, target.port)
        self._graves.pop(key, None)
        while len(self._graves) >= MOST:
            del self._graves[next(iter(self._graves))]
        if seconds > 0:
            self._graves[key] = _Grave(now + seconds, outcome)

    def lives(self, target: Target) -> None:
        """It was reached."""
        self._graves.pop((target.address, target.port), None)

    def clear(self) -> None:
        """Forget them all."""
        self._graves.clear()

    def why(self, target: Target, now: float) -> Outcome | None:
        """The failure because of which the address rests; None when it may be tried."""
        key = (target.address, target.port)
        grave = self._graves.get(key)
        if grave is None:
            return None
        if not now < grave.until <= now + self._seconds:
            del self._graves[key]
            return None
        return grave.outcome
