"""What IMAP asks of every message, made once: when the message comes, or when somebody asks first.

A *kind* is a named column of rendered octets: "envelope", "bodystructure", "body", "preview", "emailid", a list of
header fields ("fields:cc,date,…", "but:received"), or the casemapped text of a field for searching ("text:subject").
Each has a table of its own in the index. Kinds are made for old messages when they are asked for, newest first for new
ones as soon as the service is idle.
"""

from __future__ import annotations

import bisect
import contextlib
import mmap
import os
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.store import message_rows, rendered
from mailbox_appliance.store.files import batches, open_again, read_files
from mailbox_appliance.store.index_file import Index
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.wire.imap.columns import LARGEST_HEAD, render_one

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

HEAD = 16 * 1024  # octets read first where only the header matters
IN_REACTOR = 512 * 1024  # a larger message is rendered in a worker
WHOLE = frozenset({"envelope", "bodystructure", "body", "preview", "emailid"})  # made together, of the whole message
NEEDS_BODY = WHOLE - {"envelope"}
ALWAYS = ("envelope", "bodystructure", "text:from", "text:subject", "text:to", "text:cc", "sortkeys", "threadkeys")
# Asked for one of these for many messages at once, all are made: reading the files is the larger part of it.
OF_HEADER = tuple(kind for kind in ALWAYS if kind not in NEEDS_BODY)
MANY = 64
SEARCHED = frozenset({"from", "to", "cc", "subject"})
LOOKED_AT = 512  # messages whose missing kinds are asked for at once
MOST_NAMES = 2000  # characters of a kind's name; a longer list of fields is not kept

Values = dict[str, dict[int, bytes]]


def _render_file(store: Index, folder: Folder, number: int, uid: int, kinds: Sequence[str]) -> dict[str, bytes]:
    """A large message, in a worker, without holding it in memory."""
    rows = store.read(lambda connection: message_rows.files_of(connection, number, [uid]))
    fd = open_again(folder, bool(rows[0][2]), rows[0][1]) if rows else None
    if fd is None:
        return {}
    try:
        with contextlib.closing(mmap.mmap(fd, 0, access=mmap.ACCESS_READ)) as octets:
            return render_one(octets, kinds)
    finally:
        os.close(fd)


async def register(box: OpenMailbox, kinds: Iterable[str], *, quiet: bool = False) -> dict[str, int]:
    """Table numbers of kinds, made where they are new."""
    account = box.account
    wanted = [kind for kind in kinds if len(kind) <= MOST_NAMES]
    if any(kind not in account.kinds for kind in wanted):
        moment, most = int(account.clock.seconds()), account.settings.most_kinds

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            for kind in wanted:
                rendered.make_kind(connection, kind, moment, most)
            return rendered.kinds(connection)

        account.kinds = await (account.quietly if quiet else account).run(work)
    return {kind: account.kinds[kind] for kind in wanted if kind in account.kinds}


