"""FETCH responses out of the mailbox's arrays and out of prerendered rows: thousands of lines in one go, in slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailbox_appliance.imap.commands.fetch_plan import Plan
from mailbox_appliance.imap.notify import Notices
from mailbox_appliance.imap.session import Session
from mailbox_appliance.mail.mailbox import RECENT
from mailbox_appliance.wire.imap import sets
from mailbox_appliance.wire.imap.responses import internal_date
from mailbox_appliance.wire.imap.sets import Selection

# Lines made between two looks at the clock: about half a millisecond.
LINES = 500


async def say_arrays(session: Session, plan: Plan, selection: Selection) -> int:
    """Responses of what the arrays know; returns how many messages were said."""
    box = session.box
    template = plan.template.decode("ascii").replace("%b", "%s")
    flags_only = plan.flags and not (plan.uid_only or plan.modseq or plan.date or plan.size or plan.nothing)
    said = 0
    for low, high in selection:
        for start in range(low, high, LINES):
            columns = _columns(box, plan, start, min(start + LINES, high), box.names)
            if not flags_only:
                lines = [template % line for line in zip(*columns, strict=True)]
            elif plan.uid:
                lines = [f"* {n} FETCH (UID {u} FLAGS ({f}))\r\n" for n, u, f in zip(*columns, strict=True)]
            else:
                lines = [f"* {n} FETCH (FLAGS ({f}))\r\n" for n, f in zip(*columns, strict=True)]
            session.say("".join(lines).encode("ascii"))
            said += len(lines)
            await session.room()
    return said


async def say_rows(session: Session, plan: Plan, selection: Selection) -> int:
    """Responses with prerendered columns; returns how many messages were said."""
    box = session.box
    said = 0
    if not selection:
        return 0
    uids = sets.pick(selection, box.tracker.uids)
    async for batch in box.mailbox.rows(uids, plan.columns):
        for start in range(0, len(batch), LINES):
            lines = _row_lines(box, plan, batch[start : start + LINES])
            session.say(b"".join(lines))
            said += len(lines)
            await session.room()
    return said


def _row_lines(box: Notices, plan: Plan, batch: Sequence[tuple[int, Sequence[bytes]]]) -> list[bytes]:
    """The batch's responses, without messages that went after their rows were read."""
    first, last = box.tracker.place(batch[0][0]), box.tracker.place(batch[-1][0])
    if last - first + 1 == len(batch) and box.mailbox.uids is box.tracker.uids:
        columns = _columns(box, plan, first, last + 1, box.octet_names)
    else:
        batch = [row for row in batch if box.index(row[0]) >= 0]
        columns = _gathered(box, plan, [uid for uid, _ in batch], box.octet_names)
    template, forms = plan.template, plan.forms
    if forms is None and len(columns) == len(plan.columns) == 1:
        # ENVELOPE or BODYSTRUCTURE and nothing else: what a client asks of a whole mailbox.
        return [template % (number, value) for number, (_, (value,)) in zip(columns[0], batch, strict=True)]
    if forms is None:
        return [template % (*line, *row) for line, (_, row) in zip(zip(*columns, strict=True), batch, strict=True)]
    return [
        template % (*line, *[form(value) for form, value in zip(forms, row, strict=True)])
        for line, (_, row) in zip(zip(*columns, strict=True), batch, strict=True)
    ]


def line_of(box: Notices, plan: Plan, uid: int) -> tuple[Any, ...] | None:
    """What the template takes before the columns, for one message; None when it is gone."""
    if box.index(uid) < 0:
        return None
    return tuple(column[0] for column in _gathered(box, plan, [uid], box.octet_names))


def _columns(box: Notices, plan: Plan, low: int, high: int, names: Mapping[int, Any]) -> list[Sequence[Any]]:
    """What the template takes, column by column, for the places from ``low`` to ``high``; gone messages left out."""
    tracker, mailbox = box.tracker, box.mailbox
    if mailbox.uids is not tracker.uids:
        return _gathered(box, plan, [uid for uid in tracker.uids[low:high] if box.index(uid) >= 0], names)
    uids = tracker.uids[low:high]
    columns: list[Sequence[Any]] = [uids if plan.uid_only else range(low + 1, high + 1)]
    if plan.uid:
        columns.append(uids)
    if plan.flags:
        columns.append(_named(box, uids, mailbox.flags[low:high], names))
    if plan.modseq:
        columns.append(mailbox.modseqs[low:high])
    if plan.date:
        columns.append(_dated(mailbox.dates[low:high], mailbox.zones[low:high], names is box.octet_names))
    if plan.size:
        columns.append(mailbox.sizes[low:high])
    return columns


def _gathered(box: Notices, plan: Plan, uids: Sequence[int], names: Mapping[int, Any]) -> list[Sequence[Any]]:
    """The same for UIDs that do not lie side by side; all of them are there."""
    mailbox = box.mailbox
    indexes = [box.index(uid) for uid in uids]
    columns: list[Sequence[Any]] = [uids if plan.uid_only else [box.tracker.place(uid) + 1 for uid in uids]]
    if plan.uid:
        columns.append(uids)
    if plan.flags:
        columns.append(_named(box, uids, [mailbox.flags[i] for i in indexes], names))
    if plan.modseq:
        columns.append([mailbox.modseqs[i] for i in indexes])
    if plan.date:
        dates, zones = [mailbox.dates[i] for i in indexes], [mailbox.zones[i] for i in indexes]
        columns.append(_dated(dates, zones, names is box.octet_names))
    if plan.size:
        columns.append([mailbox.sizes[i] for i in indexes])
    return columns


def _named(box: Notices, uids: Sequence[int], flags: Iterable[int], names: Mapping[int, Any]) -> Sequence[Any]:
    """Flags by name, \\Recent where it is ours."""
    if uids and uids[-1] >= box.tracker.recent_from:
        is_recent = box.tracker.is_recent
        flags = [mask | RECENT if is_recent(uid) else mask for uid, mask in zip(uids, flags, strict=True)]
    return [names[mask] for mask in flags]


def _dated(dates: Sequence[int], zones: Sequence[int], octets: bool) -> Sequence[Any]:
    if octets:
        return [internal_date(date, zone).encode("ascii") for date, zone in zip(dates, zones, strict=True)]
    return [internal_date(date, zone) for date, zone in zip(dates, zones, strict=True)]
