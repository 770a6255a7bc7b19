"""Who lives here: what SMTP, delivery, IMAP and the desks ask of the user database. Filled by ``users/``.

Log-in goes through one twisted.cred portal, which ``LogIn`` hides from the stations: known and unknown users are
refused alike, in text and time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import field
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.values import dataclass


@dataclass(frozen=True, slots=True)
class LocalMailbox:
    """Deliver to ``account`` (its primary address). ``detail`` is the subaddress ("shop" of ann+shop), or ''."""

    account: Address
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Send on to an address outside (an alias with a remote target)."""

    address: Address


@dataclass(frozen=True, slots=True)
class BackTo:
    """A bounce for mail that we forwarded under our own name: on to whoever had sent it (SRS)."""

    address: Address


@dataclass(frozen=True, slots=True)
class AtList:
    """A mailing list, or one of its addresses: ``family-unsubscribe+TOKEN@`` has a part and a token."""

    address: Address
    part: str = ""
    token: str = ""


Destination = LocalMailbox | Elsewhere | BackTo | AtList


@dataclass(frozen=True, slots=True)
class Known:
    """The address exists; ``destinations`` without doubles, aliases expanded to the end. ``via`` names the alias."""

    destinations: tuple[Destination, ...]
    via: str = ""  # "", "alias", "catch-all", "role", "throwaway"


