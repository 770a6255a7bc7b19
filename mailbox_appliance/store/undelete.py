"""Bringing expunged messages back: out of the rest folder into their mailbox, with flags, keywords and date.

They get new UIDs, for their old ones were told to be gone (RFC 3501 §2.3.1.1). Each comes back by one rename, so that a
crash leaves it resting or in its mailbox, where the next look finds it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailbox_appliance.mail.mailbox import DELETED, FIRST_KEYWORD_BIT
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.store import Problem, StoreError
from mailbox_appliance.shielded import Held
from mailbox_appliance.store import keywords, resting
from mailbox_appliance.store.changes import Newcomer
from mailbox_appliance.store.durable import sync_folder
from mailbox_appliance.store.filenames import flags_of, wire_size_of, with_flags
from mailbox_appliance.store.flags import flag_bits
from mailbox_appliance.store.keywords import HIGH_BITS
from mailbox_appliance.store.paths import mailbox_name
from mailbox_appliance.store.resting import Rested

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox
    from mailbox_appliance.store.store import AccountStore

AT_ONCE = 200
_SYSTEM = (1 << FIRST_KEYWORD_BIT) - 1
HEAD_OCTETS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Expunged:
    """A line of the list: what rests, where it was, and the beginning of it."""

    mailbox: str
    when: int
    date: float
    octets: int
    head: bytes


def _wanted(root: str, since: float, mailbox: str) -> dict[str, list[Rested]]:
    found: dict[str, list[Rested]] = {}
    for day in resting.days(root):
        if (day + 1) * resting.DAY <= since:
            continue
        for one in resting.of_day(root, day):
            name = mailbox_name(one.disk)
            if one.when >= int(since) and name is not None and mailbox in ("", name):
                found.setdefault(name, []).append(one)
    for listed in found.values():
        listed.sort(key=lambda one: (one.when, one.file))
    return found


def _heads(listed: Sequence[tuple[str, Rested]]) -> list[Expunged]:
    lines = []
    for mailbox, one in listed:
        with contextlib.suppress(OSError), open(one.path, "rb") as file:
            head = file.read(HEAD_OCTETS)
            lines.append(Expunged(mailbox, one.when, os.fstat(file.fileno()).st_mtime, one.octets, head))
    return lines


async def listing(store: AccountStore, since: float, mailbox: str, most: int) -> tuple[int, list[Expunged]]:
    """How many rest, and the ``most`` latest of them, latest first. Raises StoreError."""
    ground = store.ground
    found = await ground.disk(_wanted, ground.resting, since, mailbox)
    all_of_them = [(name, one) for name, listed in found.items() for one in listed]
    all_of_them.sort(key=lambda pair: pair[1].when, reverse=True)
    return len(all_of_them), await ground.disk(_heads, all_of_them[:most])


async def bring_back(store: AccountStore, since: float, mailbox: str) -> dict[str, int]:
    """Messages expunged since then come back; how many, by mailbox. Raises StoreError, after some have come back."""
    ground = store.ground
    found = await ground.disk(_wanted, ground.resting, since, mailbox)
    done: dict[str, int] = {}
    for name, listed in found.items():
        await store.make_present(name)
        for start in range(0, len(listed), AT_ONCE):
            box = await store.box(name)
            done[name] = done.get(name, 0) + await _some(box, listed[start : start + AT_ONCE])
    return done


async def _some(box: OpenMailbox, listed: Sequence[Rested]) -> int:
    account = box.account
    octets = sum(one.octets for one in listed)
    await account.room.reserve(octets)
    box.guests += 1
    try:
        words: dict[str, list[str]] = {}
        for folder in {os.path.dirname(one.path) for one in listed}:
            words.update(await account.disk(resting.keywords_beside, f"{folder}/x"))
        async with Held(box.lock):
            box.check_alive()
            bits = [await _bits(box, one, words.get(one.base, ())) for one in listed]
            now = account.clock.seconds()
            moves: list[tuple[str, Newcomer]] = []
            for one, flags in zip(listed, bits, strict=True):
                base = account.names.make(now, one.octets, wire_size_of(one.base))
                name = with_flags(base, flags) if flags else base
                size = wire_size_of(base)
                newcomer = Newcomer(True, name, flags & HIGH_BITS, saved=int(now), size=size, counted=True)
                moves.append((one.path, newcomer))
            try:
                await account.disk(_move, box, moves)
            except StoreError:
                box.look_again_in(0.2)
                raise
            waiters = box.enqueue_all([newcomer for _, newcomer in moves])
        back = 0
        trouble: StoreError | None = None
        for waiter in waiters:
            try:
                await waiter
                back += 1
            except StoreError as error:
                if error.problem is not Problem.DISK:
                    trouble = error
        if trouble is not None:
            box.look_again_in(0.2)
            raise trouble
        return back
    finally:
        box.guests -= 1
        account.room.release(octets)


async def _bits(box: OpenMailbox, one: Rested, words: Sequence[str]) -> int:
    system = flags_of(one.file) & _SYSTEM & ~DELETED
    if not words:
        return system
    try:
        return system | await flag_bits(box, words)
    except StoreError:  # the mailbox has all the keywords it can have: the message comes back without
        return system


def _move(box: OpenMailbox, moves: Sequence[tuple[str, Newcomer]]) -> None:
    masks = [(newcomer.file.partition(":")[0], newcomer.flags) for _, newcomer in moves if newcomer.flags]
    if masks:
        keywords.set_masks(box.folder, masks)
    for path, newcomer in moves:
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, box.folder.message(True, newcomer.file))
    sync_folder(box.folder.new)
