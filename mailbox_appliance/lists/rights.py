"""Who may write to a list, as a table that can be read aloud; the first row that fits decides."""

from __future__ import annotations

import enum

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.delivery import Parcel
from mailbox_appliance.ports.lists import MailingList


class Author(enum.Enum):
    """Who wrote it."""

    MODERATOR = "a moderator, proven"
    MEMBER = "a member, proven"
    DOUBTFUL = "says to be a member, but nothing proves it"
    STRANGER = "no member"


class Ruling(enum.Enum):
    """What becomes of it."""

    POST = "goes to everybody"
    HOLD = "waits for a moderator"
    REFUSE = "is refused"


# posting, author → ruling
TABLE: dict[tuple[str, Author], Ruling] = {
    ("members", Author.MODERATOR): Ruling.POST,
    ("members", Author.MEMBER): Ruling.POST,
    ("members", Author.DOUBTFUL): Ruling.HOLD,
    ("members", Author.STRANGER): Ruling.REFUSE,
    ("anyone", Author.MODERATOR): Ruling.POST,
    ("anyone", Author.MEMBER): Ruling.POST,
    ("anyone", Author.DOUBTFUL): Ruling.POST,
    ("anyone", Author.STRANGER): Ruling.POST,
    ("moderators", Author.MODERATOR): Ruling.POST,
    ("moderators", Author.MEMBER): Ruling.HOLD,
    ("moderators", Author.DOUBTFUL): Ruling.HOLD,
    ("moderators", Author.STRANGER): Ruling.HOLD,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """The author, what he is, and what follows."""

    author: Address
    who: Author
    ruling: Ruling


def judge(one: MailingList, parcel: Parcel, author: Address, ours: frozenset[str]) -> Judged:
    """Decide about a post of ``author`` (the address in From)."""
    member = one.member(author)
    is_owner = one.owner is not None and str(one.owner).lower() == str(author).lower()
    if member is None and not is_owner:
        who = Author.STRANGER
    elif not is_proven_author(parcel, author, ours):
        who = Author.DOUBTFUL
    elif is_owner or (member is not None and member.moderator):
        who = Author.MODERATOR
    else:
        who = Author.MEMBER
    return Judged(author, who, TABLE[one.posting, who])


def is_proven_author(parcel: Parcel, author: Address, ours: frozenset[str]) -> bool:
    """Does anything stand behind the address in From?

    Log-ins do, and DMARC, or SPF or DKIM of the very domain where it publishes nothing. What is delivered again has
    lost its evidence: then our own domains are believed, whose name nobody outside may use. Without checks all are.
    """
    if parcel.origin in (Origin.AUTHENTICATED, Origin.PAIRED):
        return True
    if parcel.origin is Origin.LOCAL:
        return author.domain in ours
    if parcel.verdict.is_proven:
        return True
    found = {f"{one.check} {one.result}" for one in parcel.verdict.evidence}
    return not found or bool(found & {"dmarc pass", "dmarc none", "own pass"})
