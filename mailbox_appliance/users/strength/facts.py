"""What everybody knows of an account: the words that a guesser tries first, made of the user database."""

from __future__ import annotations

import re

from mailbox_appliance.mail.address import Address
from mailbox_appliance.users.records import AccountRecord
from mailbox_appliance.users.snapshot import Snapshot

MOST_WORDS = 60
SHORTEST_WORD = 2


def own_words(snapshot: Snapshot, record: AccountRecord) -> tuple[str, ...]:
    """Names of the account, its aliases, its domain and its family (the other accounts there); lower case, bounded.

    The nearest come first; the same always come in the same order.
    """
    local, domain = record.address.local, record.address.domain
    found: dict[str, None] = {}
    aliases = [
        alias.local
        for alias, targets in snapshot.aliases.items()
        if record.address in targets and alias.domain == domain
    ]
    family = [one.local for one in snapshot.accounts if one.domain == domain and one != record.address]
    for text in (
        local,
        record.name,
        record.name.replace(" ", ""),
        domain.partition(".")[0],
        *sorted(aliases),
        *sorted(family),
        domain,
        str(record.address),
    ):
        for word in (text, *re.split(r"[^\w]+|_", text)):
            if SHORTEST_WORD <= len(word) <= 64 and not word.isdigit():
                found.setdefault(word.lower())
    return tuple(found)[:MOST_WORDS]


def words_of_new(snapshot: Snapshot, address: Address, name: str = "") -> tuple[str, ...]:
    """The same for an account that is about to be made."""
    return own_words(snapshot, AccountRecord(0, address, "", 0, b"", 0, None, 0.0, None, {}, name))
