"""The queue: what delivery puts in, and what the desk asks. Filled by ``queue/``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Envelope
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mail.report import Fate
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.rounds import Commit


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """A recipient as ``queue list`` shows it. Times are epoch seconds; ``state`` active, waiting, held, frozen, failed.

    ``reason`` is what came of the last try, in our own words.
    """

    address: str
    state: str
    next_attempt: float
    tries: int
    last_reply: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message in the queue."""

    trace: str
    reverse_path: str
    arrived: float
    size: int
    account: str
    recipients: tuple[QueuedRecipient, ...]


class Allowance(Protocol):
    """How much an account may send in a day."""

    def refusal(self, account: Address, recipients: Sequence[Address]) -> Awaitable[Reply | None]:
        """Asked at RCPT with everybody outside that one message has named so far: None, or what to say."""


class Spool(Protocol):
    """Entering: ``prepare`` gives the round's work, ``entered`` starts the sending once the round is durable."""

    def prepare(self, trace: str, origin: Origin, account: str, envelope: Envelope, content: Content) -> Commit:
        """The file and rows that put ``envelope``'s recipients into the queue. Pure: nothing is done yet."""

    def entered(self, trace: str) -> None:
        """The round with that entry is durable: it may be sent from now on."""


class Reports(Protocol):
    """Delivery status notifications (RFC 3464), as far as the sender wants them and may have them."""

    def tell(
        self, trace: str, envelope: Envelope, arrived: float, content: Content, fates: Sequence[Fate]
    ) -> Awaitable[bool]:
        """Tell the reverse path of ``fates``. False when that could not be done now and should be tried again."""


class QueueDesk(Protocol):
    """What an operator may do; names are trace ids. Each returns how many recipients it touched."""

    def listing(self) -> Awaitable[tuple[QueuedMessage, ...]]:
        """Everything that waits, oldest first."""

    def retry(self, traces: tuple[str, ...]) -> Awaitable[int]:
        """Try now; no ids means all that are not held."""

    def hold(self, traces: tuple[str, ...]) -> Awaitable[int]:
        """Keep back until released."""

    def release(self, traces: tuple[str, ...]) -> Awaitable[int]:
        """Let go what was held."""

    def drop(self, traces: tuple[str, ...], bounce: bool = False) -> Awaitable[int]:
        """Remove; with ``bounce`` the sender gets a DSN where one is due."""

    def content(self, trace: str) -> Awaitable[Content | None]:
        """The message itself, for ``queue show``."""

    def flush(self, domain: str) -> Awaitable[int]:
        """Try now whatever waits for ``domain`` (of the recipients) and is not held."""

    def freeze(self, domain: str) -> Awaitable[int]:
        """Nothing leaves for ``domain`` until it is thawed, what comes later neither."""

    def thaw(self, domain: str) -> Awaitable[int | None]:
        """Let go of it; None when it was not frozen."""


@dataclass(frozen=True, slots=True)
class OwnMessage:
    """What an account has submitted and what has not left yet. ``uid`` is of its Outbox; ``path`` is LF text on disk.

    ``failed``: it will not be tried again. ``size`` in octets with CRLF.
    """

    uid: int
    trace: str
    arrived: float
    path: str
    header_size: int
    octets: int
    size: int
    recipients: tuple[QueuedRecipient, ...]
    failed: bool


@dataclass(frozen=True, slots=True)
class OwnMessages:
    """All of it, by UID."""

    uidvalidity: int
    uidnext: int
    messages: tuple[OwnMessage, ...]


class OwnQueue(Protocol):
    """The queue as one account sees it; nobody else's mail ever shows."""

    def of(self, account: Address) -> Awaitable[OwnMessages]:
        """What waits or has failed."""

    def cancel(self, account: Address, uids: Sequence[int]) -> Awaitable[frozenset[int]]:
        """Send it to nobody any more; returns the UIDs that are gone so. What is just being sent to somebody stays."""

    def send_now(self, account: Address, uids: Sequence[int]) -> Awaitable[None]:
        """Rest no longer, wait no longer; what has failed begins anew."""

    def watch(self, account: Address, listener: Callable[[], None]) -> None:
        """Call ``listener`` soon after something of the account's has come, left or failed."""

    def unwatch(self, account: Address, listener: Callable[[], None]) -> None:
        """No longer."""
