"""SEARCH in a shared mailbox: keys about \\Seen and MODSEQ are the reader's own, the rest is asked of the owner's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.mailbox import RECENT, SEEN

if TYPE_CHECKING:
    from mailbox_appliance.shares.mailbox import SharedMailbox

NEVER_RECENT = 1 << 32


def is_private(key: keys.SearchKey) -> bool:
    """Does anything in it depend on who asks?"""
    match key:
        case keys.HasFlag(bit):
            return bit in (SEEN, RECENT)
        case keys.ModSeq():
            return True
        case keys.And(parts):
            return any(map(is_private, parts))
        case keys.Or(left, right):
            return is_private(left) or is_private(right)
        case keys.Not(inner):
            return is_private(inner)
    return False


async def matching(box: SharedMailbox, key: keys.SearchKey, among: Sequence[int]) -> Sequence[int]:
    """Those of ``among`` (sorted) that match, sorted."""
    if not among:
        return among
    if not is_private(key):
        return await box.base.search(key, among, NEVER_RECENT)
    match key:
        case keys.And(parts):
            # What is told by arrays of ours narrows down what has to be read.
            for part in sorted(parts, key=lambda part: not isinstance(part, keys.HasFlag | keys.ModSeq)):
                if is_private(part):
                    among = await matching(box, part, among)
            rest = tuple(part for part in parts if not is_private(part))
            return await box.base.search(keys.And(rest), among, NEVER_RECENT) if rest and among else among
        case keys.Or(left, right):
            found = set(await matching(box, left, among))
            found.update(await matching(box, right, [uid for uid in among if uid not in found]))
            return [uid for uid in among if uid in found]
        case keys.Not(inner):
            found = set(await matching(box, inner, among))
            return [uid for uid in among if uid not in found]
        case keys.HasFlag(bit):
            return _where(box, among, lambda at: box.flags[at] & bit != 0) if bit == SEEN else ()
        case keys.ModSeq(value):
            return _where(box, among, lambda at: box.modseqs[at] >= value)
    raise TypeError(f"{key!r} does not belong here")


def _where(box: SharedMailbox, among: Sequence[int], test: Callable[[int], bool]) -> list[int]:
    return [uid for uid in among if (at := box.position(uid)) >= 0 and test(at)]
