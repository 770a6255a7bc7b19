"""The list of valid recipients: made at the store, held by the edge, sent as a whole or as what has changed.

A list's digest is the sum of its rows' hashes, so a change costs what has changed and not the whole list. Both sides
compute it for themselves; where they disagree the edge asks for the whole list.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator

from mailbox_appliance.mail.address import Address
from mailbox_appliance.wire.link import (
    Added,
    Entry,
    LinkWrong,
    ListBegins,
    ListEnds,
    Removed,
    Said,
    read_line,
)

MOST_ENTRIES = 100_000
_WIDTH = 1 << 128


class Roster:
    """Rows by (kind, address), and their digest."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._rows: dict[tuple[str, str], Entry] = {}
        self._sum = 0
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def digest(self) -> str:
        """32 hex digits; the same for the same rows, whatever their order."""
        return f"{self._sum:032x}"

    def get(self, kind: str, address: str) -> Entry | None:
        """A row."""
        return self._rows.get((kind, address))

    def entries(self) -> Iterator[Entry]:
        """Every row."""
        return iter(self._rows.values())

    def add(self, entry: Entry) -> None:
        """Add or replace. Raises LinkWrong when there are too many."""
        old = self._rows.get(entry.key)
        if old is None and len(self._rows) >= MOST_ENTRIES:
            raise LinkWrong(f"a list of more than {MOST_ENTRIES} recipients")
        if old is not None:
            self._sum = (self._sum - _hash(old)) % _WIDTH
        self._rows[entry.key] = entry
        self._sum = (self._sum + _hash(entry)) % _WIDTH

    def remove(self, kind: str, address: str) -> None:
        """What is not there need not be removed."""
        old = self._rows.pop((kind, address), None)
        if old is not None:
            self._sum = (self._sum - _hash(old)) % _WIDTH

    def whole(self) -> list[Said]:
        """What makes an edge that knows nothing hold this list."""
        return [ListBegins(self.digest, ""), *map(Added, self._rows.values()), ListEnds(self.digest)]

    def since(self, old: Roster) -> list[Said]:
        """What makes an edge that holds ``old`` hold this list."""
        changes: list[Said] = [Removed(kind, address) for kind, address in old._rows.keys() - self._rows.keys()]
        changes += [Added(entry) for key, entry in self._rows.items() if old._rows.get(key) != entry]
        return [ListBegins(self.digest, old.digest), *changes, ListEnds(self.digest)]

    def to_octets(self) -> bytes:
        """For the edge's disk."""
        lines = [f"+ {entry.line()}\n" for entry in self._rows.values()]
        return "".join([*lines, f"end {self.digest}\n"]).encode()

    @classmethod
    def from_octets(cls, octets: bytes) -> Roster | None:
        """None when it is damaged: the store sends it anew."""
        roster = cls()
        try:
            for line in octets.splitlines():
                said = read_line(line)
                if isinstance(said, Added):
                    roster.add(said.entry)
                elif isinstance(said, ListEnds) and said.new == roster.digest:
                    return roster
        except LinkWrong:
            pass
        return None


def _hash(entry: Entry) -> int:
    return int.from_bytes(hashlib.blake2b(entry.line().encode(), digest_size=16).digest(), "big")


class Incoming:
    """A list or a change on its way in: the rows in use stay what they are until the last line has come."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self._changes: list[Added | Removed] | None = None
        self._from = ""

    def receive(self, said: Said) -> bool | None:
        """True: a new list is in use. False: it did not fit, ask for the whole one. None: nothing yet.

        Raises LinkWrong.
        """
        if isinstance(said, ListBegins):
            self._changes, self._from = [], said.old
            return None
        if self._changes is None:
            raise LinkWrong("a row outside of a list")
        if isinstance(said, Added | Removed):
            if len(self._changes) >= 2 * MOST_ENTRIES:
                raise LinkWrong("a list without end")
            self._changes.append(said)
            return None
        assert isinstance(said, ListEnds)
        changes, self._changes = self._changes, None
        if self._from and self._from != self.roster.digest:
            return False
        made = Roster(self.roster.entries()) if self._from else Roster()
        for one in changes:
            if isinstance(one, Added):
                made.add(one.entry)
            else:
                made.remove(one.kind, one.address)
        if made.digest != said.new:
            return False
        self.roster = made
        return True


def recipient_key(address: Address) -> str:
    """An address as the list has it: lower case, composed (Unicode NFC)."""
    local = address.local.lower()
    return f"{local if local.isascii() else unicodedata.normalize('NFC', local)}@{address.domain}"
