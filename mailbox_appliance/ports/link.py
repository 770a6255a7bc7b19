"""The paired half: what others know of the link. Filled by ``link/`` and, for what was taken over, ``queue/``."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.rounds import Rows


@dataclass(frozen=True, slots=True)
class Pairing:
    """With whom we are paired. ``fingerprint`` is the SHA-256 of its certificate; ``host``, ``port``: where to dial."""

    role: str  # ours: "edge" or "store"
    name: str  # the host name of the other side
    fingerprint: str
    since: float  # epoch seconds
    host: str = ""  # the store's: where its edge listens
    port: int = 0


class TakenOver(Protocol):
    """Which messages have come over the link: what has come once does not come again."""

    def known(self, id: str, paths: Iterable[Address]) -> Awaitable[frozenset[Address]]:
        """Those of ``paths`` that message ``id`` has been taken over for."""

    def rows(self, id: str, paths: Iterable[Address]) -> Rows:
        """For the commit round in which they are taken over."""

    def forget_old(self) -> Awaitable[int]:
        """Once a day: what is older than the other side remembers its mail; returns how many."""


class Asker(Protocol):
    """The edge asks its store about a recipient that is not on the list."""

    def ask(self, address: Address, octets: int) -> Awaitable[Reply | None]:
        """What the store says (2xx: it takes it); None when it cannot be asked now."""
