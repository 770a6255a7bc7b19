"""ACL and LIST-MYRIGHTS (RFC 4314, RFC 8440): who may do what with a mailbox; of one's own everything."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row
from mailbox_appliance.mail import rights as words
from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.ports.sharing import Change, Sharing, is_elsewhere
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.wire.imap import commands, parse, responses
from mailbox_appliance.wire.imap.grammar import BadSyntax
from mailbox_appliance.wire.imap.strings import string

_OWN_INBOX = words.ALL - {"x"}  # INBOX cannot be deleted
_BARE = re.compile(rb"[A-Za-z0-9@._+$^=-]+")
MOST_OCTETS = 255  # of an identifier


def _named(identifier: bytes) -> bytes:
    """Bare where it can be, as in RFC 4314's examples: some clients take quotes for a part of it."""
    return identifier if _BARE.fullmatch(identifier) else string(identifier)


def _letters(rights: str) -> bytes:
    return rights.encode("ascii") or b'""'


async def _rights(session: Session, mailbox: str) -> frozenset[str]:
    sharing = session.house.sharing
    if sharing is not None and session.account is not None and is_elsewhere(mailbox):
        return await sharing.rights(session.account, mailbox)
    await session.store.status(mailbox, sized=False)
    return _own(mailbox)


def _own(mailbox: str) -> frozenset[str]:
    return _OWN_INBOX if mailbox == INBOX else words.ALL


def _line(session: Session, mailbox: str, rights: frozenset[str]) -> bytes:
    return responses.untagged(b"MYRIGHTS %b %b" % (session.name(mailbox), _letters(words.told(rights))))


async def line_for_list(session: Session, mailbox: str) -> bytes:
    """The MYRIGHTS response for LIST; nothing for a mailbox that is gone meanwhile (RFC 8440 §2)."""
    sharing = session.house.sharing
    rights = _own(mailbox)
    if sharing is not None and session.account is not None and is_elsewhere(mailbox):
        try:
            rights = await sharing.rights(session.account, mailbox)
        except StoreError:
            return b""
    return _line(session, mailbox, rights)


async def my_rights(session: Session, command: commands.OnMailbox) -> Done:
    """MYRIGHTS."""
    session.say(_line(session, command.mailbox, await _rights(session, command.mailbox)))
    return Done("Done.")


def _sharing(session: Session) -> Sharing:
    if session.house.sharing is None:
        raise Refused("Mailboxes are not shared here.", b"NOPERM")
    return session.house.sharing


def _identifier(command: commands.ForWhom) -> str:
    """Who is meant (RFC 4314 §3: UTF-8). Raises Refused."""
    try:
        text = command.identifier.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("An identifier is text in UTF-8.", b"CANNOT") from None
    if not text.strip("-") or len(command.identifier) > MOST_OCTETS or any(ord(c) <= 32 or c in '"\\:' for c in text):
        raise Refused("Nobody can be called so.", b"CANNOT")
    return text


def _owner(session: Session) -> str:
    return str(session.account)


async def get_acl(session: Session, command: commands.OnMailbox) -> Done:
    """GETACL."""
    entries: Sequence[tuple[str, str]]
    if session.house.sharing is None or session.account is None:
        entries = [(_owner(session), words.spelled(await _rights(session, command.mailbox)))]
    else:
        entries = await session.house.sharing.entries(session.account, command.mailbox)
    pairs = [_named(name.encode("utf-8")) + b" " + _letters(words.told(letters)) for name, letters in entries]
    session.say(responses.untagged(b" ".join([b"ACL", session.name(command.mailbox), *pairs])))
    return Done("Done.")


async def list_rights(session: Session, command: commands.ForWhom) -> Done:
    """LISTRIGHTS: what somebody always has, and each right that he can be given; none is tied to another."""
    identifier = _identifier(command)
    can_be: tuple[str, ...] = ()
    if session.house.sharing is None or session.account is None:
        held = await _rights(session, command.mailbox)
        always = words.spelled(held) if identifier == _owner(session) else ""
    else:
        always, can_be = await session.house.sharing.possible(session.account, command.mailbox, identifier)
    pieces = [session.name(command.mailbox), _named(command.identifier), _letters(always)]
    session.say(responses.untagged(b" ".join([b"LISTRIGHTS", *pieces, *[c.encode("ascii") for c in can_be]])))
    return Done("Done.")


async def set_acl(session: Session, command: commands.ForWhom) -> Done:
    """SETACL."""
    text = command.rights.decode("latin-1")
    how = Change(text[:1]) if text[:1] in ("+", "-") else Change.REPLACE
    try:
        rights = words.read_rights(text.lstrip("+-") if how is not Change.REPLACE else text)
    except words.NoSuchRight as error:
        raise BadSyntax(str(error)) from None  # RFC 4314 §3.1: BAD for a right that nobody knows
    return await _change(session, command, rights, how)


async def delete_acl(session: Session, command: commands.ForWhom) -> Done:
    """DELETEACL."""
    return await _change(session, command, words.NONE, Change.REPLACE)


async def _change(session: Session, command: commands.ForWhom, rights: frozenset[str], how: Change) -> Done:
    if session.house.sharing is None:
        await _rights(session, command.mailbox)
    assert session.account is not None
    await _sharing(session).change(session.account, command.mailbox, _identifier(command), rights, how)
    return Done("Done.")


ROWS = (
    Row("MYRIGHTS", LOGGED_IN, parse.on_mailbox, my_rights),
    Row("GETACL", LOGGED_IN, parse.on_mailbox, get_acl),
    Row("LISTRIGHTS", LOGGED_IN, parse.for_whom(rights=False), list_rights),
    Row("SETACL", LOGGED_IN, parse.for_whom(rights=True), set_acl),
    Row("DELETEACL", LOGGED_IN, parse.for_whom(rights=False), delete_acl),
)
