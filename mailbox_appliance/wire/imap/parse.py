"""From a command's octets to its value: one function for each form of arguments (RFC 3501 §6 and extensions).

Each begins at the octet after the verb and reads to the end. Raises BadSyntax, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from mailbox_appliance.mail.mailbox import SpecialUse
from mailbox_appliance.ports.store import FlagAction
from mailbox_appliance.wire.imap import commands
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor, mailbox_name
from mailbox_appliance.wire.imap.parse_list import LONGEST_LIST
from mailbox_appliance.wire.imap.sets import read_set

ID_PAIRS = 30  # RFC 2971 §3.3
_USES = {use.value.upper(): use for use in SpecialUse}
_ACTIONS = {action.value: action for action in FlagAction}


def plain(cursor: Cursor) -> commands.Plain:
    """No arguments."""
    cursor.end()
    return commands.Plain()


def identify(cursor: Cursor) -> commands.Identify:
    """ID SP ("(" string SP nstring … ")" / NIL)"""
    cursor.space()
    pairs: list[tuple[str, str | None]] = []
    if cursor.skip(b"("):
        while not cursor.skip(b")"):
            if pairs:
                cursor.space()
            name = cursor.string()
            cursor.space()
            value = cursor.nstring()
            if len(pairs) == ID_PAIRS or len(name) > 30 or len(value or b"") > 1024:
                raise BadSyntax("the identification is too long")
            shown = None if value is None else value.decode("utf-8", "replace")
            pairs.append((name.decode("utf-8", "replace").lower(), shown))
    elif cursor.word() != "NIL":
        raise BadSyntax("expected a list or NIL")
    cursor.end()
    return commands.Identify(tuple(pairs))


def enable(cursor: Cursor) -> commands.Enable:
    """ENABLE 1*(SP capability)"""
    names: list[str] = []
    while not names or not cursor.at_end():
        cursor.space()
        names.append(cursor.word())
        if len(names) > LONGEST_LIST:
            raise BadSyntax("too many names")
    return commands.Enable(tuple(names))


def mechanism(cursor: Cursor) -> commands.OnMechanism:
    """COMPRESS SP algorithm"""
    cursor.space()
    name = cursor.word()
    cursor.end()
    return commands.OnMechanism(name)


def cancel_update(cursor: Cursor) -> commands.CancelUpdate:
    """CANCELUPDATE 1*(SP quoted)"""
    tags: list[bytes] = []
    while not tags or not cursor.at_end():
        cursor.space()
        tags.append(cursor.string())
        if len(tags) > LONGEST_LIST:
            raise BadSyntax("too many tags")
    return commands.CancelUpdate(tuple(tags))


def log_in(cursor: Cursor) -> commands.LogIn:
    """LOGIN SP userid SP password"""
    cursor.space()
    username = cursor.astring()
    cursor.space()
    password = cursor.astring()
    cursor.end()
    return commands.LogIn(username, password)


def authenticate(cursor: Cursor) -> commands.Authenticate:
    """AUTHENTICATE SP auth-type [SP initial-resp]"""
    cursor.space()
    mechanism = cursor.word()
    initial = None
    if cursor.skip(b" "):
        initial = cursor.octets[cursor.at :]
        cursor.at = len(cursor.octets)
        if not initial:
            raise BadSyntax("the initial response is missing")
    cursor.end()
    return commands.Authenticate(mechanism, initial)


def select(cursor: Cursor) -> commands.Select:
    """SELECT SP mailbox [SP "(" select-param … ")"]"""
    return _select(cursor, read_only=False)


def examine(cursor: Cursor) -> commands.Select:
    """EXAMINE, likewise."""
    return _select(cursor, read_only=True)


def _select(cursor: Cursor, *, read_only: bool) -> commands.Select:
    cursor.space()
    mailbox = cursor.mailbox()
    condstore = False
    resync = None
    if cursor.skip(b" "):
        cursor.expect(b"(")
        while True:
            word = cursor.word()
            if word == "CONDSTORE":
                condstore = True
            elif word == "QRESYNC" and resync is None:
                cursor.space()
                resync = _quick_resync(cursor)
            else:
                raise BadSyntax("unknown parameter of SELECT")
            if cursor.skip(b")"):
                break
            cursor.space()
    cursor.end()
    return commands.Select(mailbox, read_only, condstore or resync is not None, resync)


def _quick_resync(cursor: Cursor) -> commands.QuickResync:
    """RFC 7162 §7: "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")\""""
    cursor.expect(b"(")
    uidvalidity = cursor.nonzero()
    cursor.space()
    modseq = cursor.modseq(zero=False)
    known = None
    pairs = None
    if cursor.skip(b" ") and not cursor.comes(b"("):
        known = read_set(cursor, uids=True)
        if known.saved:
            raise BadSyntax("$ is not allowed here")
        if not cursor.skip(b" ") and not cursor.comes(b")"):
            raise BadSyntax("expected a space")
    if cursor.skip(b"("):
        numbers = read_set(cursor, uids=False)
        cursor.space()
        pairs = (numbers, read_set(cursor, uids=True))
        cursor.expect(b")")
    cursor.expect(b")")
    return commands.QuickResync(uidvalidity, modseq, known, pairs)


def create(cursor: Cursor) -> commands.Create:
    """CREATE SP mailbox [SP "(" USE SP "(" use … ")" ")"] (RFC 6154 §3)"""
    cursor.space()
    mailbox = cursor.mailbox()
    use = None
    if cursor.skip(b" "):
        cursor.expect(b"(")
        if cursor.word() != "USE":
            raise BadSyntax("unknown parameter of CREATE")
        cursor.space()
        names = cursor.flag_list()
        cursor.expect(b")")
        if len(names) > 1 or any(name.upper() not in _USES for name in names):
            raise UseNotKnown("a mailbox can have one of the special uses that this server knows")
        use = _USES[names[0].upper()] if names else None
    cursor.end()
    if len(mailbox) > 1:
        mailbox = mailbox.removesuffix(".")  # "a name ending in the separator announces children" (RFC 3501 §6.3.3)
    return commands.Create(mailbox_name(mailbox), use)


class UseNotKnown(BadSyntax):
    """CREATE asks for a special use which cannot be given: NO [USEATTR] (RFC 6154 §3)."""


def on_mailbox(cursor: Cursor) -> commands.OnMailbox:
    """SP mailbox"""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.end()
    return commands.OnMailbox(mailbox)


def rename(cursor: Cursor) -> commands.Rename:
    """RENAME SP mailbox SP mailbox"""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    to = cursor.mailbox()
    cursor.end()
    return commands.Rename(mailbox, to.removesuffix(".") if len(to) > 1 else to)


def get_quota(cursor: Cursor) -> commands.GetQuota:
    """GETQUOTA SP astring"""
    cursor.space()
    root = cursor.astring()
    cursor.end()
    return commands.GetQuota(root)


def set_quota(cursor: Cursor) -> commands.SetQuota:
    """SETQUOTA SP astring SP "(" [resource SP number …] ")\""""
    cursor.space()
    root = cursor.astring()
    cursor.space()
    cursor.expect(b"(")
    first = True
    while not cursor.skip(b")"):
        if not first:
            cursor.space()
        cursor.word()
        cursor.space()
        cursor.number((1 << 63) - 1)
        first = False
    cursor.end()
    return commands.SetQuota(root)


