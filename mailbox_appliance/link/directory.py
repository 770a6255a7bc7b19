"""Who lives at the store, as the edge knows it from the list (fills ports.users.Directory).

A name of the store's domains that is not on the list is asked for over the control channel while the link is up, a few
times a second at most: addresses that only their key can prove (bounces to forwarded mail, answers to a mailing list)
are on no list. While the store is away the list alone decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mailbox_appliance.link.roster import Roster, recipient_key
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.envelope import Recipient
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.checks import Standing
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.link import Asker
from mailbox_appliance.ports.users import Known, LocalMailbox, NotOurs, Resolution, Unknown
from mailbox_appliance.wire.link import Entry

ASKS_A_SECOND = 5.0
MOST_AT_ONCE = 50.0
FULL = Reply(552, "5.2.2", "The mailbox is full")
CANNOT_TELL = Reply(451, "4.4.1", "This address cannot be checked just now, try again later")
# Local parts that only the store can judge: SRS, and bounces and keys of mailing lists.
_KEYED = ("srs0=", "srs1=", "srs0+", "srs1+", "srs0-", "srs1-")


_STANDINGS = {"a": Standing.ALLOWED, "b": Standing.BLOCKED}  # by the flags of a roster entry "sender"


class EdgeDirectory:
    """``roster`` gives the list in use."""

    def __init__(self, roster: Callable[[], Roster], asker: Asker, clock: Clock) -> None:
        self._roster = roster
        self._asker = asker
        self._clock = clock
        self._asks_left = MOST_AT_ONCE
        self._counted = 0.0
        self._seen: tuple[str, frozenset[str]] = ("", frozenset())
        self._persons: tuple[str, Mapping[Address, str]] = ("", {})

    def domains(self) -> frozenset[str]:
        """The store's."""
        roster = self._roster()
        digest, names = self._seen
        if digest != roster.digest:
            names = frozenset(entry.address for entry in roster.entries() if entry.kind == "domain")
            self._seen = (roster.digest, names)
        return names

    def _entry(self, address: Address) -> Entry | Unknown | None:
        """The row that takes it, what to say of one that was given up, or None."""
        roster = self._roster()
        gone = roster.get("gone", recipient_key(address))
        if gone is not None:
            return Unknown(gone.text)
        entry = roster.get("address", recipient_key(address))
        if entry is not None:
            return entry
        base, detail = address.without_detail()
        if detail or base != address:
            entry = roster.get("address", recipient_key(base))
            if entry is not None and "d" in entry.flags:
                return entry
        return roster.get("catchall", address.domain)

    async def resolve(self, address: Address) -> Resolution:
        """As the list says; else as the store says."""
        if not address.domain:
            if address.local.lower() != "postmaster" or not self.domains():
                return NotOurs()
            return Known((LocalMailbox(Address("postmaster", min(self.domains()))),), "role")
        if address.domain not in self.domains():
            return NotOurs()
        found = self._entry(address)
        if isinstance(found, Unknown):
            return found
        if found is not None:
            return Known((LocalMailbox(address),))
        if not self._may_ask():
            return Known((LocalMailbox(address),)) if self._is_keyed(address) else Unknown()
        reply = await self._asker.ask(address, 0)
        if reply is None:
            return Known((LocalMailbox(address),)) if self._is_keyed(address) else Unknown()
        if reply.is_positive:
            return Known((LocalMailbox(address),))
        return Unknown(reply.text if reply.is_permanent else "")

    def _is_keyed(self, address: Address) -> bool:
        return address.local.lower().startswith(_KEYED)

    def _may_ask(self) -> bool:
        now = self._clock.seconds()
        passed, self._counted = max(0.0, now - self._counted), now
        self._asks_left = min(MOST_AT_ONCE, self._asks_left + passed * ASKS_A_SECOND)
        if self._asks_left < 1.0:
            return False
        self._asks_left -= 1.0
        return True

    async def room(self, recipient: Recipient, octets: int) -> Reply | None:
        """Asked at RCPT: a full mailbox, or an address that nobody can judge now."""
        address = recipient.forward_path
        if address.domain not in self.domains():
            return None
        entry = self._entry(address)
        if isinstance(entry, Entry) and "f" in entry.flags:
            return FULL
        if entry is None and self._is_keyed(address) and await self._asker.ask(address, octets) is None:
            return CANNOT_TELL
        return None

    def standing(self, recipient: Address, author: Address) -> Standing:
        """What the one person behind an address has said of a sender."""
        entry = self._entry(recipient)
        if not isinstance(entry, Entry) or entry.kind != "address":
            return Standing.NONE
        account = entry.text or entry.address
        folded = author.folded()
        labels = folded.domain.split(".")
        domains = ["@" + ".".join(labels[at:]) for at in range(max(1, len(labels) - 1))]
        for sender in (str(folded).lower(), *domains):
            found = self._roster().get("sender", f"{account} {sender}")
            if found is not None:
                return _STANDINGS.get(found.flags, Standing.NONE)
        return Standing.NONE

    async def owns(self, account: Address, address: Address) -> bool:
        """Nobody logs in at the edge."""
        return False

    async def accounts(self) -> tuple[Address, ...]:
        """They are the store's."""
        return ()

    async def quota(self, account: Address) -> int:
        """The store's affair."""
        return 0

    async def owner(self, domain: str) -> Address | None:
        """Whom the store's postmaster leads to."""
        return Address("postmaster", domain) if domain in self.domains() else None

    async def display_names(self) -> Mapping[Address, str]:
        """Whom a forger would imitate; for the checks."""
        roster = self._roster()
        digest, names = self._persons
        if digest != roster.digest:
            names = {_parsed(entry.address): entry.text for entry in roster.entries() if entry.kind == "person"}
            self._persons = (roster.digest, names)
        return names

    async def settings(self, account: Address) -> Mapping[str, str]:
        """The store's affair."""
        return {}


def _parsed(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)
