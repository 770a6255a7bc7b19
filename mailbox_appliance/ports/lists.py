"""Family lists: what delivery asks of ``lists/``, and what ``lists/`` asks of the people in ``users/``."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.trace import Event
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.delivery import Outgoing, Parcel
from mailbox_appliance.ports.rounds import Rows, Write
from mailbox_appliance.ports.users import AtList


@dataclass(frozen=True, slots=True)
class Member:
    """``paused``: "" gets mail, "bounces" his mail came back, "wish" by the owner's hand. Times in epoch seconds."""

    number: int
    address: Address
    moderator: bool = False
    paused: str = ""
    bounces: int = 0
    bounced: float = 0.0


@dataclass(frozen=True, slots=True)
class MailingList:
    """``posting``: members, anyone, moderators. ``joining``: open, closed. ``author``: auto, always (rewritten)."""

    number: int
    address: Address
    title: str
    owner: Address | None  # an account of ours
    posting: str
    joining: str
    tag: str
    author: str
    archive: bool
    most_octets: int
    members: tuple[Member, ...] = ()

    def member(self, address: Address) -> Member | None:
        """Who has that address, upper and lower case being the same."""
        wanted = str(address).lower()
        return next((one for one in self.members if str(one.address).lower() == wanted), None)

    def part(self, word: str, token: str = "") -> Address:
        """``family-WORD@``, or ``family-WORD+TOKEN@``."""
        tail = f"+{token}" if token else ""
        return Address(f"{self.address.local}-{word}{tail}", self.address.domain)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a message to a list comes to. ``refusal`` None: it is taken, and the rest belongs into its round."""

    refusal: Reply | None = None
    outgoing: tuple[Outgoing, ...] = ()
    writes: tuple[Write, ...] = ()
    rows: tuple[Rows, ...] = ()
    told: tuple[Event, ...] = ()
    archive: tuple[Address, str] | None = None  # the account and mailbox that keep a copy


class Mailings(Protocol):
    """Whoever runs the lists."""

    def take(self, parcel: Parcel, at: AtList) -> Awaitable[Taken]:
        """A post, a wish to join or leave, a moderator's word, a bounce. Raises Busy, OSError, sqlite3.Error."""


class Memberships(Protocol):
    """The lists and their members."""

    def find(self, address: Address) -> MailingList | None:
        """From memory."""

    def join(self, address: Address, member: Address) -> Awaitable[bool]:
        """False when he is a member already."""

    def leave(self, address: Address, member: Address) -> Awaitable[bool]:
        """False when he was none."""

    def bounced(self, address: Address, number: int) -> Awaitable[tuple[Member, bool] | None]:
        """Mail to a member came back: the member as kept now, and whether that paused it; None if there is none."""


class AuthorPolicies(Protocol):
    """What the domain of an author publishes."""

    def is_strict(self, domain: str) -> Awaitable[bool]:
        """Does it ask that mail in its name is refused or put into Junk unless it is proven (DMARC)? Never raises."""


class Archives(Protocol):
    """Where a list keeps what was written to it."""

    def folder(self, one: MailingList) -> Awaitable[tuple[Address, str] | None]:
        """The account and mailbox, made when it is missing, which its members here may read. None: not just now."""


class OneClick(Protocol):
    """RFC 8058: what the web page asks."""

    def unsubscribe(self, token: str) -> Awaitable[str]:
        """End the membership that ``token`` stands for; the list's name, "" when the token is none."""


PARTS: Sequence[str] = (
    "subscribe",
    "unsubscribe",
    "confirm",
    "request",
    "owner",
    "bounces",
    "approve",
    "reject",
)
