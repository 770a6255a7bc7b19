"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 §6.3.3-7, RFC 6154 §3)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from mailbox_appliance.imap.bulletin import TreeChange
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row
from mailbox_appliance.mail.address import Address
from mailbox_appliance.mail.mailbox import SEPARATOR
from mailbox_appliance.wire.imap import commands, parse

MOST_OCTETS = 200  # of a name in UTF-8: the folder's name on disk has to hold it in modified UTF-7
MOST_LEVELS = 20


def check_new_name(name: str) -> None:
    """A name that can be given to a mailbox. Raises Refused."""
    levels = name.split(SEPARATOR)
    if not name or not all(levels):
        raise Refused("A mailbox name has no empty levels.", b"CANNOT")
    if len(levels) > MOST_LEVELS or len(name.encode("utf-8", "replace")) > MOST_OCTETS:
        raise Refused("The mailbox name is too long.", b"CANNOT")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        raise Refused("The mailbox name holds a control character.", b"CANNOT")
    if any(c in name for c in "/*%") or name[0] == "~":
        raise Refused("A mailbox name cannot hold / * % or begin with ~.", b"CANNOT")


def audience(session: Session, mailbox: str) -> Sequence[tuple[Address, str]]:
    """Who else may know of the mailbox, and what they call it."""
    sharing = session.house.sharing
    return () if sharing is None or session.account is None else sharing.audience(session.account, mailbox)


def tell(session: Session, change: TreeChange, others: Sequence[tuple[Address, str]] | None = None) -> None:
    """Tell this account's sessions, and those of people who may know of the mailbox (RFC 5465 §5.4)."""
    session.house.bulletin.tell(session.account, change)
    for account, name in audience(session, change.name) if others is None else others:
        session.house.bulletin.tell(account, replace(change, name=name))


async def create(session: Session, command: commands.Create) -> Done:
    """Make a mailbox."""
    check_new_name(command.mailbox)
    await session.store.create(command.mailbox, command.use)
    tell(session, TreeChange(command.mailbox))
    state = await session.store.status(command.mailbox, sized=False)
    return Done("Created.", b"MAILBOXID (%b)" % state.mailbox_id.encode("ascii"))  # RFC 8474 §4.1


async def delete(session: Session, command: commands.OnMailbox) -> Done:
    """Remove one; whoever has it selected is told BYE, we ourselves just leave it."""
    if session.selected is not None and session.selected.mailbox.name == command.mailbox:
        session.deselect()
    others = audience(session, command.mailbox)
    await session.store.delete(command.mailbox)
    tell(session, TreeChange(command.mailbox, gone=True), others)
    return Done("Deleted.")


async def rename(session: Session, command: commands.Rename) -> Done:
    """Give it and its children another name."""
    check_new_name(command.to)
    before = dict(audience(session, command.mailbox))
    await session.store.rename(command.mailbox, command.to)
    tell(session, TreeChange(command.to, old=command.mailbox), ())
    for account, name in audience(session, command.to):
        session.house.bulletin.tell(account, TreeChange(name, old=before.get(account, "")))
    return Done("Renamed.")


async def subscribe(session: Session, command: commands.OnMailbox) -> Done:
    """Put the name on the list; the mailbox need not exist."""
    check_new_name(command.mailbox)
    await session.store.subscribe(command.mailbox, True)
    session.house.bulletin.tell(session.account, TreeChange(command.mailbox, subscribed=True))
    return Done("Subscribed.")


async def unsubscribe(session: Session, command: commands.OnMailbox) -> Done:
    """Take it off the list."""
    await session.store.subscribe(command.mailbox, False)
    session.house.bulletin.tell(session.account, TreeChange(command.mailbox, subscribed=False))
    return Done("Unsubscribed.")


ROWS = (
    Row("CREATE", LOGGED_IN, parse.create, create),
    Row("DELETE", LOGGED_IN, parse.on_mailbox, delete),
    Row("RENAME", LOGGED_IN, parse.rename, rename),
    Row("SUBSCRIBE", LOGGED_IN, parse.on_mailbox, subscribe),
    Row("UNSUBSCRIBE", LOGGED_IN, parse.on_mailbox, unsubscribe),
)
