"""COPY and MOVE: hard links under new names, flags and dates kept; all messages or none."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Copied, Problem, StoreError
from mailbox_appliance.shielded import Held
from mailbox_appliance.store import keywords, message_rows, rendered, words
from mailbox_appliance.store.changes import Newcomer
from mailbox_appliance.store.durable import sync_folder
from mailbox_appliance.store.expunge import find_again, remove
from mailbox_appliance.store.filenames import UniqueNames, base_of, with_flags
from mailbox_appliance.store.flags import bits_of, flag_bits, flag_names, own_change, split_flags
from mailbox_appliance.store.index import Known, MailboxRow
from mailbox_appliance.store.index_file import Index
from mailbox_appliance.store.keywords import HIGH_BITS
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.scan import mtimes

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox


@dataclass(slots=True)
class Source:
    """One message to be copied: flags in the target's bits."""

    uid: int
    flags: int
    date: int
    zone: int
    size: int


@dataclass(slots=True)
class Linked:
    """What a worker has linked into the target's cur/."""

    uids: list[int] = field(default_factory=list)
    newcomers: list[Newcomer] = field(default_factory=list)
    octets: int = 0
    known: Known | None = None


def link_all(
    store: Index,
    source: Folder,
    number: int,
    target: Folder,
    row: MailboxRow,
    wanted: Sequence[Source],
    names: UniqueNames,
    now: float,
) -> Linked:
    """Link every message; on trouble none is left. For workers. Raises OSError."""
    result = Linked()
    files = store.now(lambda connection: message_rows.files_of(connection, number, [one.uid for one in wanted]))
    by_uid = {one.uid: one for one in wanted}
    before = mtimes(target)
    made: list[str] = []
    masks: list[tuple[str, int]] = []
    try:
        for uid, file, fresh, _, octets in files:
            one = by_uid[uid]
            base = names.make(now, octets, one.size)
            name = with_flags(base, one.flags)
            path = os.path.join(target.cur, name)
            if not _link(source, bool(fresh), file, path, target):
                continue
            made.append(path)
            if one.flags & HIGH_BITS:
                masks.append((base, one.flags))
            result.uids.append(uid)
            result.newcomers.append(
                Newcomer(False, name, one.flags & HIGH_BITS, one.date, one.zone, int(now), one.size, counted=True)
            )
            result.octets += octets
        keywords.set_masks(target, masks)
        if made:
            sync_folder(target.cur)
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise
    result.known = own_change(row, target, before)
    return result


def _link(source: Folder, fresh: bool, file: str, path: str, target: Folder) -> bool:
    """False when the message is gone. Another program may have renamed its file meanwhile: then it is looked for."""
    try:
        _link_or_copy(source.message(fresh, file), path, target)
    except FileNotFoundError:
        found = find_again(source, base_of(file))
        if found is None:
            return False
        try:
            _link_or_copy(source.message(*found), path, target)
        except FileNotFoundError:
            return False
    return True


def _link_or_copy(old: str, new: str, target: Folder) -> None:
    try:
        os.link(old, new)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        beside = os.path.join(target.tmp, os.path.basename(new).partition(":")[0])
        try:
            shutil.copy2(old, beside)
            fd = os.open(beside, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(beside, new)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise


async def copy(box: OpenMailbox, uids: Sequence[int], target: OpenMailbox, *, move: bool) -> Copied:
    """RFC 3501 §6.4.7, RFC 6851. Raises StoreError."""
    await box.written(0)
    box.check_alive()
    if target.read_only or (move and box.read_only):
        raise StoreError(Problem.NOT_ALLOWED, "this mailbox is read-only")
    target.guests += 1
    try:
        return await _copy(box, uids, target, move=move)
    finally:
        target.guests -= 1


async def _copy(box: OpenMailbox, uids: Sequence[int], target: OpenMailbox, *, move: bool) -> Copied:
    account = box.account
    wanted = await _sources(box, uids, target)
    reserved = 0
    if not move:
        reserved = sum(one.size for one in wanted)
        await account.room.reserve(reserved)
    try:
        linked, new_uids = await _link_into(box, target, wanted)
    finally:
        account.room.release(reserved)
    number, other = box.number, target.number

    def copy_rows(connection: sqlite3.Connection) -> None:
        pairs = list(zip(linked.uids, new_uids, strict=True))
        rendered.copy_rendered(connection, number, other, pairs)
        words.copy(connection, number, other, pairs)

    if linked.uids:
        await account.run(copy_rows)
    if move:
        async with Held(box.lock):
            await remove(box, linked.uids)
    return Copied(target.uidvalidity, tuple(linked.uids), tuple(new_uids))


async def _sources(box: OpenMailbox, uids: Sequence[int], target: OpenMailbox) -> list[Source]:
    """The messages with their flags as bits of the target, whose keywords are made first."""
    await box.measure(uids)  # the copies' names tell their sizes
    places = box.positions(uids)
    patterns = {box.flags[at] for at in places}
    names = {pattern: flag_names(pattern, box.keywords) for pattern in patterns}
    if target is not box:
        async with Held(target.lock):
            target.check_alive()
            await flag_bits(target, sorted({name for listed in names.values() for name in listed}))
    bits = {}
    for pattern, listed in names.items():
        system, words = split_flags(listed)
        bits[pattern] = bits_of(system, words, target.keywords)
    return [
        Source(box.uids[at], bits[box.flags[at]], box.dates[at], box.zones[at], box.sizes[at])
        for at in box.positions(uids)
        if box.flags[at] in bits
    ]


async def _link_into(box: OpenMailbox, target: OpenMailbox, wanted: Sequence[Source]) -> tuple[Linked, list[int]]:
    account = box.account
    async with Held(target.lock):
        target.check_alive()
        linked = await account.disk(
            link_all,
            account.index,
            box.folder,
            box.number,
            target.folder,
            target.row,
            wanted,
            account.names,
            account.clock.seconds(),
        )
        target.note_known(linked.known)
        waiters = target.enqueue_all(linked.newcomers)
    uids: list[int] = []
    trouble: StoreError | None = None
    for waiter in waiters:
        try:
            uids.append(await waiter)
        except StoreError as error:
            trouble = error
    if trouble is not None:
        paths = [target.folder.message(False, newcomer.file) for newcomer in linked.newcomers]
        await account.disk(_unlink_all, paths)
        target.look_again_in(0.2)
        raise trouble
    return linked, uids


def _unlink_all(paths: Sequence[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
