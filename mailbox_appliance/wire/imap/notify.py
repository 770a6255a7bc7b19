"""NOTIFY's argument (RFC 5465 §8): which events of which mailboxes a client wants to hear of without asking."""

from __future__ import annotations

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.wire.imap.commands import Attribute
from mailbox_appliance.wire.imap.fetch import read_attributes
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor

NEW, GONE, FLAGS = "MESSAGENEW", "MESSAGEEXPUNGE", "FLAGCHANGE"
NAME, SUBSCRIPTION = "MAILBOXNAME", "SUBSCRIPTIONCHANGE"
KNOWN = {NEW: "MessageNew", GONE: "MessageExpunge", FLAGS: "FlagChange", NAME: "MailboxName"} | {
    SUBSCRIPTION: "SubscriptionChange"
}
MOST_NAMES = 100
MOST_GROUPS = 20
_WITHOUT_NAMES = frozenset({"SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED"})


class UnknownEvent(BadSyntax):
    """An event that is not known here: NO [BADEVENT]."""


@dataclass(frozen=True, slots=True)
class Group:
    """One event-group: ``scope`` in upper case, ``names`` for SUBTREE and MAILBOXES, ``fetch`` of MessageNew."""

    scope: str
    names: tuple[str, ...]
    events: frozenset[str]
    fetch: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify:
    """NOTIFY SET, or NOTIFY NONE with no groups. ``status``: tell first how the mailboxes stand."""

    groups: tuple[Group, ...] = ()
    status: bool = False


def notify(cursor: Cursor) -> Notify:
    """NOTIFY SP (NONE / SET [SP STATUS] 1*(SP event-group)). Raises BadSyntax."""
    cursor.space()
    if cursor.skip_word("NONE"):
        cursor.end()
        return Notify()
    if not cursor.skip_word("SET"):
        raise BadSyntax("expected SET or NONE")
    cursor.space()
    status = cursor.skip_word("STATUS")
    if status:
        cursor.space()
    groups = [_group(cursor)]
    while cursor.skip(b" "):
        groups.append(_group(cursor))
        if len(groups) > MOST_GROUPS:
            raise BadSyntax("too many groups of events")
    cursor.end()
    if sum(group.scope.startswith("SELECTED") for group in groups) > 1:
        raise BadSyntax("there is one selected mailbox")
    return Notify(tuple(groups), status)


def _group(cursor: Cursor) -> Group:
    cursor.expect(b"(")
    scope = cursor.word()
    names: tuple[str, ...] = ()
    cursor.space()
    if scope in ("SUBTREE", "MAILBOXES"):
        names = _names(cursor)
        cursor.space()
    elif scope not in _WITHOUT_NAMES:
        raise BadSyntax("unknown set of mailboxes")
    events: dict[str, tuple[Attribute, ...]] = {}
    if cursor.skip(b"("):
        while True:
            word = cursor.word()
            if word not in KNOWN:
                raise UnknownEvent("an event is not known here")
            events[word] = ()
            if word == NEW and cursor.skip(b" ("):
                cursor.at -= 1
                events[word] = read_attributes(cursor)
            if cursor.skip(b")"):
                break
            cursor.space()
    elif not cursor.skip_word("NONE"):
        raise BadSyntax("expected events or NONE")
    cursor.expect(b")")
    # RFC 5465 §5: new and gone belong together, flags need both; what is fetched is fetched of what is selected
    if (NEW in events) != (GONE in events) or (FLAGS in events and NEW not in events):
        raise BadSyntax("MessageNew and MessageExpunge belong together")
    if events.get(NEW) and not scope.startswith("SELECTED"):
        raise BadSyntax("only the selected mailbox's messages can be fetched")
    return Group(scope, names, frozenset(events), events.get(NEW, ()))


def _names(cursor: Cursor) -> tuple[str, ...]:
    if not cursor.skip(b"("):
        return (cursor.mailbox(),)
    names = [cursor.mailbox()]
    while not cursor.skip(b")"):
        cursor.space()
        names.append(cursor.mailbox())
        if len(names) > MOST_NAMES:
            raise BadSyntax("too many mailboxes")
    return tuple(names)
