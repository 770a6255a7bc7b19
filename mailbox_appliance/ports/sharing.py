"""Mailboxes that more than their owner may use: names, rights, folders of nobody. Filled by ``shares/``.

A person sees other people's mailboxes as "Other Users.ann.Holiday" and the family's folders as "Shared.Lists.family";
the Mailstore that ``shares/`` gives knows both. ``imap/`` asks here for rights; the archives of lists are folders of
``FAMILY``.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from mailbox_appliance.mail.address import Address

OTHERS = "Other Users"  # the namespace of other users' mailboxes (RFC 2342)
SHARED = "Shared"  # the namespace of folders that belong to nobody
# Whose store the folders of nobody lie in: no account can be called so. Their names begin with "Shared." there too.
FAMILY = Address("family", "_shared")
ANYONE = "anyone"


def is_elsewhere(name: str) -> bool:
    """Can ``name`` be a mailbox that is not the reader's own?"""
    return name.startswith((OTHERS + ".", SHARED + "."))


class Change(enum.Enum):
    """SETACL's three ways (RFC 4314 §3.1)."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


class Sharing(Protocol):
    """Rights, as one person may see and change them. ``mailbox`` is the name as ``who`` sees it.

    Everything raises StoreError: NO_SUCH_MAILBOX alike for what there is not and what ``who`` may not know of,
    NO_RIGHT for what he may know of but not do.
    """

    def rights(self, who: Address, mailbox: str) -> Awaitable[frozenset[str]]:
        """What ``who`` may do (MYRIGHTS)."""

    def entries(self, who: Address, mailbox: str) -> Awaitable[Sequence[tuple[str, str]]]:
        """(identifier, letters) in a fixed order, the owner first (GETACL)."""

    def possible(self, who: Address, mailbox: str, identifier: str) -> Awaitable[tuple[str, tuple[str, ...]]]:
        """What ``identifier`` always has, and what he can be given, letter by letter (LISTRIGHTS)."""

    def change(
        self, who: Address, mailbox: str, identifier: str, rights: frozenset[str], how: Change = Change.REPLACE
    ) -> Awaitable[None]:
        """SETACL; no rights with REPLACE take the entry away (DELETEACL)."""

    def audience(self, who: Address, mailbox: str) -> Sequence[tuple[Address, str]]:
        """Who else may know of the mailbox, and what they call it: out of memory, as last known."""


class Papers(Protocol):
    """Small files that lie beside mailboxes and go with them; filled by ``store/``."""

    def read(self, accounts: Iterable[Address], file: str) -> Awaitable[Mapping[Address, Mapping[str, bytes]]]:
        """The files of that name of every account, by mailbox. Raises StoreError (DISK)."""

    def change(
        self, account: Address, mailbox: str, file: str, edit: Callable[[bytes | None], bytes | None]
    ) -> Awaitable[bytes | None]:
        """Replace it by what ``edit`` makes of it (in a worker; None: there is none), safe against other programs.

        Returns what is there now. Raises StoreError (NO_SUCH_MAILBOX, DISK, BUSY), and what ``edit`` raises.
        """
