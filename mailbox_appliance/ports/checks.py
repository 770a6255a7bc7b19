"""Evidence about a stranger's message, and our own signatures: what smtp/ asks before it accepts.

Filled by ``checks/``. Whoever accepts a message puts ``Verdict.fields``, or what ``Signing.sign`` returns, on top of
its header block.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from typing import Protocol

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.message import Content
from mailbox_appliance.mail.verdict import Action, Personal, Verdict
from mailbox_appliance.ports.delivery import Parcel

# Every check there is, as [checks] weights and switched_off name them.
CHECK_NAMES = (
    "fcrdns", "helo", "dnsbl", "spf", "dkim", "arc", "dmarc", "own", "domain-list", "attachment", "impostor",
    "link", "lure", "text", "scanner", "reputation", "sender", "known", "content", "greylist",
)  # fmt: skip
# Those that only give figures to others: a weight can be set, but there is nothing to switch off.
FURTHER_NAMES = ("helo-spf", "dnswl", "author", "dmarc-record")
# What [checks] actions may say, in the words of mail.verdict.Action.
ACTIONS = tuple(one.value for one in Action)


class Checks(Protocol):
    """All checks of one message behind one door."""

    def examine(self, parcel: Parcel) -> Awaitable[Verdict]:
        """Judge a message from outside as it arrived, before our own fields are put on top. Never raises."""


class PersonalChecks(Protocol):
    """What a recipient's own filter and lists say."""

    def examine_for(self, parcel: Parcel, account: Address | None) -> Awaitable[Personal]:
        """The verdict for ``account`` out of the message's evidence and his own; None: for nobody in particular.

        ``parcel`` is the message as it would be kept, with what was found about it on top. Never raises.
        """


class Standing(enum.Enum):
    """What people have said of a sender."""

    ALLOWED = "allowed"
    BLOCKED = "blocked"
    NONE = ""


class SenderLists(Protocol):
    """What people have said of senders, asked while the sender is still connected."""

    def standing(self, recipient: Address, sender: Address) -> Awaitable[Standing]:
        """ALLOWED if anybody behind ``recipient`` always takes this sender's mail, BLOCKED if all of them refuse it.

        Never raises.
        """


class Signing(Protocol):
    """Our own name under our own mail."""

    def sign(self, content: Content, domain: str) -> Awaitable[bytes]:
        """DKIM-Signature fields for the finished message, made with the keys of ``domain`` (the one of its From).

        Whole lines with LF line ends to put on top; b"" when the domain has no key. Never raises.
        """


class ArcSealing(Protocol):
    """What we saw before we changed or forwarded a message, sealed (RFC 8617)."""

    def seal(self, content: Content, domain: str, verdict: Verdict) -> Awaitable[bytes]:
        """An ARC set by ``domain`` for the message as it will leave, from what the checks found when it came.

        Whole lines with LF line ends to put on top; b"" when nothing was checked, the domain has no key, or the chain
        has ended. Never raises.
        """
