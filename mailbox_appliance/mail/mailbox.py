"""Words about mailboxes: names, flags, special uses, counts (RFC 3501, RFC 9051, RFC 6154).

A mailbox name is text with "." between the levels, "INBOX" in upper case for the inbox; what a client sends in
modified UTF-7 is decoded before it becomes a name, and disk names are the store's own affair.
Flags of one message are one integer: bits 0–4 are the system flags, bit 5 is \\Recent (a session's, never on disk),
bits 6–63 are the mailbox's keywords in the order of ``Mailbox.keywords``.
"""

from __future__ import annotations

import enum
import sys
from array import array

from mailbox_appliance.mail.values import dataclass

SEPARATOR = "."
INBOX = "INBOX"

SEEN = 1 << 0
ANSWERED = 1 << 1
FLAGGED = 1 << 2
DELETED = 1 << 3
DRAFT = 1 << 4
RECENT = 1 << 5
SYSTEM_FLAGS: tuple[tuple[int, str], ...] = (
    (ANSWERED, "\\Answered"),
    (FLAGGED, "\\Flagged"),
    (DELETED, "\\Deleted"),
    (SEEN, "\\Seen"),
    (DRAFT, "\\Draft"),
)
FIRST_KEYWORD_BIT = 6
MOST_KEYWORDS = 58
_LOW_OCTET = 0 if sys.byteorder == "little" else 7
_HAS = {bit: bytes(number & bit != 0 for number in range(256)) for bit in (SEEN, DELETED)}


def system_octets(flags: array[int]) -> bytes:
    """An octet for each message, in order: the system flags out of its 64 bits. What runs over it is C."""
    return flags.tobytes()[_LOW_OCTET::8]


def unseen_and_deleted(flags: array[int]) -> tuple[int, int]:
    """How many messages lack \\Seen, and how many bear \\Deleted."""
    octets = system_octets(flags)
    return octets.translate(_HAS[SEEN]).count(0), octets.translate(_HAS[DELETED]).count(1)


class SpecialUse(enum.Enum):
    """Special-use attributes (RFC 6154 §2)."""

    ALL = "\\All"
    ARCHIVE = "\\Archive"
    DRAFTS = "\\Drafts"
    FLAGGED = "\\Flagged"
    JUNK = "\\Junk"
    SENT = "\\Sent"
    TRASH = "\\Trash"


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """One line of LIST."""

    name: str
    selectable: bool = True
    special_use: SpecialUse | None = None
    subscribed: bool = False
    has_children: bool = False
    exists: bool = True  # False: only subscribed (\\NonExistent)


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """What STATUS can ask for; sizes in octets with CRLF (RFC 8438)."""

    messages: int
    recent: int
    uidnext: int
    uidvalidity: int
    unseen: int
    highest_modseq: int
    size: int
    deleted: int
    mailbox_id: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """Octets and messages in use by an account; a limit of 0 means none."""

    used: int
    limit: int
    messages: int = 0