@dataclass(frozen=True, slots=True)
class Unknown:
    """One of our domains, but nobody of that name: 550 5.1.1. ``text`` replaces the standard words when set."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class NotOurs:
    """The domain is not one of ours."""


Resolution = Known | Unknown | NotOurs


@dataclass(frozen=True, slots=True)
class Principal:
    """A logged-in user. ``device`` is the label of the app password used, '' for the main password.

    ``proof`` stands for what was proven (which password, and which setting of it); ``LogIn.still_admits`` knows it.
    ``hidden`` are the IMAP capabilities that the account's mail programs are not shown. ``paired``: no person, but the
    other half of our pair.
    """

    account: Address
    device: str = ""
    may_send: bool = True
    quota: int = 0  # octets; 0 = none
    proof: int = field(default=0, compare=False)
    hidden: frozenset[str] = frozenset()
    paired: bool = False


@dataclass(frozen=True, slots=True)
class PasswordCredentials:
    """A user name and a password as typed.

    ``username`` may be the whole address or, when there is one domain only, its local part. ``device_only``: a main
    password is not to be looked at (``Guard.devices_only``).
    """

    username: str
    password: str = field(repr=False)
    service: str = ""
    peer: str = ""
    device_only: bool = False


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """What is kept of one app password for SCRAM-SHA-256 (RFC 5802 §3): ``number`` tells the device."""

    number: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """Everything a SCRAM exchange asks of an account. An unknown one has a salt of its own, too, and no devices."""

    salt: bytes = field(repr=False)
    iterations: int
    devices: tuple[DeviceKey, ...] = ()


@dataclass(frozen=True, slots=True)
class ProvenCredentials:
    """The end of a SCRAM exchange: ``device`` is the key that fitted, None when none did."""

    username: str
    device: int | None
    service: str = ""
    peer: str = ""


class LogInRefused(Exception):
    """Wrong name or password (which of them is never said). ``later`` True: could not be checked now, try again.

    ``token`` stands for this name and password (a keyed hash that only this process can make): give it to
    ``Guard.failed``, which so knows a phone that repeats one wrong password. Nothing is to be counted when ``later``.
    """

    def __init__(self, text: str = "wrong user name or password", *, later: bool = False, token: bytes = b"") -> None:
        super().__init__(text)
        self.later = later
        self.token = token


class LogIn(Protocol):
    """The one door for every service."""

    def log_in(self, credentials: PasswordCredentials | ProvenCredentials) -> Awaitable[Principal]:
        """Raises LogInRefused. The guard is told by the caller, who knows the peer."""

    def still_admits(self, principal: Principal) -> bool:
        """Would the log-in that gave ``principal`` still succeed? From memory.

        False once the password has changed, the app password was revoked, or the account is gone.
        """

    def is_weak(self, principal: Principal) -> bool:
        """Was the log-in by a main password that is known to be weak? From memory.

        False where the owner lets it send all the same, and for app passwords, which nobody guesses.
        """

    def offers_scram(self, peer: str) -> bool:
        """Is SCRAM worth offering to ``peer``? It takes app passwords only, and mail programs prefer it blindly."""

    def scram_keys(self, username: str) -> Awaitable[ScramKeys]:
        """For an exchange; a name that nobody has gets the same salt each time, too. Never raises."""


class NotChanged(Exception):
    """A password stays as it is; ``str()`` is fit for the person's eyes. ``suggestions`` are good ones to take."""

    def __init__(self, text: str, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.suggestions = suggestions


class OwnPassword(Protocol):
    """People change their own main password. ``peer`` is the address of whoever asks."""

    def holder(self, token: str) -> str:
        """The account whose password the link with ``token`` changes; "" when it is not good (any more)."""

    def missed(self, peer: str) -> None:
        """Somebody tried a link that is not good."""

    def by_link(self, token: str, new: str, peer: str) -> Awaitable[None]:
        """Set ``new`` and spend the link. Raises NotChanged."""

    def by_password(self, user: str, old: str, new: str, peer: str) -> Awaitable[None]:
        """Set ``new`` for whoever knows the current password. Raises NotChanged."""


class Directory(Protocol):
    """Addresses and accounts."""

    def domains(self) -> frozenset[str]:
        """Our domains (A-labels), from memory."""

    def resolve(self, address: Address) -> Awaitable[Resolution]:
        """Where mail for ``address`` goes (RFC 5321 §3.3, §5.1). The bare role ``postmaster`` has domain ''."""

    def owns(self, account: Address, address: Address) -> Awaitable[bool]:
        """May ``account`` write as ``address``? Primary, aliases to it alone or with it, details, catch-all."""

    def accounts(self) -> Awaitable[tuple[Address, ...]]:
        """Every account's primary address."""

    def quota(self, account: Address) -> Awaitable[int]:
        """Octets the account may keep; 0 = no limit."""

    def owner(self, domain: str) -> Awaitable[Address | None]:
        """The owner account of one of our domains."""

    def settings(self, account: Address) -> Awaitable[Mapping[str, str]]:
        """Small per-account settings by key."""

    def display_names(self) -> Awaitable[Mapping[Address, str]]:
        """How people are called, by account: of those who have a name."""


@dataclass(frozen=True, slots=True)
class Throwaway:
    """A throw-away address in use. ``number`` is never used twice; ``expires`` in epoch seconds or None."""

    number: int
    address: Address
    label: str
    made: float
    expires: float | None = None


class ThrowawayRefused(Exception):
    """It cannot be made or revoked; ``str()`` is fit for the user's eyes. ``exists``: the label is taken already."""

    def __init__(self, text: str, *, exists: bool = False) -> None:
        super().__init__(text)
        self.exists = exists


class Throwaways(Protocol):
    """Throw-away addresses: one for each shop, worth nothing to anybody else, ended at will."""

    def of(self, account: Address) -> tuple[Throwaway, ...]:
        """Those in use, the oldest first."""

    def make(self, account: Address, label: str, days: float | None = None) -> Awaitable[Throwaway]:
        """A new one that leads to ``account``; ``days`` until it expires. Raises ThrowawayRefused."""

    def end(self, account: Address, address: Address, text: str = "") -> Awaitable[Throwaway]:
        """Revoke one of the account's own: senders hear 550 with ``text``. Raises ThrowawayRefused."""

    def met(self, address: Address, sender: str, *, trusted: bool) -> Awaitable[str]:
        """Mail for ``address`` has come from the domain ``sender``: '' when that is as it should be.

        The first sender that is ``trusted`` (not junk) is remembered; another is a leak, is counted, and the answer is
        the domain that the address was given to.
        """

    def made_lately(self, account: Address, seconds: float = 900.0) -> bool:
        """Did ``account`` make one just now? Then mail that it waits for is about to come."""
