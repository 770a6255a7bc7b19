"""ACL and LIST-MYRIGHTS (RFC 4314, RFC 8440): all mailboxes are the account's own, with every right."""

from __future__ import annotations

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row
from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.wire.imap import commands, parse, responses
from mailbox_appliance.wire.imap.strings import string

_ALL = b"lrswipkxtea"
_INBOX = b"lrswipktea"  # INBOX cannot be deleted


def rights(mailbox: str) -> bytes:
    """What the owner may do."""
    return _INBOX if mailbox == INBOX else _ALL


async def _check(session: Session, mailbox: str) -> None:
    """Raises StoreError when there is no such mailbox."""
    await session.store.status(mailbox)


def rights_line(session: Session, mailbox: str) -> bytes:
    """The MYRIGHTS response."""
    return responses.untagged(b"MYRIGHTS %b %b" % (session.name(mailbox), rights(mailbox)))


async def my_rights(session: Session, command: commands.OnMailbox) -> Done:
    """MYRIGHTS."""
    await _check(session, command.mailbox)
    session.say(rights_line(session, command.mailbox))
    return Done("Done.")


def _owner(session: Session) -> bytes:
    return str(session.account).encode("utf-8")


async def get_acl(session: Session, command: commands.OnMailbox) -> Done:
    """GETACL."""
    await _check(session, command.mailbox)
    name = session.name(command.mailbox)
    session.say(responses.untagged(b"ACL %b %b %b" % (name, string(_owner(session)), rights(command.mailbox))))
    return Done("Done.")


async def list_rights(session: Session, command: commands.ForWhom) -> Done:
    """LISTRIGHTS: the owner has all, nobody else can be given any."""
    await _check(session, command.mailbox)
    given = rights(command.mailbox) if command.identifier == _owner(session) else b'""'
    name = session.name(command.mailbox)
    session.say(responses.untagged(b"LISTRIGHTS %b %b %b" % (name, string(command.identifier), given)))
    return Done("Done.")


async def change_acl(session: Session, command: commands.ForWhom) -> Done:
    """SETACL, DELETEACL."""
    await _check(session, command.mailbox)
    raise Refused("Mailboxes are not shared here.", b"NOPERM")


ROWS = (
    Row("MYRIGHTS", LOGGED_IN, parse.on_mailbox, my_rights),
    Row("GETACL", LOGGED_IN, parse.on_mailbox, get_acl),
    Row("LISTRIGHTS", LOGGED_IN, parse.for_whom(rights=False), list_rights),
    Row("SETACL", LOGGED_IN, parse.for_whom(rights=True), change_acl),
    Row("DELETEACL", LOGGED_IN, parse.for_whom(rights=False), change_acl),
)
