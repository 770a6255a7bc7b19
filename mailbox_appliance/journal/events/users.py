"""What happens to domains, accounts, addresses and passwords. Log-ins are told by the service that sees the peer."""

from __future__ import annotations

from typing import ClassVar

from mailbox_appliance.mail.trace import Event, Level
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainAdded(Event):
    """A domain is ours from now on."""

    name: ClassVar[str] = "users.domain_added"
    level: ClassVar[Level] = Level.NOTICE
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRemoved(Event):
    """A domain is no longer ours: its mail is refused."""

    name: ClassVar[str] = "users.domain_removed"
    level: ClassVar[Level] = Level.NOTICE
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainChanged(Event):
    """A domain has another owner or another catch-all address."""

    name: ClassVar[str] = "users.domain_changed"
    level: ClassVar[Level] = Level.NOTICE
    domain: str
    what: str  # "owner", "catch-all"
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAdded(Event):
    """A new account can receive mail and log in."""

    name: ClassVar[str] = "users.account_added"
    level: ClassVar[Level] = Level.NOTICE
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRemoved(Event):
    """An account neither logs in nor gets mail any more, and can be brought back for ``keep_days`` days."""

    name: ClassVar[str] = "users.account_removed"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    keep_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBroughtBack(Event):
    """A removed account lives again, with its addresses, passwords and mail."""

    name: ClassVar[str] = "users.account_brought_back"
    level: ClassVar[Level] = Level.NOTICE
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountForgotten(Event):
    """A removed account cannot be brought back any more: its rows are deleted."""

    name: ClassVar[str] = "users.account_forgotten"
    level: ClassVar[Level] = Level.NOTICE
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged(Event):
    """An account has another quota or another setting."""

    name: ClassVar[str] = "users.account_changed"
    account: str
    what: str  # "quota", or the key of the setting


@dataclass(frozen=True, slots=True, kw_only=True)
class VacationSet(Event):
    """An account answers for somebody who is away, now or from a stated day on."""

    name: ClassVar[str] = "users.vacation_set"
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VacationEnded(Event):
    """An account answers nobody by itself any more."""

    name: ClassVar[str] = "users.vacation_ended"
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(Event):
    """An account has another main password; devices that use the old one must be told."""

    name: ClassVar[str] = "users.password_changed"
    level: ClassVar[Level] = Level.NOTICE
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordWeak(Event):
    """An account's main password is guessed easily: by it nothing is sent from outside until it changes."""

    name: ClassVar[str] = "users.password_weak"
    level: ClassVar[Level] = Level.WARNING
    account: str
    kind: str  # "names", "common", "keyboard", "word", "date", or "judged" (seen at a log-in)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordAllowed(Event):
    """The owner lets an account send with a weak password all the same, or no longer."""

    name: ClassVar[str] = "users.password_allowed"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordLinkMade(Event):
    """There is a link by which somebody chooses another main password, good for a day and for one use."""

    name: ClassVar[str] = "users.password_link_made"
    level: ClassVar[Level] = Level.NOTICE
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordsGuessed(Event):
    """Main passwords were guessed at for a while, to find the weak ones before others do."""

    name: ClassVar[str] = "users.passwords_guessed"
    accounts: int
    guesses: int
    seconds: int
    weak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPasswordMade(Event):
    """A device has a password of its own."""

    name: ClassVar[str] = "users.app_password_made"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPasswordRevoked(Event):
    """The password of a device is worth nothing any more."""

    name: ClassVar[str] = "users.app_password_revoked"
    level: ClassVar[Level] = Level.NOTICE
    account: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSet(Event):
    """An alias leads to these addresses from now on."""

    name: ClassVar[str] = "users.alias_set"
    level: ClassVar[Level] = Level.NOTICE
    alias: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasRemoved(Event):
    """An alias is gone: mail for it is refused, unless a catch-all takes it."""

    name: ClassVar[str] = "users.alias_removed"
    level: ClassVar[Level] = Level.NOTICE
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrowawayMade(Event):
    """An account has a new throw-away address."""

    name: ClassVar[str] = "users.throwaway_made"
    account: str
    address: str
    expires: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrowawayRevoked(Event):
    """A throw-away address is worth nothing any more: mail for it is refused with 550."""

    name: ClassVar[str] = "users.throwaway_revoked"
    account: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrowawayPinned(Event):
    """A throw-away address has got its first mail, and belongs to that sender's domain from now on."""

    name: ClassVar[str] = "users.throwaway_pinned"
    address: str
    domain: str
