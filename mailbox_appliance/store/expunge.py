"""EXPUNGE: files are laid to rest in bursts, rows follow, UIDs are remembered for resynchronization (RFC 7162)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from mailbox_appliance.mail.mailbox import DELETED, FIRST_KEYWORD_BIT
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.shielded import Held
from mailbox_appliance.store import index, message_rows, quota
from mailbox_appliance.store.changes import next_modseq
from mailbox_appliance.store.filenames import base_of
from mailbox_appliance.store.flags import BURST, own_change
from mailbox_appliance.store.index import MailboxRow
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.resting import Bed, names_of
from mailbox_appliance.store.scan import listing, mtimes

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox


@dataclass(slots=True)
class Unlinked:
    """What a burst removed."""

    row: MailboxRow
    gone: list[int] = field(default_factory=list)
    octets: int = 0
    trouble: OSError | None = None


def find_again(folder: Folder, base: str) -> tuple[bool, str] | None:
    """Where a file lies that another program has renamed: (in new/, name), or None when it is gone."""
    for fresh, directory in ((False, folder.cur), (True, folder.new)):
        for name in listing(directory):
            if name.startswith(base) and base_of(name) == base:
                return fresh, name
    return None


def _take_away(path: str, file: str, bed: Bed | None) -> None:
    if bed is None:
        os.unlink(path)
    else:
        bed.lay(path, file)


def unlink_files(
    connection: sqlite3.Connection,
    row: MailboxRow,
    folder: Folder,
    uids: Sequence[int],
    modseq: int,
    bed: Bed | None = None,
) -> Unlinked:
    """Lay the files of ``uids`` (sorted) to rest, or remove them, and their rows. For workers."""
    result = Unlinked(row)
    before = mtimes(folder)
    files = message_rows.files_of(connection, row.number, uids)
    if bed is not None:
        bed.note_keywords(
            (file, names_of(flags, row.keywords)) for _, file, _, flags, _ in files if flags >> FIRST_KEYWORD_BIT
        )
    for uid, file, fresh, _, octets in files:
        try:
            try:
                _take_away(folder.message(bool(fresh), file), file, bed)
            except FileNotFoundError:
                found = find_again(folder, base_of(file))
                if found is not None:
                    _take_away(folder.message(*found), found[1], bed)
        except FileNotFoundError:
            pass
        except OSError as error:
            result.trouble = error
            break
        result.gone.append(uid)
        result.octets += octets
    if result.gone:
        changed = message_rows.remove_messages(connection, row, result.gone, modseq)
        known = own_change(row, folder, before)
        result.row = replace(changed, highest_modseq=modseq, known=known)
        index.save_mailbox(connection, result.row)
        quota.add(folder.root, -result.octets, -len(result.gone))
    return result


async def expunge_deleted(box: OpenMailbox, uids: Sequence[int] | None) -> tuple[int, ...]:
    """EXPUNGE and UID EXPUNGE (RFC 3501 §6.4.3, RFC 4315 §2.1)."""
    async with Held(box.lock):
        box.check_alive()
        if box.read_only:
            raise StoreError(Problem.NOT_ALLOWED, "this mailbox is read-only")
        places = range(len(box.uids)) if uids is None else box.positions(uids)
        return await remove(box, [box.uids[at] for at in places if box.flags[at] & DELETED], rest=True)


async def remove(box: OpenMailbox, uids: Sequence[int], *, rest: bool = False) -> tuple[int, ...]:
    """Remove these messages, whatever their flags; with ``rest`` they can be brought back. Call under the lock."""
    gone: list[int] = []
    folder = box.folder
    modseq = next_modseq(box.row, box.account.clock.seconds())
    octets = 0
    bed = box.account.bedtime.bed(folder.disk) if rest else None
    try:
        for start in range(0, len(uids), BURST):
            burst = uids[start : start + BURST]
            row = box.row
            result = await box.account.run(
                lambda connection, row=row, burst=burst: unlink_files(  # type: ignore[misc]
                    connection, row, folder, burst, modseq, bed
                )
            )
            box.take_row(result.row)
            gone += result.gone
            octets += result.octets
            if result.trouble is not None:
                raise box.account.refusal(result.trouble) from result.trouble
    finally:
        if gone:
            box.account.room.note(-octets, -len(gone))
            if bed is not None:
                box.account.bedtime.note(octets, len(gone))
            box.drop(gone, modseq)
    return tuple(gone)
