"""COPY and MOVE where a mailbox of others is the source or the target: who may, and whose news it is.

RFC 4314 §4 says which rights they need. Within one owner's mail his own store does the work; from one account into
another the messages cross (``shares.crossing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailbox_appliance.ports.habits import Filed
from mailbox_appliance.ports.store import Bystander, Copied, FlagAction, Mailbox, Mailstore
from mailbox_appliance.shares.crossing import Crossing
from mailbox_appliance.shares.mailbox import SharedMailbox, right_for
from mailbox_appliance.shares.names import Where, name_of

if TYPE_CHECKING:
    from mailbox_appliance.shares.store import SharingStore


async def copied(
    sharing: SharingStore, source: Mailbox, uids: Sequence[int], target: str, where: Where | None, move: bool
) -> Copied:
    """To or from a mailbox of others; ``where`` None: into one of his own, ``target``. Raises StoreError."""
    if isinstance(source, SharedMailbox):
        source.check("r", "read")
        if move:  # RFC 6851 §4.2
            source.check("t", "take messages out")
            source.check("e", "take messages out")
    rights = sharing.need(where, "i", "put messages") if where is not None else frozenset("lrswite")
    if isinstance(source, SharedMailbox) and where is not None and {"w", "t"} <= rights:
        if source.owner == where.owner:
            return await _within(sharing, source, uids, where, move)
    crossing = Crossing(
        sharing.shares.workers,
        sharing.shares.spool,
        source,
        (lambda flags: flags) if where is None else (lambda flags: shared_flags(flags, rights)),
    )
    store, mailbox = (sharing.own, target) if where is None else (await sharing.store_of(where), where.mailbox)
    try:
        await crossing.go(uids, lambda messages: store.append(mailbox, messages))
        if move and crossing.source_uids:
            base = source.base if isinstance(source, SharedMailbox) else source
            await base.mark(crossing.source_uids, FlagAction.ADD, ("\\Deleted",))
            await base.expunge(crossing.source_uids)
    except BaseException:
        await _take_back(store, mailbox, crossing.target_uids)
        raise
    if where is not None:
        await sharing.mark_read(where, crossing.read_uids)
    if crossing.target_uids:
        _tell_filed(sharing, source, Where(store.account, mailbox), crossing.target_uids, move)
    return Copied(crossing.uidvalidity, tuple(crossing.source_uids), tuple(crossing.target_uids))


def _tell_filed(sharing: SharingStore, source: Mailbox, target: Where, uids: Sequence[int], moved: bool) -> None:
    """Whose mailbox it has come into learns from it, as from what comes out of a mailbox of his own."""
    origin = Where(sharing.account, source.name)
    if isinstance(source, SharedMailbox):
        origin = Where(source.owner, source.base.name)
    name = name_of(origin, target.owner)
    sharing.shares.habits.filed(Filed(target.owner, name, target.mailbox, tuple(uids), moved))


async def _within(
    sharing: SharingStore, source: SharedMailbox, uids: Sequence[int], where: Where, move: bool
) -> Copied:
    """Both mailboxes are of one owner: his store does it, the reader's marks go along."""
    read = {uid for uid in uids if source.has_read(uid)}
    done = await source.base.copy(uids, where.mailbox, move=move)
    pairs = zip(done.source_uids, done.target_uids, strict=True)
    await sharing.mark_read(where, [new for old, new in pairs if old in read])
    return done


def shared_flags(flags: frozenset[str], rights: frozenset[str]) -> frozenset[str]:
    """What of a new message's flags the owner gets to see; \\Seen is the reader's."""
    return frozenset(flag for flag in flags if flag.lower() != "\\seen" and right_for(flag) in rights)


async def _take_back(store: Mailstore, mailbox: str, uids: Sequence[int]) -> None:
    if not uids:
        return
    passerby = Bystander()
    box = await store.open(mailbox, passerby, read_only=True)
    try:
        await box.mark(uids, FlagAction.ADD, ("\\Deleted",))
        await box.expunge(uids)
    finally:
        box.release(passerby)
