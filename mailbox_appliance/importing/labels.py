"""Gmail's labels: a message lies in one place here and its other labels become keywords, so that nothing is doubled."""

from __future__ import annotations

import csv
from collections.abc import Iterable

from mailbox_appliance.importing import names
from mailbox_appliance.mail.charset import decode_words
from mailbox_appliance.mail.header import unfold
from mailbox_appliance.mail.mailbox import INBOX, SpecialUse
from mailbox_appliance.mail.values import dataclass

MOST_KEYWORDS = 10
_IGNORED = frozenset(
    ("important", "wichtig", "opened", "geöffnet", "archived", "archiviert", "unread", "ungelesen", "starred",
     "markiert", "chat", "all mail")
)  # fmt: skip
_UNREAD = frozenset(("unread", "ungelesen", "non lus", "no leídos"))
_STARRED = frozenset(("starred", "markiert", "suivis", "destacados"))
_INBOX = frozenset(("inbox", "posteingang", "boîte de réception", "recibidos", "posta in arrivo"))
# Where it goes when it has several of these, first to last.
_ORDER = (SpecialUse.TRASH, SpecialUse.JUNK, SpecialUse.DRAFTS, SpecialUse.SENT)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a message goes (None: where its folder goes) and what its labels say besides."""

    mailbox: str | None = None
    use: SpecialUse | None = None
    flags: frozenset[str] = frozenset()
    is_unread: bool = False


def placed(field: bytes | None) -> Placed:
    """Out of X-Gmail-Labels, which a Gmail archive has in every message; nothing for other files."""
    if field is None:
        return Placed()
    text = decode_words(unfold(field)).replace("\r", "").replace("\n", "")
    labels = [label.strip() for row in csv.reader([text], skipinitialspace=True) for label in row if label.strip()]
    words = {label.casefold() for label in labels}
    flags = {"\\Flagged"} if words & _STARRED else set()
    unread = bool(words & _UNREAD)
    if not unread:
        flags.add("\\Seen")
    if words & {"draft", "drafts", "entwurf", "entwürfe"}:
        flags.add("\\Draft")
    uses = {use: label for label in labels if (use := names.use_of([label])) is not None}
    own = [
        label for label in labels if names.use_of([label]) is None and label.casefold() not in _IGNORED | _INBOX
        and not label.casefold().startswith(("category ", "kategorie"))
    ]  # fmt: skip
    use = next((one for one in _ORDER if one in uses), None)
    if use is not None:
        mailbox = names.first_name(use)
    elif words & _INBOX:
        mailbox = INBOX
    elif own:
        mailbox = names.mailbox_of(own.pop(0).split("/"))
    else:
        use, mailbox = SpecialUse.ARCHIVE, names.first_name(SpecialUse.ARCHIVE)
    return Placed(mailbox, use, frozenset(flags | keywords(own)), unread)


def keywords(labels: Iterable[str]) -> set[str]:
    """Labels of one's own as keywords."""
    found = [word for label in labels if (word := names.keyword_of(label))]
    return set(found[:MOST_KEYWORDS])
