"""FETCH's columns in batches: prerendered octets out of the index, dates and sizes out of the arrays."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from mailbox_appliance.ports.store import Column, Fields
from mailbox_appliance.store import message_rows, rendered, rendering
from mailbox_appliance.store.at_hand import FEW_ROWS
from mailbox_appliance.wire.imap.columns import kind_of
from mailbox_appliance.wire.imap.render import render_internaldate

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

BATCH = 512
ALONE = 1536  # of a column that is asked alone, where nothing is to be put together
# What is not rendered yet is made in smaller steps, so that the first answers come soon.
COLD_BATCH = 128

Row = tuple[int, Sequence[bytes]]
_Found = list[list[tuple[int, bytes]]]


async def rows(
    box: OpenMailbox, uids: Sequence[int], columns: Sequence[Column | Fields]
) -> AsyncIterator[Sequence[Row]]:
    """ports.store.Mailbox.rows."""
    if uids:
        await box.written(uids[0])
    kinds = [kind_of(column) for column in columns]
    wanted = list(dict.fromkeys(kind for kind in kinds if kind is not None))
    tables = await rendering.register(box, wanted)
    slices = box.slices()
    step = ALONE if len(columns) == len(wanted) == 1 else BATCH
    for start in range(0, len(uids), step):
        held = box.uids
        batch = [held[at] for at in box.positions(uids[start : start + step])]
        if not batch:
            continue
        if Column.SIZE in columns:
            await box.measure(batch)
        found = await _load(box, batch, [tables[kind] for kind in wanted if kind in tables])
        slices.begin()
        if len(columns) == 1 and len(tables) == 1 and [uid for uid, _ in found[0]] == batch:
            yield [(uid, (value,)) for uid, value in found[0]]
            continue
        values = dict(zip((kind for kind in wanted if kind in tables), map(dict, found), strict=True))
        lacking = [uid for uid in batch if any(uid not in values.get(kind, ()) for kind in wanted)]
        if not lacking:
            yield _assemble(box, batch, columns, kinds, values, await _saved(box, batch, columns))
            await slices.breathe()
            continue
        first_lacking = set(lacking)
        for part in range(0, len(batch), COLD_BATCH):
            piece = batch[part : part + COLD_BATCH]
            missing = [uid for uid in piece if uid in first_lacking]
            if missing:
                made = await rendering.make(
                    box, missing, [k for k in wanted if any(uid not in values.get(k, ()) for uid in missing)]
                )
                for kind, more in made.items():
                    values.setdefault(kind, {}).update(more)
            yield _assemble(box, piece, columns, kinds, values, await _saved(box, piece, columns))


async def _load(box: OpenMailbox, uids: Sequence[int], tables: Sequence[int]) -> _Found:
    if not tables:
        return []
    number = box.number

    def work(connection: sqlite3.Connection) -> _Found:
        return [rendered.load_rendered(connection, number, table, uids) for table in tables]

    if len(uids) <= FEW_ROWS:
        at_hand = box.account.glance(work)
        if at_hand is not None:
            return at_hand
    return await box.account.read(work)


async def _saved(box: OpenMailbox, uids: Sequence[int], columns: Sequence[Column | Fields]) -> dict[int, int]:
    if Column.SAVEDATE not in columns:
        return {}
    number = box.number
    return dict(await box.account.read(lambda connection: message_rows.saved_of(connection, number, uids)))


def _assemble(
    box: OpenMailbox,
    uids: Sequence[int],
    columns: Sequence[Column | Fields],
    kinds: Sequence[str | None],
    values: rendering.Values,
    saved: dict[int, int],
) -> list[Row]:
    out: list[Row] = []
    for uid in uids:
        at = box.position(uid)
        if at < 0:
            continue
        row: list[bytes] = []
        for column, kind in zip(columns, kinds, strict=True):
            if kind is not None:
                value = values.get(kind, {}).get(uid)
                if value is None:
                    break
                row.append(value)
            elif column is Column.SIZE:
                row.append(b"%d" % box.sizes[at])
            elif column is Column.INTERNALDATE:
                row.append(render_internaldate(box.dates[at], box.zones[at]))
            else:
                row.append(render_internaldate(saved.get(uid, box.dates[at])))
        else:
            out.append((uid, row))
    return out
