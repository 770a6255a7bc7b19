"""STORE: file names are changed first, then the index, then the arrays; only then does the caller hear of it.

Work goes in bursts of bounded size, so that a STORE on a whole mailbox keeps neither the lock of the index nor the
reactor for long.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT, SYSTEM_FLAGS
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import FlagAction, Flagged, Problem, StoreError, Watcher
from mailbox_appliance.shielded import Held
from mailbox_appliance.store import index, keywords, message_rows
from mailbox_appliance.store.changes import next_modseq
from mailbox_appliance.store.filenames import with_flags
from mailbox_appliance.store.index import Known, MailboxRow
from mailbox_appliance.store.keywords import HIGH_BITS
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.scan import mtimes

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

BURST = 1000
_SYSTEM = {name.lower(): bit for bit, name in SYSTEM_FLAGS}


def split_flags(flags: Iterable[str]) -> tuple[int, list[str]]:
    """System flag bits and keyword names; \\Recent and unknown system flags are passed over."""
    bits = 0
    names: list[str] = []
    for flag in flags:
        if flag.startswith("\\"):
            bits |= _SYSTEM.get(flag.lower(), 0)
        else:
            names.append(flag)
    return bits, names


def flag_names(bits: int, names: Sequence[str]) -> list[str]:
    """The flags as a client writes them."""
    found = [name for bit, name in SYSTEM_FLAGS if bits & bit]
    return found + [name for number, name in enumerate(names) if bits >> FIRST_KEYWORD_BIT + number & 1]


def bits_of(system: int, wanted: Iterable[str], names: Sequence[str]) -> int:
    """Bits of flags whose keywords all have numbers."""
    bits = system
    for name in wanted:
        number = keywords.number_of(names, name)
        if number is not None:
            bits |= 1 << FIRST_KEYWORD_BIT + number
    return bits


async def flag_bits(box: OpenMailbox, flags: Iterable[str], *, make: bool = True) -> int:
    """The bits of ``flags`` in this mailbox; keywords without a number get one. Call under the lock."""
    system, wanted = split_flags(flags)
    unknown = [name for name in wanted if keywords.number_of(box.keywords, name) is None]
    if unknown and make:
        for name in unknown:
            keywords.check_keyword(name)
        row, folder = box.row, box.folder

        def work(connection: sqlite3.Connection) -> MailboxRow:
            before = keywords.signatures(folder)
            names = keywords.add(folder, unknown)
            known = row.known
            if before == known.keywords:
                known = replace(known, keywords=keywords.signatures(folder))
            names += [keywords.placeholder(number) for number in range(len(names), len(row.keywords))]
            changed = replace(row, keywords=tuple(names), known=known)
            index.save_mailbox(connection, changed)
            return changed

        box.take_row(await box.account.run(work))
    return bits_of(system, wanted, box.keywords)


def changed_flags(old: int, action: FlagAction, bits: int) -> int:
    """What a message's flags become."""
    if action is FlagAction.ADD:
        return old | bits
    if action is FlagAction.REMOVE:
        return old & ~bits
    return bits


