"""APPEND: octets through the commit round, UIDs through the same admission as every newcomer; all or none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailbox_appliance.ports.rounds import Commit, DiskTrouble, Write
from mailbox_appliance.ports.store import Appended, NewMessage, StoreError
from mailbox_appliance.shielded import Held
from mailbox_appliance.store import keywords
from mailbox_appliance.store.changes import Newcomer
from mailbox_appliance.store.filenames import with_flags
from mailbox_appliance.store.flags import flag_bits
from mailbox_appliance.store.keywords import HIGH_BITS

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox


async def append(box: OpenMailbox, messages: Sequence[NewMessage]) -> Appended:
    """RFC 3501 §6.3.11, RFC 3502. Raises StoreError."""
    account = box.account
    octets = sum(message.content.size for message in messages)
    await account.room.reserve(octets)
    box.guests += 1
    try:
        newcomers = await _write(box, messages)
        waiters = box.enqueue_all(newcomers)
        uids: list[int] = []
        trouble: StoreError | None = None
        for waiter in waiters:
            try:
                uids.append(await waiter)
            except StoreError as error:
                trouble = error
        if trouble is not None:
            await account.disk(_remove, [box.folder.message(n.fresh, n.file) for n in newcomers])
            box.look_again_in(0.2)
            raise trouble
    finally:
        box.guests -= 1
        account.room.release(octets)
    return Appended(box.uidvalidity, tuple(uids))


async def _write(box: OpenMailbox, messages: Sequence[NewMessage]) -> list[Newcomer]:
    account, folder = box.account, box.folder
    flagged: list[int] = []
    async with Held(box.lock):
        box.check_alive()
        for message in messages:
            flagged.append(await flag_bits(box, message.flags))
    now = account.clock.seconds()
    writes: list[Write] = []
    newcomers: list[Newcomer] = []
    masks: list[tuple[str, int]] = []
    for message, bits in zip(messages, flagged, strict=True):
        content = message.content
        base = account.names.make(now, content.size, content.wire_size)
        # Into new/, flags and all (Dovecot does so too): a listing of cur/ stays good.
        name = with_flags(base, bits) if bits else base
        moment = None if message.date is None else float(int(message.date))
        writes.append(Write(content, os.path.join(folder.tmp, base), (folder.message(True, name),), moment=moment))
        if bits & HIGH_BITS:
            masks.append((base, bits))
        newcomers.append(
            Newcomer(
                True,
                name,
                flags=bits & HIGH_BITS,
                date=None if message.date is None else int(message.date),
                zone=message.date_zone,
                saved=int(now),
                size=content.wire_size,
                counted=True,
            )
        )
    if masks:
        await account.disk(keywords.set_masks, folder, masks)
    try:
        try:
            await account.rounds.commit(Commit(tuple(writes)))
        except DiskTrouble as error:
            octets = sum(message.content.size for message in messages)
            if not error.full or not await account.bedtime.make_room(octets):
                raise
            await account.rounds.commit(Commit(tuple(writes)))
    except DiskTrouble as error:
        raise account.refusal(error) from error
    return newcomers


def _remove(paths: Sequence[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
