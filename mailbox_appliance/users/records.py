"""The rows of the user database as values: what the snapshot is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """One of our domains. ``number`` is its place in the order of adding; ``owner`` an account's number or None."""

    name: str
    number: int
    owner: int | None
    catch_all: Address | None
    added: float


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account. ``quota`` None means the default; ``removed`` None means it lives; ``name`` is its owner's."""

    number: int
    address: Address
    hash: str = field(repr=False)
    hash_version: int
    scram_salt: bytes = field(repr=False)
    scram_iterations: int
    quota: int | None
    added: float
    removed: float | None
    settings: Mapping[str, str] = field(repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class AppPasswordRecord:
    """A device's password. ``account`` is the account's number; ``used`` is what had been written at load time."""

    number: int
    account: int
    prefix: str
    label: str
    digest: bytes = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    made: float
    used: float | None
    used_from: str
    used_by: str

    @property
    def proof(self) -> int:
        """Stands for this secret: row numbers are used again, digests are not."""
        return int.from_bytes(self.digest[:8])


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What is known of one main password: ``weak`` is a kind of weakness or "". ``account`` is the account's number."""

    account: int
    hash_version: int
    judged: float | None = None
    weak: str = ""
    found: float | None = None
    allowed: bool = False


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """A link by which an account chooses another password."""

    digest: bytes = field(repr=False)
    account: int
    hash_version: int
    expires: float


@dataclass(frozen=True, slots=True)
class ThrowawayRecord:
    """A throw-away address. ``account`` is the account's number; times in epoch seconds, None for never."""

    number: int
    account: int
    address: Address
    label: str
    made: float
    expires: float | None
    revoked: float | None
    text: str
    pinned: str

    def is_over(self, now: float) -> bool:
        """Has it been revoked, or has its time run out?"""
        return self.revoked is not None or (self.expires is not None and self.expires <= now)
