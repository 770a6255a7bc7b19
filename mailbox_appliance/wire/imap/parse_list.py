"""LIST, LSUB and STATUS from octets to values (RFC 3501 §6.3.8-10, RFC 5258, RFC 5819, RFC 6154, RFC 8440, RFC 9590).

Raises BadSyntax, nothing else.
"""

from __future__ import annotations

from mailbox_appliance.wire.imap import commands
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.metadata import entry_names

LONGEST_LIST = 100
STATUS_ITEMS = frozenset(
    "MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ APPENDLIMIT MAILBOXID".split()
)


def status(cursor: Cursor) -> commands.Status:
    """STATUS SP mailbox SP "(" status-att … ")\""""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    items = _status_items(cursor)
    cursor.end()
    return commands.Status(mailbox, items)


def _status_items(cursor: Cursor) -> tuple[str, ...]:
    items: list[str] = []
    cursor.expect(b"(")
    while True:
        item = cursor.word()
        if item not in STATUS_ITEMS:
            raise BadSyntax("unknown item of STATUS")
        if item not in items:
            items.append(item)
        if cursor.skip(b")"):
            return tuple(items)
        cursor.space()


_SELECT_OPTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"})


def list_mailboxes(cursor: Cursor) -> commands.ListMailboxes:
    """LIST [SP "(" options ")"] SP mailbox SP (pattern / "(" patterns ")") [SP RETURN SP "(" options ")"]"""
    cursor.space()
    select: set[str] = set()
    give: set[str] = set()
    items: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    extended = cursor.skip(b"(")
    if extended and not cursor.skip(b")"):
        while True:
            select.add(cursor.word())
            if cursor.skip(b")"):
                break
            cursor.space()
    if extended:
        cursor.space()
    if not select <= _SELECT_OPTIONS:
        raise BadSyntax("unknown selection option of LIST")
    if "RECURSIVEMATCH" in select and not select & {"SUBSCRIBED", "SPECIAL-USE"}:
        raise BadSyntax("RECURSIVEMATCH needs something to match")
    reference = cursor.mailbox()
    cursor.space()
    if cursor.skip(b"("):
        extended = True
        patterns = _patterns(cursor)
    else:
        patterns = (cursor.list_mailbox(),)
    if cursor.skip(b" "):
        extended = True
        if cursor.word() != "RETURN":
            raise BadSyntax("expected RETURN")
        cursor.space()
        cursor.expect(b"(")
        while not cursor.skip(b")"):
            if give or items or entries:
                cursor.space()
            word = cursor.word()
            if word == "STATUS":
                cursor.space()
                items = _status_items(cursor)
            elif word == "METADATA":
                cursor.space()
                entries = entry_names(cursor)
            elif word in _RETURN_OPTIONS:
                give.add(word)
            else:
                raise BadSyntax("unknown return option of LIST")
    cursor.end()
    return commands.ListMailboxes(reference, patterns, frozenset(select), frozenset(give), items, entries, extended)


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    patterns = [cursor.list_mailbox()]
    while not cursor.skip(b")"):
        cursor.space()
        patterns.append(cursor.list_mailbox())
        if len(patterns) > LONGEST_LIST:
            raise BadSyntax("too many patterns")
    return tuple(patterns)


def list_subscribed(cursor: Cursor) -> commands.ListMailboxes:
    """LSUB SP mailbox SP list-mailbox"""
    cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    pattern = cursor.list_mailbox()
    cursor.end()
    return commands.ListMailboxes(reference, (pattern,), frozenset({"SUBSCRIBED"}), lsub=True)
