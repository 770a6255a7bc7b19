"""A folder that another server has filled, put in the place of an empty mailbox: messages, UIDs, keywords and all.

The folder lies beside the Maildir, on its file system, owned by us. INBOX's directories cannot be replaced by one
rename, so its uidlist comes first and its files follow one by one, under Dovecot's lock; a crash between is mended by
doing it again, for the mailbox then bears the UIDVALIDITY of what is put there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT, INBOX, SpecialUse
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.shielded import Held, shielded
from mailbox_appliance.store import folders, index, keywords, quota, special, subscriptions, uidvalidity
from mailbox_appliance.store import uidlist as uidlists
from mailbox_appliance.store.dotlock import dotlock
from mailbox_appliance.store.durable import sync_folder
from mailbox_appliance.store.filenames import flags_of
from mailbox_appliance.store.paths import Folder, checked_name, folder_of
from mailbox_appliance.store.scan import listing

if TYPE_CHECKING:
    from mailbox_appliance.store.store import AccountStore

BESIDE = "adopting-"
FEW = 20  # messages of its own that INBOX may have: the welcome, what came on the first day; they are numbered behind
KEYWORDS = ~((1 << FIRST_KEYWORD_BIT) - 1)
_LISTS = (uidlists.NAME, keywords.DOVECOT, keywords.OURS)


async def adopt(store: AccountStore, name: str, staged: str, use: SpecialUse | None) -> int:
    """``staged`` is a name beside the Maildir; returns how many messages the mailbox has. Raises StoreError."""
    return await shielded(_adopt(store, checked_name(name), staged, use))


async def _adopt(store: AccountStore, name: str, staged: str, use: SpecialUse | None) -> int:
    ground = store.ground
    if os.path.basename(staged) != staged or not staged.startswith(BESIDE):
        raise StoreError(Problem.NOT_ALLOWED, f"{staged} is no folder to be taken over")
    path = os.path.join(ground.folder, staged)
    octets, _ = await ground.disk(_count, path)
    if not await ground.room.fits(octets):
        raise StoreError(Problem.OVER_QUOTA, "the mailbox is full")
    folder = folder_of(ground.root, name)

    def work(connection: sqlite3.Connection) -> int:
        _check_empty(folder, path)
        before = uidlists.read(folder.file(uidlists.NAME)).validity
        index.forget_mailbox(connection, folder.disk)
        if before:
            uidvalidity.spent(ground.root, before)
        _put(folder, path)
        uidvalidity.spent(ground.root, uidlists.read(folder.file(uidlists.NAME)).validity)
        if use is not None:
            _assign(ground.root, name, use)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(ground.root, quota.NAME))
        return len(listing(folder.cur)) + len(listing(folder.new))

    async with Held(store._loading):
        box = store.boxes.pop(name, None)
        if box is None:
            found = await ground.run(work)
        else:
            async with Held(box.lock):
                box.die("the mailbox was replaced by another one of that name")
                found = await ground.run(work)
    ground.room.forget()
    return found


def _count(path: str) -> tuple[int, int]:
    octets = messages = 0
    for place in ("cur", "new"):
        with os.scandir(os.path.join(path, place)) as entries:
            for entry in entries:
                octets += entry.stat(follow_symlinks=False).st_size
                messages += 1
    return octets, messages


def _check_empty(folder: Folder, staged: str) -> None:
    files = listing(folder.cur) + listing(folder.new)
    if not files or (folder.disk == "" and len(files) <= FEW and not any(flags_of(one) & KEYWORDS for one in files)):
        return
    theirs = uidlists.read(os.path.join(staged, uidlists.NAME))
    here = uidlists.read(folder.file(uidlists.NAME))
    begun = folder.disk == "" and (theirs.validity in (0, here.validity))
    if not begun:
        raise StoreError(Problem.MAILBOX_EXISTS, "the mailbox has messages of its own")


def _put(folder: Folder, staged: str) -> None:
    if folder.disk:
        lists = [name for name in os.listdir(folder.path) if name.startswith("dovecot") or name in _LISTS]
        for name in lists:
            os.unlink(folder.file(name))
        os.close(os.open(os.path.join(staged, "maildirfolder"), os.O_CREAT | os.O_WRONLY, 0o600))
        shutil.rmtree(folder.path)
        os.rename(staged, folder.path)
        sync_folder(folder.root)
        return
    with dotlock(folder.file(uidlists.NAME)):
        for name in (keywords.DOVECOT, keywords.OURS, uidlists.NAME):
            with contextlib.suppress(FileNotFoundError):
                os.rename(os.path.join(staged, name), folder.file(name))
        sync_folder(folder.path)
        for fresh, place in ((False, "cur"), (True, "new")):
            for name in os.listdir(os.path.join(staged, place)):
                os.rename(os.path.join(staged, place, name), folder.message(fresh, name))
        sync_folder(folder.cur)
        sync_folder(folder.new)
    shutil.rmtree(staged, ignore_errors=True)


def _assign(root: str, name: str, use: SpecialUse) -> None:
    """The adopted mailbox is the one for this use from now on; the empty one we had made for it goes."""
    uses = special.read(root) or {}
    if use not in special.SETTABLE or name == INBOX or uses.get(name) is use:
        return
    for other in [one for one, its in uses.items() if its is use]:
        folder = folder_of(root, other)
        if folders.exists(folder) and (listing(folder.cur) or listing(folder.new)):
            return  # mail lies there already: it stays what it is
        with contextlib.suppress(OSError, StoreError):
            folders.remove(folder, other)
            subscriptions.change(root, [name], [other])
    special.write(root, {**{one: its for one, its in (special.read(root) or {}).items() if its is not use}, name: use})
