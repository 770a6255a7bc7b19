"""FETCH responses with octets of the message files: whole, in parts, in slices (RFC 3501 §6.4.5).

What fits is read whole and said at once; a large section is said while it is read, and only as fast as the client takes
it. Its length was said first: should the file then be shorter, the connection is of no use any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailbox_appliance.imap.commands.fetch_plan import Plan, literal
from mailbox_appliance.imap.commands.fetch_rows import line_of
from mailbox_appliance.imap.decoded import say_decoded
from mailbox_appliance.imap.extent import READ, extent_of
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Refused
from mailbox_appliance.ports.store import MessageFile


async def say_bodies(session: Session, plan: Plan, uids: Sequence[int], seen: frozenset[int]) -> int:
    """Say the responses of ``uids``; those in ``seen`` have just become \\Seen and tell their flags."""
    box = session.box
    rows: dict[int, Sequence[bytes]] = {}
    if plan.columns:
        async for batch in box.mailbox.rows(uids, plan.columns):
            rows.update(batch)
    said = 0
    async for files in box.mailbox.files(uids):
        left = list(reversed(files))
        try:
            while left:
                file = left[-1]
                values = rows.get(file.uid) if plan.columns else ()
                if values is not None:
                    said += await _say_message(session, plan, file, values, file.uid in seen)
                file.close()
                left.pop()
        finally:
            for file in left:
                file.close()
    return said


async def _say_message(
    session: Session, plan: Plan, file: MessageFile, values: Sequence[bytes], tell_flags: bool
) -> int:
    """One response; how many were said: none when the message went meanwhile."""
    if tell_flags and not plan.flags:
        plan = plan.with_flags
    line = line_of(session.box, plan, file.uid)
    if line is None:
        return 0
    forms = plan.forms
    if forms is not None:
        values = [form(value) for form, value in zip(forms, values, strict=True)]
    head = (plan.template % (*line, *values)).removesuffix(b")\r\n")
    said = [head]  # held back until all of it is there, for a fault must not leave half a response
    glue = b"" if head.endswith(b"(") else b" "
    for wanted in plan.sections:
        said.append(glue + wanted.label)
        glue = b" "
        if wanted.decoded:
            held = await say_decoded(session, file, wanted, said)
            said = [] if held is None else held
            continue
        extent = await extent_of(file, wanted)
        if extent is None:
            said.append(b" NIL")
        elif isinstance(extent, bytes):
            said.append(b" " + literal(extent))
        elif extent[1] - extent[0] <= READ:
            start, end = extent
            octets = await file.read(start, end - start) if end > start else b""
            if len(octets) != end - start:
                raise Refused("A message has changed on disk, try again.", b"EXPUNGEISSUED")
            said += (b" {%d}\r\n" % len(octets), octets)
        else:
            said.append(b" {%d}\r\n" % (extent[1] - extent[0]))
            session.say(b"".join(said))
            said.clear()
            await _say_long(session, file, *extent)
    said.append(b")\r\n")
    session.say(b"".join(said))
    await session.room()
    return 1


async def _say_long(session: Session, file: MessageFile, start: int, end: int) -> None:
    session.spoilt = True
    while start < end:
        octets = await file.read(start, min(READ, end - start))
        if not octets:
            raise Refused("A message has changed on disk.")
        session.say(octets)
        start += len(octets)
        await session.room()
    session.spoilt = False