def for_whom(*, rights: bool) -> Callable[[Cursor], commands.ForWhom]:
    """SP mailbox SP identifier [SP rights]"""

    def read(cursor: Cursor) -> commands.ForWhom:
        cursor.space()
        mailbox = cursor.mailbox()
        cursor.space()
        identifier = cursor.astring()
        letters = b""
        if rights:
            cursor.space()
            letters = cursor.astring()
        cursor.end()
        return commands.ForWhom(mailbox, identifier, letters)

    return read


def uid_expunge(cursor: Cursor) -> commands.Expunge:
    """UID EXPUNGE SP sequence-set"""
    cursor.space()
    messages = read_set(cursor, uids=True)
    cursor.end()
    return commands.Expunge(messages)


def copying(*, uids: bool, move: bool) -> Callable[[Cursor], commands.Copy]:
    """The parser of COPY, MOVE, UID COPY or UID MOVE."""

    def copy(cursor: Cursor) -> commands.Copy:
        cursor.space()
        messages = read_set(cursor, uids=uids)
        cursor.space()
        mailbox = cursor.mailbox()
        cursor.end()
        return commands.Copy(messages, mailbox, move)

    return copy


def storing(*, uids: bool) -> Callable[[Cursor], commands.Store]:
    """The parser of STORE or UID STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3)."""

    def store(cursor: Cursor) -> commands.Store:
        cursor.space()
        messages = read_set(cursor, uids=uids)
        cursor.space()
        unchanged_since = None
        if cursor.skip(b"("):
            if cursor.word() != "UNCHANGEDSINCE":
                raise BadSyntax("unknown modifier of STORE")
            cursor.space()
            unchanged_since = cursor.modseq()
            cursor.expect(b")")
            cursor.space()
        word = cursor.word()
        name = word.removesuffix(".SILENT")
        if name not in _ACTIONS:
            raise BadSyntax("expected FLAGS, +FLAGS or -FLAGS")
        cursor.space()
        if cursor.comes(b"("):
            flags = cursor.flag_list()
        else:
            listed = [cursor.flag()]
            while cursor.skip(b" "):
                listed.append(cursor.flag())
            flags = tuple(listed)
        cursor.end()
        return commands.Store(messages, _ACTIONS[name], flags, word != name, unchanged_since)

    return store


def message_head(cursor: Cursor) -> commands.MessageHead:
    """SP [flag-list SP] [date-time SP], up to a message of APPEND (RFC 3501, RFC 3502)."""
    flags: tuple[str, ...] = ()
    date: tuple[int, int] | None = None
    cursor.space()
    if cursor.comes(b"("):
        flags = cursor.flag_list()
        cursor.space()
    if cursor.comes(b'"'):
        date = cursor.date_time()
        cursor.space()
    return commands.MessageHead(flags, date and float(date[0]), date[1] if date else 0)
