"""Mailbox names and the folders they live in, as Maildir++ and Dovecot lay them out.

"Archive.2024" lives in ``.Archive.2024`` beside INBOX's own cur/, new/ and tmp/; what is not printable ASCII is written
in modified UTF-7 (RFC 3501 §5.1.3). Names come from strangers: nothing that could leave the account's folder passes.
"""

from __future__ import annotations

import os
import re

from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.wire.imap import utf7

# A file name has at most 255 octets on every file system we meet; one is the leading dot.
DISK_NAME_OCTETS = 250
LEVELS = 32
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# What an account's folder may be called: RFC 5321 addresses of ours are kept to these letters at creation.
_LOCAL_PART = re.compile(r"[a-z0-9_+-][a-z0-9._+-]{0,63}")
_DOMAIN = re.compile(r"(?!\.)[a-z0-9_.-]{1,253}(?<!\.)")


class BadMailboxName(StoreError):
    """The name cannot be a mailbox's; the text says why."""

    def __init__(self, text: str) -> None:
        super().__init__(Problem.NOT_ALLOWED, text)


def checked_name(name: str) -> str:
    """The name in its one spelling (INBOX in upper case). Raises BadMailboxName.

    >>> checked_name("inbox")
    'INBOX'
    """
    if not name:
        raise BadMailboxName("a mailbox needs a name")
    if _CONTROL.search(name):
        raise BadMailboxName("a mailbox name cannot hold control characters")
    if "/" in name:
        raise BadMailboxName("a mailbox name cannot hold a slash; the separator of levels is a dot")
    levels = name.split(SEPARATOR)
    if not all(levels):
        raise BadMailboxName("a mailbox name cannot begin or end with a dot or hold two in a row")
    if len(levels) > LEVELS:
        raise BadMailboxName(f"mailboxes can be nested {LEVELS} levels deep at most")
    if name.upper() == INBOX:
        return INBOX
    if levels[0].upper() == INBOX:
        name = SEPARATOR.join([INBOX, *levels[1:]])
    if name.startswith("~") or len(utf7.encode(name)) > DISK_NAME_OCTETS:
        raise BadMailboxName("this mailbox name is too long" if name[0] != "~" else "a name cannot begin with ~")
    return name


def disk_name(name: str) -> str:
    """The folder's name below Maildir/, "" for INBOX. Raises BadMailboxName.

    >>> disk_name("Entwürfe.Zwei")
    '.Entw&APw-rfe.Zwei'
    """
    name = checked_name(name)
    return "" if name == INBOX else "." + utf7.encode(name).decode("ascii")


def mailbox_name(folder: str) -> str | None:
    """The mailbox that lives in ``folder``, or None when the folder's name cannot be one.

    A name that is no modified UTF-7 stands for itself where that is possible, so that no mail is hidden.
    """
    if folder == "":
        return INBOX
    if not folder.startswith(".") or folder in (".", ".."):
        return None
    try:
        name = checked_name(utf7.decode(os.fsencode(folder[1:])))
    except (utf7.BadName, StoreError):
        return None
    return name if name != INBOX and disk_name(name) == folder else None


@dataclass(frozen=True, slots=True)
class Folder:
    """The directories of one mailbox."""

    root: str  # the account's Maildir
    disk: str  # "" for INBOX, else ".Name"

    @property
    def path(self) -> str:
        return os.path.join(self.root, self.disk) if self.disk else self.root

    @property
    def new(self) -> str:
        return self.path + "/new"

    @property
    def cur(self) -> str:
        return self.path + "/cur"

    @property
    def tmp(self) -> str:
        return os.path.join(self.path, "tmp")

    def file(self, name: str) -> str:
        """A file of ours or of Dovecot's beside cur/."""
        return os.path.join(self.path, name)

    def message(self, fresh: bool, name: str) -> str:
        """The path of a message file."""
        return f"{self.new if fresh else self.cur}/{name}"


def folder_of(root: str, name: str) -> Folder:
    """Raises BadMailboxName."""
    return Folder(root, disk_name(name))


def account_folder(mail: str, account: Address) -> str:
    """``MAIL/DOMAIN/LOCALPART`` of an account. Raises StoreError for an address that cannot be one of ours."""
    local = account.local.lower()
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(account.domain):
        raise StoreError(Problem.NOT_ALLOWED, f"no account can be called {account}")
    return os.path.join(mail, account.domain, local)


def children_of(name: str, names: list[str]) -> list[str]:
    """Those of ``names`` that lie below ``name``."""
    return [other for other in names if other.startswith(name + SEPARATOR)]
