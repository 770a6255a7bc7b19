"""EXPUNGE and UID EXPUNGE (RFC 3501 §6.4.3, RFC 4315 §2.1)."""

from __future__ import annotations

from mailbox_appliance.imap import ration
from mailbox_appliance.imap.commands.chosen import chosen_uids
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Done, Refused, Row, State
from mailbox_appliance.mail.mailbox import DELETED
from mailbox_appliance.wire.imap import commands, parse


async def expunge(session: Session, command: commands.Plain | commands.Expunge) -> Done:
    """Remove what is \\Deleted; the EXPUNGE responses come from the notices, as for everybody else."""
    box = session.box
    uids = chosen_uids(session, command.messages) if isinstance(command, commands.Expunge) else None
    if box.read_only:
        raise Refused("This mailbox is open for reading only.", b"CANNOT")
    lowest = 0
    if uids and ration.limit_of(session):  # RFC 9738 §3.1: of UID EXPUNGE alone, and only what it removes is counted
        marked = [uid for uid in uids if (flags := box.flags_of(uid)) is not None and flags & DELETED]
        uids, lowest = ration.newest(session, marked)
    if uids is None:
        await box.mailbox.expunge()
    elif uids:
        await box.mailbox.expunge(uids)
    code = b"HIGHESTMODSEQ %d" % box.mailbox.highest_modseq if box.tell_vanished else b""
    return ration.told(session, Done("Expunged.", code), lowest)


ROWS = (
    Row("EXPUNGE", State.SELECTED, parse.plain, expunge),
    Row("UID EXPUNGE", State.SELECTED, parse.uid_expunge, expunge),
)
