"""Looking at a mailbox's directories: what has come, gone or got other flags since the index last knew.

Runs in worker threads. Directories that have not changed are not listed; ``cur`` is listed only when somebody else
changed it. A listing taken while files are renamed may miss some (readdir promises nothing), so nothing is believed to
be gone unless it was missing in a listing during which the directories stood still.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from mailbox_appliance.store import first, index, keywords, message_rows, uidvalidity
from mailbox_appliance.store import uidlist as uidlists
from mailbox_appliance.store.changes import Changes, MailboxGone, Newcomer, next_modseq
from mailbox_appliance.store.dotlock import dotlock
from mailbox_appliance.store.filenames import LETTER_BITS, are_plain, base_of, flags_of, order_of
from mailbox_appliance.store.index import MailboxRow
from mailbox_appliance.store.keywords import HIGH_BITS, is_placeholder, placeholder
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.store.uidlist import UidList

# A directory changed less than this ago may change again within the same clock tick. File systems that keep whole
# seconds only are known by their times; others follow the kernel's clock, which ticks every 10 ms or more often.
YOUNG_NS = 2_000_000_000
YOUNG_FINE_NS = 200_000_000
COARSE_NS = 10_000_000
FUTURE_NS = 10_000_000_000  # a time further ahead than this is a wrong clock, not a young directory
_TRIES = 4


def mtimes(folder: Folder) -> tuple[int, int]:
    """st_mtime_ns of new/ and cur/. Raises MailboxGone."""
    try:
        return os.stat(folder.new).st_mtime_ns, os.stat(folder.cur).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        if not os.path.isdir(folder.cur):
            raise MailboxGone(folder.path) from None
        os.makedirs(folder.new, 0o700, exist_ok=True)
        return os.stat(folder.new).st_mtime_ns, os.stat(folder.cur).st_mtime_ns


def listing(directory: str, *, sure: bool = False) -> list[str]:
    """The message files of new/ or cur/; ``sure``: without whatever else may bear such a name there."""
    if sure:
        with os.scandir(directory) as entries:
            return [one.name for one in entries if one.name[0] != "." and one.is_file(follow_symlinks=False)]
    return [name for name in os.listdir(directory) if name[0] != "."]


def _still_listing(folder: Folder, sure: bool) -> tuple[list[str], list[str], int, int, bool]:
    """Both directories, their times, and whether they stood still meanwhile."""
    new: set[str] = set()
    cur: set[str] = set()
    before = mtimes(folder)
    for _ in range(_TRIES):
        new = set(listing(folder.new, sure=sure))
        cur = set(listing(folder.cur, sure=sure))
        after = mtimes(folder)
        if after == before:
            return list(new), list(cur), *after, True
        before = after
    return list(new), list(cur), *before, False


def is_unchanged(row: MailboxRow, folder: Folder) -> bool:
    """Do a few stats say that the index knows everything?"""
    known = row.known
    return (
        row.uidvalidity > 0
        and known.doubt < 2
        and mtimes(folder) == (known.new, known.cur)
        and uidlists.signature(folder.file(uidlists.NAME)) == known.uidlist
        and keywords.signatures(folder) == known.keywords
    )


def look(
    connection: sqlite3.Connection, row: MailboxRow, folder: Folder, now: float, *, thorough: bool = False
) -> Changes:
    """Bring the index up to the state of the files, but for newcomers. Raises MailboxGone, OSError, LockTimeout."""
    changes = Changes(row)
    if not thorough and is_unchanged(row, folder):
        return changes
    new_time, cur_time = mtimes(folder)
    masks = _look_at_keywords(connection, changes, folder)
    path = folder.file(uidlists.NAME)
    relisted = not row.uidvalidity or uidlists.signature(path) != row.known.uidlist
    if relisted:
        with dotlock(path):
            _settle_uidlist(connection, changes, folder, now)
    known = changes.row.known
    both = relisted or thorough or changes.reset or known.doubt == 2 or cur_time != known.cur or masks is not None
    new: list[str] = []
    if not both:
        new = listing(folder.new)
        fresh = {file for _, file, *_ in message_rows.all_files(connection, row.number, fresh_only=True)}
        both = not fresh <= set(new)  # gone from new/, perhaps only moved: both must be seen
    cur: list[str] | None = None
    still = True
    if both:
        sure = not message_rows.all_files(connection, row.number, most=1)
        new, cur, new_time, cur_time, still = _still_listing(folder, sure)
        if masks is None and known.keywords[1] != uidlists.NONE:
            masks = keywords.read(folder).masks
    _compare(connection, changes, folder, new, cur, masks, now, still)
    _nothing_outstanding(changes)
    young = any(_is_young(moment, now) for moment in (new_time, cur_time))
    if not still:
        doubt, changes.again = 2, True
    elif both:
        doubt = 2 if young else 0
    else:
        doubt = max(known.doubt, 1)
    if not both and young:
        new_time = 0  # only new/ was listed and may have changed again: list it next time, too
    changes.doubt = doubt
    if changes.newcomers or changes.crowd is not None:
        doubt = 2  # the disk may refuse their UIDs, and nothing would change the directories' times again
    changes.row = replace(changes.row, known=replace(changes.row.known, new=new_time, cur=cur_time, doubt=doubt))
    index.save_mailbox(connection, changes.row)
    return changes


def _is_young(moment: int, now: float) -> bool:
    """May a directory of this st_mtime_ns change again without a change of it?"""
    return -FUTURE_NS < now * 1e9 - moment < (YOUNG_NS if moment % COARSE_NS == 0 else YOUNG_FINE_NS)


def _look_at_keywords(connection: sqlite3.Connection, changes: Changes, folder: Folder) -> dict[str, int] | None:
    """Names, if the files have changed; the high keywords by base when our own file has.

    A file that was deleted, or has lost lines, is written again from what the index knows.
    """
    row = changes.row
    found = keywords.signatures(folder)
    if found == row.known.keywords and not (row.uidvalidity == 0 and found[1] != uidlists.NONE):
        return None
    held = keywords.read(folder)
    known = row.keywords
    if uidlists.read(folder.file(uidlists.NAME)).validity not in (0, row.uidvalidity):
        known = ()  # another mailbox has taken the place: its letters mean something else
    names = keywords.merged(held.names, known)
    lost = {}
    if known and found[1] == uidlists.NONE != row.known.keywords[1]:
        lost = {base_of(file): bits for _, file, _, flags, _ in message_rows.all_files(connection, row.number)
                if (bits := flags & HIGH_BITS)}  # fmt: skip
    if lost or any(not is_placeholder(n, name) for n, name in enumerate(names) if name not in held.names):
        changes.restored = True
        held.masks = lost | held.masks
        with contextlib.suppress(OSError):  # a full disk: the index goes on knowing them
            held = keywords.restore(folder, known, lost)
        names, found = keywords.merged(held.names, known), keywords.signatures(folder)
    old = row.keywords
    if any(was != is_now and was != placeholder(n) for n, (was, is_now) in enumerate(zip(old, names, strict=False))):
        changes.reset = changes.reset or row.uidvalidity > 0
    if held.lines > 2 * len(held.masks) + 200:
        with dotlock(folder.file(uidlists.NAME)):
            keywords.compact(folder, keywords.read(folder))
        found = keywords.signatures(folder)
    changes.row = replace(row, keywords=tuple(names), known=replace(row.known, keywords=found))
    return held.masks if found[1] != row.known.keywords[1] or row.uidvalidity == 0 else None


def _settle_uidlist(connection: sqlite3.Connection, changes: Changes, folder: Folder, now: float) -> None:
    """Make dovecot-uidlist and the index agree; call under the lock.

    The file is the truth; a message the file has lost keeps the UID the index knows, and the higher of two UIDs wins.
    """
    path = folder.file(uidlists.NAME)
    row = changes.row
    listed = uidlists.read(path)
    if not listed.validity and not row.uidvalidity:
        validity = uidvalidity.give(folder.root, now)
        listed = UidList(validity, 1, uidvalidity.new_guid(), damaged=True)
    if listed.validity and listed.validity != row.uidvalidity:
        if row.uidvalidity:
            index.forget_messages(connection, row.number)
            changes.reset = True
        modseq = next_modseq(row, now)
        row = replace(
            row, uidvalidity=listed.validity, uidnext=1, guid="", recent_from=0, highest_modseq=modseq,
            forgotten_to=modseq,
        )  # fmt: skip
    guid = listed.guid or row.guid or uidvalidity.new_guid()
    row = replace(row, guid=guid)
    held = {base_of(file): uid for uid, file, _, _, _ in message_rows.all_files(connection, row.number)}
    rewrite = listed.damaged or not listed.guid or not listed.validity
    overruled: list[int] = []
    for base, uid in held.items() - listed.uids.items():
        theirs = listed.uids.get(base, 0)
        if theirs > uid:
            overruled.append(uid)
        else:
            rewrite = True
            listed.uids[base] = uid
    if overruled:
        modseq = next_modseq(row, now)
        overruled.sort()
        row = message_rows.remove_messages(connection, row, overruled, modseq)
        row = replace(row, highest_modseq=modseq)
        changes.gone += overruled
        changes.modseq = modseq
    listed.next = max(listed.next, row.uidnext, max(listed.uids.values(), default=0) + 1)
    signature = uidlists.signature(path)
    if rewrite:
        entries = sorted((uid, base, listed.extras.get(uid, "")) for base, uid in listed.uids.items())
        signature = uidlists.rewrite(path, row.uidvalidity, listed.next, guid, entries)
        listed.lines, listed.damaged = len(entries), False
    changes.listed = signature, listed
    outstanding = any(uid >= row.uidnext for uid in listed.uids.values())
    if outstanding:
        # Until every file with a UID of its own has been admitted the list counts as unread: see admission.
        changes.row = replace(row, known=replace(row.known, uidlist=(0, 0, 1), lines=listed.lines))
    else:
        changes.row = replace(row, uidnext=listed.next, known=replace(row.known, uidlist=signature, lines=listed.lines))


def _compare(
    connection: sqlite3.Connection,
    changes: Changes,
    folder: Folder,
    new: Sequence[str],
    cur: Sequence[str] | None,
    masks: dict[str, int] | None,
    now: float,
    still: bool,
) -> None:
    """Set the listing against the rows; ``cur`` None means that only new/ was listed."""
    row = changes.row
    rows = message_rows.all_files(connection, row.number, fresh_only=cur is None)
    if not rows:
        _all_strangers(changes, new, cur, masks or {}, still)
        return
    held = {("n" if fresh else "c") + file: (uid, flags) for uid, file, fresh, flags, _ in rows}
    present = {"n" + name for name in new}
    if cur is not None:
        present.update(["c" + name for name in cur])
    appeared = present - held.keys()
    missing = held.keys() - present
    lost = {base_of(key[1:]): key for key in missing}
    moved: list[tuple[int, str, bool, int, int]] = []
    modseq = next_modseq(row, now)
    strangers: list[str] = []
    for key in appeared:
        name = key[1:]
        was = lost.pop(base_of(name), None) if lost else None
        if was is None:
            strangers.append(key)
            continue
        uid, flags = held[was]
        bits = flags_of(name) | (flags & ~LETTER_BITS)
        moved.append((uid, name, key[0] == "n", bits, modseq))
        if bits != flags:
            changes.changed.append((uid, bits))
    gone = sorted(held[key][0] for key in lost.values()) if still else []
    if masks is not None:
        went = set(gone)
        seen = {uid for uid, *_ in moved}
        for uid, file, fresh, flags, _ in rows:
            bits = flags & ~HIGH_BITS | masks.get(base_of(file), 0)
            if bits != flags and uid not in went and uid not in seen:
                moved.append((uid, file, bool(fresh), bits, modseq))
                changes.changed.append((uid, bits))
    changed = {uid for uid, _ in changes.changed}
    message_rows.update_files(connection, row.number, [one for one in moved if one[0] in changed])
    message_rows.move_files(
        connection, row.number, [(one[0], one[1], one[2]) for one in moved if one[0] not in changed]
    )
    if gone:
        row = message_rows.remove_messages(connection, row, gone, modseq)
        changes.gone = sorted({*changes.gone, *gone})
    if gone or changes.changed:
        row = replace(row, highest_modseq=modseq)
        changes.modseq = modseq
    changes.row = row
    if still and cur is not None and not masks and _is_crowd(changes, folder, strangers, rows):
        return
    given = masks or {}
    changes.newcomers += [Newcomer(key[0] == "n", key[1:], given.get(base_of(key[1:]), 0)) for key in strangers]
    _put_in_order(changes)
    if row.recent_from == 0:
        changes.row = replace(row, recent_from=_first_recent(changes, row))


def _is_crowd(
    changes: Changes, folder: Folder, strangers: Sequence[str], rows: Sequence[tuple[int, str, int, int, int]]
) -> bool:
    """Thousands beside a few known messages, as in an account that has had its first mail already."""
    if len(strangers) < first.FEWEST:
        return False
    new, cur = ([key[1:] for key in strangers if key[0] == place] for place in "nc")
    if not all(set(listing(at, sure=True)).issuperset(names) for at, names in ((folder.new, new), (folder.cur, cur))):
        return False  # not all of them are files
    crowd = first.gather(new, cur, changes.listed[1].uids if changes.listed else {})
    if crowd is None or not {base_of(file) for _, file, *_ in rows}.isdisjoint(crowd.bases):
        return False
    changes.crowd = crowd
    return True


def _all_strangers(
    changes: Changes, new: Sequence[str], cur: Sequence[str] | None, masks: dict[str, int], still: bool
) -> None:
    """The same where there are no rows to compare with: the first look at a mailbox."""
    if still and cur is not None and not masks:
        changes.crowd = first.gather(new, cur, changes.listed[1].uids if changes.listed else {})
        if changes.crowd is not None:
            return
    cur = cur or ()
    changes.newcomers += [Newcomer(True, name) for name in new]
    changes.newcomers += [Newcomer(False, name) for name in cur]
    if masks:
        changes.newcomers = [n._replace(flags=masks.get(base_of(n.file), 0)) for n in changes.newcomers]
    _put_in_order(changes)
    if changes.row.recent_from == 0:
        changes.row = replace(changes.row, recent_from=_first_recent(changes, changes.row))


def scattered(changes: Changes) -> None:
    """The crowd goes the usual way."""
    if changes.crowd is not None:
        crowd, changes.crowd = changes.crowd, None
        files = zip(crowd.bases, crowd.tails, crowd.fresh, strict=True)
        changes.newcomers = [Newcomer(bool(fresh), base + tail) for base, tail, fresh in files]
        if changes.row.recent_from == 0:
            changes.row = replace(changes.row, recent_from=_first_recent(changes, changes.row))


def _put_in_order(changes: Changes) -> None:
    """Those with a UID of another program first, then as their names say when they came."""
    newcomers = changes.newcomers
    uids = changes.listed[1].uids if changes.listed else {}
    bases = [base_of(newcomer.file) for newcomer in newcomers]
    if not uids and are_plain(bases):
        order = sorted(range(len(bases)), key=bases.__getitem__)
    else:
        keys = [(uids.get(base, 1 << 32), order_of(base)) for base in bases]
        order = sorted(range(len(bases)), key=keys.__getitem__)
    changes.newcomers = [newcomers[at] for at in order]


def _first_recent(changes: Changes, row: MailboxRow) -> int:
    """At the first look, what lies in new/ behind everything else has been seen by nobody (RFC 3501 §2.3.2)."""
    listed = changes.listed[1] if changes.listed else UidList(next=row.uidnext)
    bases = [base_of(newcomer.file) for newcomer in changes.newcomers]
    strangers = sum(base not in listed.uids for base in bases)
    first = listed.next + strangers
    for newcomer, base in zip(reversed(changes.newcomers), reversed(bases), strict=True):
        if not newcomer.fresh:
            break
        if base in listed.uids:
            first = listed.uids[base]
        else:
            strangers -= 1
            first = listed.next + strangers
    return first


def _nothing_outstanding(changes: Changes) -> None:
    """Lines of files that are gone need no admission: the list has been read."""
    if changes.listed is not None and not changes.newcomers and changes.crowd is None:
        signature, listed = changes.listed
        known = replace(changes.row.known, uidlist=signature)
        changes.row = replace(changes.row, uidnext=max(changes.row.uidnext, listed.next), known=known)


def compact(connection: sqlite3.Connection, row: MailboxRow, folder: Folder) -> MailboxRow:
    """Rewrite a dovecot-uidlist that has many lines of files that are gone. Raises OSError, LockTimeout."""
    path = folder.file(uidlists.NAME)
    with dotlock(path):
        if uidlists.signature(path) != row.known.uidlist:
            return row
        extras = uidlists.read(path).extras
        entries = [
            (uid, base_of(file), extras.get(uid, ""))
            for uid, file, *_ in message_rows.all_files(connection, row.number)
        ]
        signature = uidlists.rewrite(path, row.uidvalidity, row.uidnext, row.guid, entries)
    row = replace(row, known=replace(row.known, uidlist=signature, lines=len(entries)))
    index.save_mailbox(connection, row)
    return row
