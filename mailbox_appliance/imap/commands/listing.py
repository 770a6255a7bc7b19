"""LIST and LSUB (RFC 3501 §6.3.8-9; RFC 5258 LIST-EXTENDED, RFC 5819 LIST-STATUS, RFC 6154 SPECIAL-USE, RFC 3348)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailbox_appliance.imap.commands import acl, metadata, status
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Row
from mailbox_appliance.mail.mailbox import INBOX, SEPARATOR, MailboxInfo
from mailbox_appliance.ports.store import StoreError
from mailbox_appliance.wire.imap import commands, parse_list, responses
from mailbox_appliance.wire.imap.listing import matcher

Test = Callable[[str], bool]


async def list_mailboxes(session: Session, command: commands.ListMailboxes) -> Done:
    """Say which mailboxes there are."""
    if command.patterns == ("",) and not command.lsub:
        session.say(b'* LIST (\\Noselect) "." ""\r\n')  # RFC 3501 §6.3.8: the separator is asked for
        return Done("Done.")
    tests = [matcher(command.reference + pattern) for pattern in command.patterns if pattern]

    def wanted(name: str) -> bool:
        return any(test(name) for test in tests)

    infos = sorted(await session.store.mailboxes(), key=lambda info: (info.name != INBOX, info.name))
    if command.lsub:
        for attributes, name in _subscribed(infos, wanted):
            session.say(responses.list_line(b"LSUB", attributes, session.name(name)))
        return Done("Done.")
    parents = _parents_of_selected(infos, command, wanted) if "RECURSIVEMATCH" in command.select else frozenset()
    for info in infos:
        if not wanted(info.name):
            continue
        selected = _is_selected(info, command.select)
        if not selected and info.name not in parents:
            continue
        extra = b' ("CHILDINFO" ("SUBSCRIBED"))' if info.name in parents else b""
        session.say(responses.list_line(b"LIST", _attributes(info, command), session.name(info.name), extra))
        if command.status and info.selectable and info.exists:
            await _say_status(session, info.name, command.status)
        if "MYRIGHTS" in command.give and info.selectable and info.exists:
            session.say(await acl.line_for_list(session, info.name))
        if command.metadata and info.exists:
            session.say(await metadata.line_for_list(session, info.name, command.metadata))
        await session.room()
    return Done("Done.")


def _is_selected(info: MailboxInfo, select: frozenset[str]) -> bool:
    if "SUBSCRIBED" in select:
        if not info.subscribed:
            return False
    elif not info.exists:
        return False
    return "SPECIAL-USE" not in select or info.special_use is not None


def _parents_of_selected(infos: Iterable[MailboxInfo], command: commands.ListMailboxes, wanted: Test) -> frozenset[str]:
    """Names above one that the selection takes and the patterns do not: it is not told itself (RFC 5258 §4)."""
    parents: set[str] = set()
    for info in infos:
        if _is_selected(info, command.select) and not wanted(info.name):
            parents.update(_above(info.name))
    return frozenset(parents)


def _above(name: str) -> Iterable[str]:
    at = name.find(SEPARATOR)
    while at > 0:
        yield name[:at]
        at = name.find(SEPARATOR, at + 1)


def _attributes(info: MailboxInfo, command: commands.ListMailboxes) -> list[str]:
    attributes = []
    if not info.exists:
        attributes.append("\\NonExistent")
    elif not info.selectable:
        attributes.append("\\Noselect")
    attributes.append("\\HasChildren" if info.has_children else "\\HasNoChildren")
    if info.subscribed and "SUBSCRIBED" in command.select | command.give:
        attributes.append("\\Subscribed")
    if info.special_use is not None:
        attributes.append(info.special_use.value)
    return attributes


def _subscribed(infos: Iterable[MailboxInfo], wanted: Test) -> Iterable[tuple[list[str], str]]:
    """LSUB: subscribed names; and names above them which a pattern with % takes in their stead (RFC 3501 §6.3.9)."""
    said: dict[str, list[str]] = {}
    for info in infos:
        if not info.subscribed:
            continue
        if wanted(info.name):
            said[info.name] = []
            continue
        for above in _above(info.name):
            if wanted(above):
                said.setdefault(above, ["\\Noselect"])
    return [(attributes, name) for name, attributes in said.items()]


async def _say_status(session: Session, name: str, items: tuple[str, ...]) -> None:
    try:
        state = await session.store.status(name, sized="SIZE" in items)
    except StoreError:
        return  # gone meanwhile: RFC 5819 §2, no STATUS for what cannot be selected
    session.say(status.line(session, name, items, state))


ROWS = (
    Row("LIST", LOGGED_IN, parse_list.list_mailboxes, list_mailboxes),
    Row("LSUB", LOGGED_IN, parse_list.list_subscribed, list_mailboxes),
)
