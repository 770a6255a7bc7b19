"""STATUS (RFC 3501 §6.3.10, RFC 8438 SIZE, RFC 7162 HIGHESTMODSEQ, RFC 7889 APPENDLIMIT)."""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Row
from mailbox_appliance.mail.mailbox import MailboxStatus
from mailbox_appliance.wire.imap import commands, parse_list, responses

_ITEMS: dict[str, Callable[[MailboxStatus], object]] = {
    "MESSAGES": lambda s: s.messages,
    "RECENT": lambda s: s.recent,
    "UIDNEXT": lambda s: s.uidnext,
    "UIDVALIDITY": lambda s: s.uidvalidity,
    "UNSEEN": lambda s: s.unseen,
    "DELETED": lambda s: s.deleted,
    "SIZE": lambda s: s.size,
    "HIGHESTMODSEQ": lambda s: s.highest_modseq,
    "MAILBOXID": lambda s: f"({s.mailbox_id})",
}


def line(session: Session, name: str, items: tuple[str, ...], state: MailboxStatus) -> bytes:
    """The STATUS response; asking for HIGHESTMODSEQ turns CONDSTORE on (RFC 7162 §3.1)."""
    if "HIGHESTMODSEQ" in items:
        session.enable("CONDSTORE")
    limit = session.house.settings.message_size or "NIL"
    return responses.status_line(
        session.name(name), [(item, limit if item == "APPENDLIMIT" else _ITEMS[item](state)) for item in items]
    )


async def status(session: Session, command: commands.Status) -> Done:
    """How a mailbox stands, without selecting it."""
    state = await session.store.status(command.mailbox, sized="SIZE" in command.items)
    session.say(line(session, command.mailbox, command.items, state))
    return Done("Done.")


ROWS = (Row("STATUS", LOGGED_IN, parse_list.status, status),)