async def make(
    box: OpenMailbox,
    uids: Sequence[int],
    kinds: Sequence[str],
    *,
    keep: bool = True,
    quiet: bool = False,
    hurry: bool = False,
) -> Values:
    """Render ``kinds`` of ``uids`` (sorted) out of their files; kept in the index too. Gone messages are left out.

    ``quiet``: nobody waits for it; it ends early, with what it has, as soon as somebody wants anything (but for
    ``hurry``).
    """
    ground = box.account.quietly if quiet else box.account
    store, pulse = box.account.index, box.account.pulse
    if len(uids) >= MANY and not quiet and not set(OF_HEADER).isdisjoint(kinds):
        kinds = [*kinds, *(kind for kind in OF_HEADER if kind not in kinds)]
    values: Values = {kind: {} for kind in kinds}
    whole = not NEEDS_BODY.isdisjoint(kinds)
    yields = quiet and not hurry
    if whole and not quiet:
        await box.measure(uids)  # large ones go another way
    slices = box.slices()
    limits = {} if whole else {"octets": 1 << 40, "messages": 200}
    for batch in batches(box, uids, **limits):
        if yields and not pulse.is_calm:
            break
        if whole and len(batch) == 1 and box.sizes[box.position(batch[0])] > IN_REACTOR:
            one = await ground.disk(_render_file, store, box.folder, box.number, batch[0], kinds)
            for kind, value in one.items():
                values[kind][batch[0]] = value
            continue
        found, missing = await ground.disk(
            read_files, store, box.folder, box.number, batch, {}, IN_REACTOR * 2 if whole else HEAD
        )
        if missing and whole:
            box.look_again_in(0.2)
        slices.begin()
        for read in found:
            octets = read.octets
            if not whole and len(octets) == HEAD and header_end(octets) == HEAD:
                octets = await longer_head(box, read.uid)
                slices.begin()
            for kind, value in render_one(octets, kinds).items():
                values[kind][read.uid] = value
            if slices.spent():
                await slices.breathe()
                if yields and not pulse.is_calm:
                    break
    if keep:
        await save(box, values, quiet=quiet)
    return values


async def longer_head(box: OpenMailbox, uid: int) -> bytes:
    """A header that is longer than most."""
    found, _ = await box.account.disk(read_files, box.account.index, box.folder, box.number, [uid], {}, LARGEST_HEAD)
    return found[0].octets if found else b"\r\n"


async def save(box: OpenMailbox, values: Values, *, quiet: bool = False) -> None:
    """Write rendered octets into the index."""
    numbers = await register(box, values, quiet=quiet)
    number = box.number

    def work(connection: sqlite3.Connection) -> None:
        for kind, table in numbers.items():
            rendered.save_rendered(connection, number, table, values[kind].items())

    if any(values.values()):
        await (box.account.quietly if quiet else box.account).run(work)


@dataclass(slots=True)
class Progress:
    """How far an open mailbox has been rendered beforehand: everything from ``bottom`` up to ``top`` was looked at."""

    top: int
    bottom: int

    def next(self, uids: array[int], most: int) -> array[int]:
        """The messages to be looked at next: what is new first, then the newest of the old."""
        first_new = bisect.bisect_right(uids, self.top)
        if first_new < len(uids):
            return uids[first_new : first_new + most]
        stop = bisect.bisect_left(uids, self.bottom)
        return uids[max(stop - most, 0) : stop]

    def again(self) -> Progress:
        """From the beginning."""
        return Progress(self.top, self.top + 1)

    def done(self, uids: Sequence[int]) -> None:
        """These have all they need."""
        self.top, self.bottom = max(self.top, uids[-1]), min(self.bottom, uids[0])


async def prerender_some(box: OpenMailbox, most: int, *, hurry: bool = False) -> bool:
    """One step of what nobody waits for: render what ``most`` messages still lack. False: nothing is missing.

    It ends early when somebody wants something, but for ``hurry``.
    """
    account = box.account
    uids = box.rendered.next(box.uids, LOOKED_AT)
    if not uids:
        return False
    always = await register(box, ALWAYS, quiet=True)
    tables = {kind: n for kind, n in account.kinds.items() if kind in always or kind.startswith(("fields", "but"))}
    number = box.number

    def work(connection: sqlite3.Connection) -> dict[str, set[int]]:
        return {kind: rendered.unrendered(connection, number, table, uids) for kind, table in tables.items()}

    lacking = await account.quietly.run(work)
    waiting = sorted(set().union(*lacking.values()))
    newest = waiting[-most:]
    complete = True
    if newest:
        kinds = [kind for kind, lack in lacking.items() if not lack.isdisjoint(newest)]
        made = await make(box, newest, kinds, quiet=True, hurry=hurry)
        complete = hurry or account.pulse.is_calm or all(len(have) == len(newest) for have in made.values())
    if complete and len(newest) == len(waiting):
        box.rendered.done(uids)
    return True
