"""What the desks ask of parts that have no port of their own: contracts filled by acme/, guard/ and service.py."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from mailbox_appliance.mail.client import IPAddress
from mailbox_appliance.mail.values import dataclass


class Knocker(Protocol):
    """A row of ``guard list``: ``banned_until`` in epoch seconds, 0 for one that is only being watched."""

    @property
    def address(self) -> str: ...
    @property
    def failures(self) -> float: ...
    @property
    def banned_until(self) -> float: ...
    @property
    def bans(self) -> int: ...
    @property
    def service(self) -> str: ...
    @property
    def account(self) -> str: ...


class Trail(Protocol):
    """What one address has tried; times in epoch seconds."""

    @property
    def address(self) -> IPAddress: ...

    @property
    def tries(self) -> int: ...

    @property
    def first(self) -> float: ...

    @property
    def last(self) -> float: ...

    @property
    def services(self) -> Sequence[str]: ...

    @property
    def accounts(self) -> Sequence[str]: ...


class Aim(Protocol):
    """What was tried at one name; ``since`` in epoch seconds."""

    @property
    def account(self) -> str: ...

    @property
    def failures(self) -> int: ...

    @property
    def sources(self) -> int: ...

    @property
    def since(self) -> float: ...


class Siege(Protocol):
    """An account at which strangers may only try app passwords before ``until``; times in epoch seconds."""

    @property
    def account(self) -> str: ...
    @property
    def until(self) -> float: ...
    @property
    def bans(self) -> int: ...
    @property
    def last(self) -> float: ...
    @property
    def service(self) -> str: ...


class GuardDesk(Protocol):
    """Who is shut out or being watched just now. Filled by ``guard/``."""

    def listing(self) -> Sequence[Knocker]:
        """Banned ones first."""

    def unban(self, text: str) -> bool:
        """Forgive an address (IPv6: its /64); False when nothing was held against it."""

    def sieges(self) -> Sequence[Siege]:
        """Accounts at which so many strangers guess that they may only try app passwords."""

    def kept(self) -> Sequence[str]:
        """Addresses and networks that come in although their network is shut out."""

    def account_of(self, typed: str) -> str:
        """The account that was meant, "" when nobody has that name."""

    def aims(self) -> Sequence[Aim]:
        """What was tried at each name, the most tried first."""

    def trails(self) -> Sequence[Trail]:
        """What each address has tried lately, the busiest first."""


class CertificateKeeper(Protocol):
    """Filled by ``acme/``: what ``cert renew`` and ``cert rotate`` do."""

    def renew(self) -> Awaitable[str]:
        """Get a new certificate for the same key now; returns what happened. Raises CertificateTrouble."""

    def rotate(self, *, now: bool = False) -> Awaitable[str]:
        """Announce a new key, to be used two days later, or use it ``now``; returns what happened."""


@dataclass(frozen=True, slots=True)
class Door:
    """A listening port: ``trouble`` is "" when it is open."""

    protocol: str
    endpoint: str
    trouble: str = ""