@dataclass(slots=True)
class Renamed:
    """What a burst did. ``lost``: files that were not where the index had them; ``trouble`` ended the burst early."""

    row: MailboxRow
    done: list[tuple[int, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    moved: int = 0
    trouble: OSError | None = None


def own_change(row: MailboxRow, folder: Folder, before: tuple[int, int]) -> Known:
    """What is known of the directories after a change of ours: that nobody else touched them, if that was so before."""
    known = row.known
    new, cur = mtimes(folder)
    if before[0] == known.new:
        known = replace(known, new=new, doubt=max(known.doubt, 1))
    if before[1] == known.cur:
        known = replace(known, cur=cur, doubt=max(known.doubt, 1))
    return known


def rename_files(
    connection: sqlite3.Connection, row: MailboxRow, folder: Folder, wanted: dict[int, int], modseq: int | None
) -> Renamed:
    """Put the flags ``wanted`` (by UID) into the names of files; files in new/ move to cur/. For workers.

    ``modseq`` None: only moved, flags are as before.
    """
    result = Renamed(row)
    before = mtimes(folder)
    rows, alike = message_rows.parts_of(connection, row.number, sorted(wanted)) if wanted else ([], Counter())
    moved: list[tuple[int, str, bool]] = []
    changed: list[message_rows.Retailed] = []
    tails: dict[tuple[str, int], str] = {}
    masks: list[tuple[str, int]] = []
    with contextlib.ExitStack() as stack:
        cur = os.open(folder.cur, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, cur)
        new = -1
        for uid, base, tail, fresh, flags in rows:
            bits = wanted[uid]
            renamed = tails.get((tail, bits))
            if renamed is None:
                renamed = tails[tail, bits] = with_flags(tail, bits)
            if fresh and new < 0:
                new = os.open(folder.new, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, new)
            if fresh or renamed != tail:
                try:
                    os.rename(base + tail, base + renamed, src_dir_fd=new if fresh else cur, dst_dir_fd=cur)
                except FileNotFoundError:
                    result.lost.append(uid)
                    continue
                except OSError as error:
                    result.trouble = error
                    break
            if (bits ^ flags) & HIGH_BITS:
                masks.append((base, bits))
            if fresh:
                moved.append((uid, base + renamed, False))
            changed.append((uid, tail, flags, renamed, bits))
    result.moved = len(changed)
    known = row.known
    if masks:
        trusted = keywords.signatures(folder) == known.keywords
        keywords.set_masks(folder, masks)
        if trusted:
            known = replace(known, keywords=keywords.signatures(folder))
    known = own_change(replace(row, known=known), folder, before)
    result.row = replace(row, known=known)
    if modseq is not None:
        result.row = replace(result.row, highest_modseq=modseq)
        if changed:
            message_rows.update_tails(connection, row.number, changed, modseq, Counter() if moved else alike)
        result.done = [(uid, bits) for uid, _, _, _, bits in changed]
    message_rows.move_files(connection, row.number, moved)
    index.save_mailbox(connection, result.row)
    return result


async def mark(
    box: OpenMailbox,
    uids: Sequence[int],
    action: FlagAction,
    flags: Sequence[str],
    unchanged_since: int | None,
    by: Watcher | None,
) -> Flagged:
    """STORE and UID STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3)."""
    async with Held(box.lock):
        box.check_alive()
        if box.read_only:
            raise StoreError(Problem.NOT_ALLOWED, "this mailbox is read-only")
        bits = await flag_bits(box, flags, make=action is not FlagAction.REMOVE)
        wanted: dict[int, int] = {}
        conflicting: list[int] = []
        slices = box.slices()
        places = box.positions(uids)
        for start in range(0, len(places), BURST):
            some = places[start : start + BURST]
            if unchanged_since is not None:
                conflicting += [box.uids[at] for at in some if box.modseqs[at] > unchanged_since]
                some = [at for at in some if box.modseqs[at] <= unchanged_since]
            become = {old: changed_flags(old, action, bits) for old in {box.flags[at] for at in some}}
            wanted |= {box.uids[at]: new for at in some if (new := become[old := box.flags[at]]) != old}
            await slices.breathe()
        if not wanted:
            return Flagged((), tuple(conflicting), box.highest_modseq)
        modseq = next_modseq(box.row, box.account.clock.seconds())
        done, lost = await _rename_all(box, wanted, modseq, by)
        if lost:
            # Another program has renamed or removed them: learn their names, then try once more.
            await box.refresh_locked(thorough=True)
            again = {}
            for at in box.positions(lost):
                new = changed_flags(box.flags[at], action, bits)
                if new != box.flags[at]:
                    again[box.uids[at]] = new
            if again:
                modseq = next_modseq(box.row, box.account.clock.seconds())
                more, _ = await _rename_all(box, again, modseq, by)
                done = sorted([*done, *more])
        return Flagged(tuple(done), tuple(conflicting), box.highest_modseq)


async def advance(box: OpenMailbox) -> int:
    """A modification sequence that no change of a message has or gets (ports.store.Mailbox.advance)."""
    async with Held(box.lock):
        box.check_alive()
        modseq = next_modseq(box.row, box.account.clock.seconds())
        row = replace(box.row, highest_modseq=modseq)
        await box.account.run(lambda connection: index.save_mailbox(connection, row))
        box.take_row(row)
        return modseq


async def _rename_all(
    box: OpenMailbox, wanted: dict[int, int], modseq: int, by: Watcher | None
) -> tuple[list[int], list[int]]:
    items = list(wanted.items())
    done: list[tuple[int, int]] = []
    lost: list[int] = []
    folder = box.folder
    try:
        for start in range(0, len(items), BURST):
            burst = dict(items[start : start + BURST])
            row = box.row
            result = await box.account.run(
                lambda connection, row=row, burst=burst: rename_files(  # type: ignore[misc]
                    connection, row, folder, burst, modseq
                )
            )
            box.take_row(result.row)
            done += result.done
            lost += result.lost
            if result.trouble is not None:
                raise box.account.refusal(result.trouble) from result.trouble
    finally:
        box.set_flags(done, modseq, by)
    return [uid for uid, _ in done], lost


async def settle(box: OpenMailbox) -> None:
    """Move what lies in new/ to cur/, as every Maildir reader does with what it has seen."""
    folder = box.folder
    while not box.is_dead:
        async with Held(box.lock):
            row = box.row

            def work(connection: sqlite3.Connection, row: MailboxRow = row) -> Renamed:
                fresh = message_rows.all_files(connection, row.number, fresh_only=True, most=BURST)
                return rename_files(connection, row, folder, {uid: flags for uid, _, _, flags, _ in fresh}, None)

            result = await box.account.run(work)
            box.take_row(result.row)
        if result.lost:
            box.look_again_in(1.0)
        if result.trouble is not None or result.lost or not result.moved:
            return
