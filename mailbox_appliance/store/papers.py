"""Small files of other parts beside mailboxes (Dovecot's ``dovecot-acl``): they are renamed and removed with them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping

from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.store.dotlock import LockTimeout, dotlock
from mailbox_appliance.store.durable import read_file, replace_file, sync_folder
from mailbox_appliance.store.paths import Folder, account_folder, folder_of, mailbox_name

MOST_OCTETS = 65_536


class MailPapers:
    """ports.sharing.Papers. ``mail`` is the folder of all accounts."""

    def __init__(self, mail: str, workers: Workers) -> None:
        self._mail = mail
        self._workers = workers

    def read(self, accounts: Iterable[Address], file: str) -> Awaitable[Mapping[Address, Mapping[str, bytes]]]:
        return self._workers.run("disk", _read_all, self._mail, tuple(accounts), file)

    def change(
        self, account: Address, mailbox: str, file: str, edit: Callable[[bytes | None], bytes | None]
    ) -> Awaitable[bytes | None]:
        folder = folder_of(_root(self._mail, account), mailbox)
        return self._workers.run("disk", _change, folder, file, edit)


def _root(mail: str, account: Address) -> str:
    return os.path.join(account_folder(mail, account), "Maildir")


def _read_all(mail: str, accounts: tuple[Address, ...], file: str) -> dict[Address, dict[str, bytes]]:
    try:
        return {account: _read(_root(mail, account), file) for account in accounts}
    except OSError as error:
        raise StoreError(Problem.DISK, f"the rights on mailboxes cannot be read: {error.strerror}") from error


def _read(root: str, file: str) -> dict[str, bytes]:
    try:
        names = ["", *[entry.name for entry in os.scandir(root) if entry.name.startswith(".")]]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = {}
    for disk in names:
        mailbox = mailbox_name(disk)
        if mailbox is None:
            continue
        folder = Folder(root, disk)
        try:
            octets = read_file(folder.file(file), MOST_OCTETS)
        except NotADirectoryError:
            continue
        if octets is not None and os.path.isdir(folder.cur):
            found[mailbox] = octets
    return found


def _change(folder: Folder, file: str, edit: Callable[[bytes | None], bytes | None]) -> bytes | None:
    if not os.path.isdir(folder.cur):
        raise StoreError(Problem.NO_SUCH_MAILBOX, "there is no such mailbox")
    path = folder.file(file)
    try:
        with dotlock(path):
            before = read_file(path, MOST_OCTETS)
            after = edit(before)
            if after is not None and len(after) > MOST_OCTETS:
                raise StoreError(Problem.LIMIT, "there are too many entries beside this mailbox")
            if after is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                    sync_folder(folder.path)
            elif after != before:
                replace_file(path, after)
            return after
    except LockTimeout as error:
        raise StoreError(Problem.BUSY, str(error)) from error
    except FileNotFoundError:
        raise StoreError(Problem.NO_SUCH_MAILBOX, "there is no such mailbox") from None
    except OSError as error:
        raise StoreError(Problem.DISK, f"{file} cannot be written: {error.strerror}") from error
