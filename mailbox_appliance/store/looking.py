"""A look at an open mailbox's files: what other programs did there becomes what the arrays and the sessions know.

``scan`` and ``admission`` do it in workers; here is the order of things, under the mailbox's lock.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailbox_appliance.journal.events.store import KeywordsRestored, MailboxReset, MailboxScanned
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.store import admission, first, scan
from mailbox_appliance.store.admission import Admitted, Restart
from mailbox_appliance.store.changes import Changes, MailboxGone, Newcomer, next_modseq

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

GLANCE_SECONDS = 5.0  # what was looked at so lately is in the kernel's memory
CHUNK = 4000  # newcomers admitted in one transaction
LOOKS = 4  # how often a change of the uidlist by another program is followed before we give up for now


def is_plainly_unchanged(box: OpenMailbox) -> bool:
    """A few stats of what was looked at lately, in the reactor: this is asked before nearly every command."""
    now = box.account.clock.seconds()
    if not box.account.is_nearby or box.is_dead or box.lock.locked:
        return False
    if not 0 <= now - box.looked_at < GLANCE_SECONDS:
        return False
    try:
        return scan.is_unchanged(box.row, box.folder)
    except (OSError, MailboxGone):
        return False


async def look(box: OpenMailbox, thorough: bool) -> None:
    """Look at the files; what waits in the queue keeps waiting. Call under the lock. Raises StoreError."""
    box.check_alive()
    try:
        unchanged = not thorough and await box.account.disk(scan.is_unchanged, box.row, box.folder)
        box.looked_at = box.account.clock.seconds()
        if unchanged:
            return
        for _ in range(LOOKS):
            try:
                await _look(box, thorough)
                return
            except Restart:
                continue
        raise StoreError(Problem.BUSY, "another program is changing this mailbox; try again")
    except MailboxGone:
        box.die("the mailbox was deleted")
        raise StoreError(Problem.NO_SUCH_MAILBOX, "the mailbox was deleted") from None


async def _look(box: OpenMailbox, thorough: bool) -> None:
    row, folder, now = box.row, box.folder, box.account.clock.seconds()
    changes = await box.account.run(lambda connection: scan.look(connection, row, folder, now, thorough=thorough))
    if changes.reset:
        box.account.journal.tell(MailboxReset(account=str(box.account.address), mailbox=box.name))
        box.die("the mailbox was replaced by another one of that name")
        raise StoreError(Problem.NO_SUCH_MAILBOX, "the mailbox was replaced; select it again")
    box.take_row(changes.row)
    if changes.restored:
        box.account.journal.tell(KeywordsRestored(account=str(box.account.address), mailbox=box.name))
    _apply(box, changes)
    arrived = await _take_crowd(box, changes) if changes.crowd is not None else 0
    if changes.newcomers:
        arrived = await _admit_all(box, changes)
    if arrived or changes.gone or changes.changed:
        box.account.journal.tell(
            MailboxScanned(
                account=str(box.account.address),
                mailbox=box.name,
                arrived=arrived,
                gone=len(changes.gone),
                changed=len(changes.changed),
            )
        )
    if changes.again:
        box.look_again_in(1.0)


async def _take_crowd(box: OpenMailbox, changes: Changes) -> int:
    """What another program has filled an empty mailbox with; how many, or 0 when it has to go the usual way."""
    crowd, row, folder = changes.crowd, changes.row, box.folder
    assert crowd is not None
    modseq = next_modseq(row, box.account.clock.seconds())
    numbered = await box.account.disk(first.number, row, folder, crowd, changes.listed, modseq)
    if numbered is None:
        scan.scattered(changes)
        box.take_row(changes.row)
        return 0
    numbered.row = replace(numbered.row, known=replace(numbered.row.known, doubt=changes.doubt))
    box.apply_crowd(numbered)
    try:
        await _write_rows(box, numbered)
    except Exception:
        box.die("the mailbox could not be written into the index; select it again")
        raise
    return len(numbered.uids)


async def _write_rows(box: OpenMailbox, numbered: first.Numbered) -> None:
    """The rows of a crowd, the newest first: a client that has its UIDs already will ask for those."""
    folder = box.folder
    known = len(box.uids) - len(numbered.uids)  # from before
    for start, stop in first.chunks(len(numbered.uids)):
        box.check_alive()

        def work(connection: sqlite3.Connection, start: int = start, stop: int = stop) -> array[int]:
            return first.write(connection, folder, numbered, start, stop)

        box.rows_written(known + start, await box.account.run(work))
    box.unwritten.reached(0)
    box.grown(box)


async def first_look(box: OpenMailbox) -> None:
    """A refresh for whoever opens the mailbox, which may go on with rows when its messages are known."""
    known: Deferred[None] = Deferred()
    box.known = known

    def done(result: Failure | None) -> None:
        box.known = None
        if not known.called:
            known.callback(result)
        elif isinstance(result, Failure):
            box.failed(result)

    box.refresh().addBoth(done)
    await known


async def _admit_all(box: OpenMailbox, changes: Changes) -> int:
    arrived = 0
    newcomers = changes.newcomers
    for start in range(0, len(newcomers), CHUNK):
        chunk = newcomers[start : start + CHUNK]
        final = start + CHUNK >= len(newcomers)
        done = await admit(box, chunk, final, changes)
        arrived += len(done.rows)
    return arrived


async def admit(
    box: OpenMailbox, newcomers: Sequence[Newcomer], final: bool = True, changes: Changes | None = None
) -> Admitted:
    """Give UIDs to newcomers. Call under the lock. Raises Restart, StoreError."""
    row, folder, names, now = box.row, box.folder, box.account.names, box.account.clock.seconds()
    listed, doubt = (changes.listed, changes.doubt) if changes is not None else (None, None)
    done = await box.account.run(
        lambda connection: admission.admit(
            connection, row, folder, newcomers, names, now, final=final, listed=listed, doubt=doubt
        )
    )
    box.account.room.note(done.octets, done.counted)
    box.apply_admitted(done)
    return done


def _apply(box: OpenMailbox, changes: Changes) -> None:
    if changes.changed:
        box.set_flags(changes.changed, changes.modseq, None)
    if changes.gone:
        box.drop(changes.gone, changes.modseq)
