"""COPY, MOVE and their UID forms (RFC 3501 §6.4.7, RFC 6851, RFC 4315 for COPYUID)."""

from __future__ import annotations

from mailbox_appliance.imap import ration
from mailbox_appliance.imap.commands.chosen import chosen_uids
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Done, Refused, Row, State, refusal
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.wire.imap import commands, parse, responses, sets


async def copy(session: Session, command: commands.Copy) -> Done:
    """Copy or move; all or nothing."""
    box = session.box
    uids = chosen_uids(session, command.messages)
    if command.move and box.read_only:
        raise Refused("This mailbox is open for reading only.", b"CANNOT")
    if not uids:
        return Done("There was nothing to do.")
    if not command.messages.uids and any(box.tracker.is_gone(uid) for uid in uids):
        raise Refused("Some of the messages are gone.", b"EXPUNGEISSUED")  # RFC 2180 §4.4
    uids, lowest = ration.newest(session, uids)
    if lowest and not command.move:
        raise ration.too_many(session, lowest)  # RFC 9738 §3.1: a COPY is all or nothing
    try:
        copied = await session.store.copy(box.mailbox, uids, command.mailbox, move=command.move)
    except StoreError as error:
        raise refusal(error, target=True) from None
    if not copied.source_uids:
        return ration.told(session, Done("There was nothing to do."), lowest)
    code = b"COPYUID %d %b %b" % (
        copied.uidvalidity,
        sets.say_set(copied.source_uids),
        sets.say_set(copied.target_uids),
    )
    if command.move:  # RFC 6851 §4.3: before the EXPUNGEs
        session.say(responses.condition(b"OK", "Moved.", code))
        code = b"HIGHESTMODSEQ %d" % box.mailbox.highest_modseq if box.tell_vanished else b""
        return ration.told(session, Done("Done.", code), lowest)
    return Done("Copied.", code)


ROWS = (
    Row("COPY", State.SELECTED, parse.copying(uids=False, move=False), copy),
    Row("UID COPY", State.SELECTED, parse.copying(uids=True, move=False), copy),
    Row("MOVE", State.SELECTED, parse.copying(uids=False, move=True), copy),
    Row("UID MOVE", State.SELECTED, parse.copying(uids=True, move=True), copy),
)
