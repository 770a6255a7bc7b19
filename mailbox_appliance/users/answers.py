"""What the desks get to show: listings as plain values (text, numbers, lists), and the refusal of an edit."""

from __future__ import annotations

from dataclasses import field

from mailbox_appliance.mail.values import dataclass


class UsersError(Exception):
    """An edit is refused and nothing was changed; str() tells the owner why and what to do instead."""


@dataclass(frozen=True, slots=True)
class DomainInfo:
    """A line of ``domain list``; ``owner`` and ``catch_all`` are addresses or ''."""

    domain: str
    owner: str
    catch_all: str
    accounts: int
    aliases: int
    added: float


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """A line of ``account list``. ``quota`` in octets, 0 = none; ``removed`` is when, or None while it lives."""

    account: str
    quota: int
    default_quota: bool
    owner_of: tuple[str, ...]
    aliases: tuple[str, ...]
    devices: int
    settings: dict[str, str]
    added: float
    removed: float | None = None
    forgotten_at: float | None = None  # when a removed one can no longer be brought back
    password: str = ""  # "good", "weak", "weak, allowed", or "" (not looked at yet)
    name: str = ""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account just made. ``password`` is set only when we generated it: show it once."""

    account: str
    password: str = field(repr=False)
    owner_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemovedAccount:
    """An account just removed. ``new_owners`` tells (domain, owner or '') for each domain it owned."""

    account: str
    forgotten_at: float
    new_owners: tuple[tuple[str, str], ...]
    dead_aliases: tuple[str, ...]  # aliases that lead nowhere now


@dataclass(frozen=True, slots=True)
class AliasInfo:
    """A line of ``alias list``."""

    alias: str
    targets: tuple[str, ...]
    dead: bool = False  # leads nowhere at the moment


@dataclass(frozen=True, slots=True)
class AppPasswordInfo:
    """A line of ``apppassword list``. ``key`` is the first group of the secret; ``used`` None means never."""

    account: str
    label: str
    key: str
    made: float
    used: float | None
    used_from: str
    used_by: str


@dataclass(frozen=True, slots=True)
class NewAppPassword:
    """An app password just made; ``secret`` is shown once and kept nowhere."""

    account: str
    label: str
    key: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ThrowawayInfo:
    """A line of ``throwaway list``. ``state`` is "in use", "revoked" or "expired"; times in epoch seconds or None."""

    address: str
    account: str
    label: str
    state: str
    made: float
    expires: float | None
    revoked: float | None
    pinned: str
    leaks: int
    leaked: float | None
    leaked_by: str
    number: int = 0
