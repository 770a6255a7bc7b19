"""The tree of mailboxes on disk: listed, made, renamed and removed. Everything here runs in worker threads."""

from __future__ import annotations

import contextlib
import os
import shutil
import time

from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR, MailboxInfo, SpecialUse
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.store import quota, resting, special, subscriptions
from mailbox_appliance.store.durable import sync_folder
from mailbox_appliance.store.paths import Folder, children_of, disk_name, folder_of, mailbox_name

# Names with two dots in front are no mailbox's in Maildir++.
_REMOVED = "..mailappliance-removed-"
MOST_MAILBOXES = 5000


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies in an account's Maildir."""

    names: tuple[str, ...]  # mailboxes with a folder, INBOX first
    subscribed: tuple[str, ...]
    uses: dict[str, SpecialUse]


def exists(folder: Folder) -> bool:
    """Is there such a mailbox?"""
    return os.path.isdir(folder.cur)


def names_in(root: str) -> list[str]:
    """Every mailbox that has a folder, INBOX first."""
    names = [INBOX]
    with os.scandir(root) as entries:
        for entry in entries:
            name = mailbox_name(entry.name) if entry.name.startswith(".") else None
            if name is not None and name != INBOX and os.path.isdir(os.path.join(entry.path, "cur")):
                names.append(name)
    return [INBOX, *sorted(set(names[1:]))]


def read_tree(root: str) -> Tree:
    """Names, subscriptions and special uses."""
    return Tree(tuple(names_in(root)), tuple(subscriptions.read(root)), special.read(root) or {})


def infos(tree: Tree) -> tuple[MailboxInfo, ...]:
    """The lines of LIST: missing parents and dead subscriptions included."""
    here = set(tree.names)
    parents = {
        SEPARATOR.join(levels[:n])
        for levels in (name.split(SEPARATOR) for name in tree.names)
        for n in range(1, len(levels))
    }
    subscribed = set(tree.subscribed)
    return tuple(
        MailboxInfo(
            name,
            selectable=name in here,
            special_use=tree.uses.get(name) if name in here else None,
            subscribed=name in subscribed,
            has_children=name in parents,
            exists=name in here or name in parents,
        )
        for name in [INBOX, *sorted((here | parents | subscribed) - {INBOX})]
    )


def make(folder: Folder) -> None:
    """Make a mailbox's directories; cur/ comes last, since it tells that the mailbox is there."""
    os.makedirs(folder.path, 0o700, exist_ok=True)
    for path in (folder.tmp, folder.new):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
    if folder.disk:
        os.close(os.open(folder.file("maildirfolder"), os.O_CREAT | os.O_WRONLY, 0o600))
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder.cur, 0o700)
    sync_folder(folder.path)
    sync_folder(folder.root)


def prepare(root: str) -> None:
    """The first use of an account: INBOX and, once, the special folders. Raises OSError."""
    os.makedirs(root, 0o700, exist_ok=True)
    inbox = Folder(root, "")
    if not exists(inbox):
        make(inbox)
    if special.read(root) is not None:
        return
    uses = special.choose(names_in(root))
    for name in uses:
        folder = folder_of(root, name)
        if not exists(folder):
            make(folder)
    if not os.path.exists(os.path.join(root, subscriptions.NAME)):
        subscriptions.change(root, [INBOX, *uses], [])
    else:
        subscriptions.change(root, list(uses), [])
    special.write(root, uses)


def create(root: str, name: str, use: SpecialUse | None) -> None:
    """CREATE. Raises StoreError, OSError."""
    folder = folder_of(root, name)
    if exists(folder):
        raise StoreError(Problem.MAILBOX_EXISTS, f"there is a mailbox {name} already")
    if use is not None and use not in special.SETTABLE:
        raise StoreError(Problem.NOT_ALLOWED, f"no mailbox can be made {use.value} here")
    if len(names_in(root)) >= MOST_MAILBOXES:
        raise StoreError(Problem.LIMIT, f"an account can have {MOST_MAILBOXES} mailboxes")
    make(folder)
    if use is not None:
        special.write(root, {**(special.read(root) or {}), name: use})


def check_deletable(root: str, name: str) -> Folder:
    """The folder to be removed. Raises StoreError."""
    if name == INBOX:
        raise StoreError(Problem.NOT_ALLOWED, "INBOX cannot be deleted")
    folder = folder_of(root, name)
    if not exists(folder):
        if children_of(name, names_in(root)):
            raise StoreError(Problem.HAS_CHILDREN, f"{name} has mailboxes below it; delete them first")
        raise StoreError(Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}")
    return folder


def remove(folder: Folder, name: str) -> str:
    """Out of the way by one rename; a crash leaves rubbish for ``clean``, no half mailbox. Where it lies now."""
    aside = os.path.join(folder.root, f"{_REMOVED}{time.time_ns()}")
    os.rename(folder.path, aside)
    sync_folder(folder.root)
    uses = special.read(folder.root) or {}
    if name in uses:
        special.write(folder.root, {other: use for other, use in uses.items() if other != name})
    return aside


def clear(folder: Folder, aside: str, rest: str = "", now: float = 0.0) -> None:
    """What ``remove`` has put aside goes piece by piece.

    The messages go to the folder ``rest``, if one is named, where they can be brought back from.
    """
    octets, messages = quota.count(aside)
    if rest:
        resting.lay_all(rest, Folder(folder.root, os.path.basename(aside)), folder.disk, now)
    shutil.rmtree(aside, ignore_errors=True)
    quota.add(folder.root, -octets, -messages)


def plan_rename(root: str, name: str, to: str) -> list[tuple[str, str]]:
    """(old, new) of a mailbox and everything below it. Raises StoreError."""
    names = names_in(root)
    moving = [other for other in names if other == name and name != INBOX] + children_of(name, names)
    if not moving:
        raise StoreError(Problem.NO_SUCH_MAILBOX, f"there is no mailbox {name}")
    plan = [(old, to + old[len(name) :]) for old in moving]
    for old, new in plan:
        disk_name(new)
        if (new in names and new not in moving) or new == old:
            raise StoreError(Problem.MAILBOX_EXISTS, f"there is a mailbox {new} already")
    # Deeper ones first when a mailbox moves below itself, so that no target is still taken.
    return sorted(plan, key=lambda pair: len(pair[0]), reverse=to.startswith(name + SEPARATOR))


def rename(root: str, plan: list[tuple[str, str]]) -> None:
    """Rename folder by folder. Raises OSError."""
    for old, new in plan:
        os.rename(folder_of(root, old).path, folder_of(root, new).path)
    sync_folder(root)
    uses = special.read(root) or {}
    renamed = dict(plan)
    if any(name in renamed for name in uses):
        special.write(root, {renamed.get(name, name): use for name, use in uses.items()})


def clean(root: str, now: float, age: float) -> int:
    """Remove what crashed programs left in tmp/ folders, and half-removed mailboxes; returns how many files."""
    removed = 0
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(root)):
            if entry.name.startswith(_REMOVED):
                shutil.rmtree(entry.path, ignore_errors=True)
    for name in names_in(root):
        directory = folder_of(root, name).tmp
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(directory)):
                try:
                    found = entry.stat(follow_symlinks=False)
                    if now - max(found.st_mtime, found.st_ctime) > age and entry.is_file(follow_symlinks=False):
                        os.unlink(entry.path)
                        removed += 1
                except OSError:
                    continue
    return removed
