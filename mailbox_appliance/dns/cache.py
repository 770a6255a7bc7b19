"""What the resolver remembers, and for how long: bounded in entries and in seconds (RFC 1035 §7.4, RFC 2308 §5)."""

from __future__ import annotations

import dataclasses

from mailbox_appliance.dns.settings import DnsSettings
from mailbox_appliance.ports.dns import Answer, Status

Key = tuple[str, str]


class Cache:
    """Answers by (name, type); the oldest entry makes room for a new one."""

    def __init__(self, settings: DnsSettings) -> None:
        self._settings = settings
        self._rows: dict[Key, tuple[float, Answer]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Key, now: float) -> Answer | None:
        """The remembered answer with the seconds it still has, or None."""
        answer = self.glance(key, now)
        return None if answer is None else dataclasses.replace(answer, ttl=int(self._rows[key][0] - now))

    def glance(self, key: Key, now: float) -> Answer | None:
        """The remembered answer as it was put, or None."""
        row = self._rows.get(key)
        if row is None:
            return None
        until, answer = row
        # A clock that was set back far must not make an entry eternal.
        if not now < until <= now + self._settings.longest_ttl:
            del self._rows[key]
            return None
        return answer

    def put(self, key: Key, answer: Answer, now: float) -> Answer:
        """Remember ``answer``; returns it with the TTL it was given."""
        settings = self._settings
        if answer.status is Status.OK:
            ttl = min(max(answer.ttl, settings.shortest_ttl), settings.longest_ttl)
        elif answer.status is Status.TEMPERROR:
            ttl = settings.trouble_ttl
        else:
            ttl = min(max(answer.ttl, settings.shortest_ttl), settings.longest_negative_ttl)
        answer = dataclasses.replace(answer, ttl=int(ttl))
        self._rows.pop(key, None)
        while len(self._rows) >= settings.most_entries:
            del self._rows[next(iter(self._rows))]
        if ttl > 0:
            self._rows[key] = (now + ttl, answer)
        return answer

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
