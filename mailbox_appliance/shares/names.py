"""What a shared mailbox is called, depending on who asks.

Ann's mailbox "Holiday" is "Other Users.ann.Holiday" to people of her domain, "Other Users.ann@example^org.Holiday" to
others: a level cannot hold a dot, so "^" stands for it (as at Cyrus), which no address of ours can hold. Folders of
nobody are called the same by everybody: "Shared.Lists.family".
"""

from __future__ import annotations

from mailbox_appliance.mail.address import Address, AddressError
from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.sharing import FAMILY, OTHERS, SHARED

_DOT = "^"


@dataclass(frozen=True, slots=True)
class Where:
    """A mailbox as its owner's store calls it."""

    owner: Address
    mailbox: str


def level_of(owner: Address, reader: Address) -> str:
    """The owner as one level of a name.

    >>> level_of(Address("ann.b", "example.org"), Address("bob", "example.org"))
    'ann^b'
    """
    text = owner.local if owner.domain == reader.domain else str(owner)
    return text.replace(SEPARATOR, _DOT)


def owner_of(level: str, reader: Address) -> Address | None:
    """Whom a level means; None when it can be nobody."""
    text = level.replace(_DOT, SEPARATOR)
    try:
        return Address.parse(text if "@" in text else f"{text}@{reader.domain}").folded()
    except AddressError:
        return None


def name_of(where: Where, reader: Address) -> str:
    """What ``reader`` calls the mailbox."""
    if where.owner == reader or where.owner == FAMILY:
        return where.mailbox
    return SEPARATOR.join((OTHERS, level_of(where.owner, reader), where.mailbox))


def located(name: str, reader: Address) -> Where | None:
    """Where the mailbox is that ``reader`` calls so; None when it can be nowhere but among his own."""
    if name.startswith(SHARED + SEPARATOR):
        return Where(FAMILY, name)
    if not name.startswith(OTHERS + SEPARATOR):
        return None
    level, _, rest = name[len(OTHERS) + 1 :].partition(SEPARATOR)
    owner = owner_of(level, reader)
    if owner is None or not rest or owner in (reader, FAMILY):
        return None
    first, dot, below = rest.partition(SEPARATOR)
    return Where(owner, INBOX + dot + below if first.upper() == INBOX else rest)
