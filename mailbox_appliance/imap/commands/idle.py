"""IDLE (RFC 2177): the client waits, we tell at once."""

from __future__ import annotations

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Row
from mailbox_appliance.imap.troubles import IDLE_APART
from mailbox_appliance.wire.imap import commands, parse
from mailbox_appliance.wire.imap.grammar import BadSyntax
from mailbox_appliance.wire.imap.server import LineTooLong


async def idle(session: Session, command: commands.Plain) -> Done:
    """Tell what happens until the client says DONE; what it says behind DONE is read next."""
    session.rest()  # what is said from here on is short, and goes uncompressed
    session.say(b"+ idling\r\n")
    if IDLE_APART in session.behaves:
        await session.outlet.apart()
    while True:
        await session.unasked()
        if session.selected is not None:
            await session.box.tell(session.outlet, expunges=True)
        try:
            line = session.reader.line(1000)
        except LineTooLong:
            raise BadSyntax("expected DONE") from None
        if line is None:
            session.rest()
            await session.more()
        elif line.strip().upper() == b"DONE":
            return Done("Idle no longer.")
        elif line:
            raise BadSyntax("expected DONE")


ROWS = (Row("IDLE", LOGGED_IN, parse.plain, idle),)
