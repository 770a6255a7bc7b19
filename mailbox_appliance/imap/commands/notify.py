"""NOTIFY (RFC 5465)."""

from __future__ import annotations

from mailbox_appliance.imap.elsewhere import Elsewhere, TooMany
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row
from mailbox_appliance.wire.imap.grammar import Cursor
from mailbox_appliance.wire.imap.notify import KNOWN, Notify, UnknownEvent
from mailbox_appliance.wire.imap.notify import notify as read_notify


def _read(cursor: Cursor) -> Notify:
    try:
        return read_notify(cursor)
    except UnknownEvent as error:
        raise Refused(f"{error}.", b"BADEVENT (%b)" % " ".join(KNOWN.values()).encode("ascii")) from None


async def notify(session: Session, command: Notify) -> Done:
    """Each NOTIFY replaces the one before."""
    session.notify_ends()
    if not command.groups:
        return Done("You will hear nothing.")
    elsewhere = Elsewhere(session, command)
    session.notifying = elsewhere
    try:
        await elsewhere.begin(status=command.status)
    except TooMany:
        session.notify_ends()
        raise Refused("These are too many mailboxes.", b"NOTIFICATIONOVERFLOW") from None
    return Done("You will hear.")


ROWS = (Row("NOTIFY", LOGGED_IN, _read, notify),)
