"""Commands out of octets: tables of what is taken and what is not, and a fuzz of every parser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.mailbox import SEEN
from mailbox_appliance.mail.search import SequenceSet
from mailbox_appliance.ports.store import Column, FlagAction
from mailbox_appliance.wire.imap import commands, parse, parse_list
from mailbox_appliance.wire.imap.commands import Item, Prerendered, Section
from mailbox_appliance.wire.imap.fetch import fetching
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.metadata import get_metadata, set_metadata
from mailbox_appliance.wire.imap.notify import Group, Notify, notify
from mailbox_appliance.wire.imap.search import DEEPEST, UnknownCharset, searching, sorting, threading


def _head(cursor: Cursor) -> commands.MessageHead:
    head = parse.message_head(cursor)
    cursor.end()
    return head


PARSERS: dict[str, Callable[[Cursor], Any]] = {
    "plain": parse.plain,
    "id": parse.identify,
    "enable": parse.enable,
    "login": parse.log_in,
    "authenticate": parse.authenticate,
    "select": parse.select,
    "create": parse.create,
    "delete": parse.on_mailbox,
    "rename": parse.rename,
    "getquota": parse.get_quota,
    "setquota": parse.set_quota,
    "status": parse_list.status,
    "list": parse_list.list_mailboxes,
    "lsub": parse_list.list_subscribed,
    "uid expunge": parse.uid_expunge,
    "copy": parse.copying(uids=False, move=False),
    "store": parse.storing(uids=True),
    "fetch": fetching(uids=True),
    "search": searching(uids=False),
    "append": _head,
    "sort": sorting(uids=False),
    "thread": threading(uids=True),
    "cancelupdate": parse.cancel_update,
    "notify": notify,
    "getmetadata": get_metadata,
    "setmetadata": set_metadata,
    "setacl": parse.for_whom(rights=True),
    "compress": parse.mechanism,
}
# Pieces from which the fuzz makes commands that are nearly right.
PIECES = st.sampled_from(
    rb"""( ) " \ {99} 1:* 1,2 $ * INBOX NIL "\"" % &AOQ- &A- QRESYNC CONDSTORE RETURN STATUS ALL NOT OR BODY[ ] <0.5>
    HEADER.FIELDS 1.2.MIME FLAGS +FLAGS.SILENT \Seen \* SINCE 1-Feb-2024 CHARSET UTF-8 MODSEQ 123 99999999999 -1
    MESSAGES CHANGEDSINCE VANISHED USE KEYWORD UID BINARY.SIZE[1] BINARY[2]<0.9> PARTIAL 1:3 -1:-9 UPDATE REVERSE DATE
    SUBJECT REFERENCES FUZZY RELEVANCY SIZE SET NONE SELECTED SUBTREE MessageNew MessageExpunge MailboxName DEPTH
    MAXSIZE INFINITY /private/a /shared/b EMAILID M1 PARTIAL""".split()
    + [b" "] * 10
    + [b'"a b"', b'" 1-Feb-2024 00:00:00 +0000"', b"{3}\r\nabc", b"{3+}\r\n\x00\xff{", b"~{2}\r\n\x00\x00"]
    + [b"{99}\r\n", b"\r", b"\n", b"\xc3\xa9", b"\x7f"]
)
COMMANDS = st.one_of(st.lists(PIECES, max_size=12).map(b"".join), st.binary(max_size=40))


def read(verb: str, arguments: bytes) -> Any:
    cursor = Cursor(arguments)
    value = PARSERS[verb](cursor)
    assert cursor.at_end() or not arguments[cursor.at :].strip(b" ")
    return value


class ParseTests(SynchronousTestCase):
    """Arguments of commands."""

    @settings(max_examples=300, deadline=None)
    @given(COMMANDS)
    def test_fuzz(self, arguments: bytes) -> None:
        """Whatever comes, every parser gives a value or BadSyntax."""
        for verb in PARSERS:
            try:
                read(verb, arguments)
            except BadSyntax:
                continue

    def test_taken(self) -> None:
        """Values out of arguments."""
        one_to_last = SequenceSet(((1, None),), False)
        table: list[tuple[str, bytes, object]] = [
            ("login", b' "a\\"b" {3+}\r\np"w', commands.LogIn(b'a"b', b'p"w')),
            ("select", b' "inbox"', commands.Select("INBOX", False)),
            ("select", b" inbox.sub (CONDSTORE)", commands.Select("INBOX.sub", False, condstore=True)),
            (
                "select",
                b" x (QRESYNC (67890007 20050715194045000 41,43:211 (1:2 5:6)))",
                commands.Select(
                    "x",
                    False,
                    True,
                    commands.QuickResync(
                        67890007,
                        20050715194045000,
                        SequenceSet(((41, 41), (43, 211)), True),
                        (SequenceSet(((1, 2),), False), SequenceSet(((5, 6),), True)),
                    ),
                ),
            ),
            ("create", b" foo.bar.", commands.Create("foo.bar")),
            ("enable", b" condstore X-Y", commands.Enable(("CONDSTORE", "X-Y"))),
            ("id", b' ("Name" "x" "os" NIL)', commands.Identify((("name", "x"), ("os", None)))),
            ("status", b" x (messages UIDNEXT messages)", commands.Status("x", ("MESSAGES", "UIDNEXT"))),
            ("list", b' "" *', commands.ListMailboxes("", ("*",))),
            ("list", b' "" inb%', commands.ListMailboxes("", ("inb%",))),
            ("list", b' () "" ("a" b)', commands.ListMailboxes("", ("a", "b"), extended=True)),
            ("copy", b" 1:* &U,BTFw-", commands.Copy(one_to_last, "台北", False)),
            (
                "store",
                b" 7 (UNCHANGEDSINCE 12) -flags.silent \\Seen $a",
                commands.Store(SequenceSet(((7, 7),), True), FlagAction.REMOVE, ("\\Seen", "$a"), True, 12),
            ),
            ("append", b" () ", commands.MessageHead()),
            (
                "append",
                b' (\\Seen) " 1-Feb-2024 00:30:00 +0130" ',
                commands.MessageHead(("\\Seen",), 1706742000.0, 90),
            ),
        ]
        for verb, arguments, value in table:
            self.assertEqual(read(verb, arguments), value, arguments)

    def test_metadata(self) -> None:
        """Options before the mailbox; entries in lower case; NIL takes away."""
        self.assertEqual(
            read("getmetadata", b" (DEPTH 0) INBOX /private/A"), commands.GetMetadata("INBOX", ("/private/a",))
        )
        self.assertEqual(
            read("getmetadata", b" (MAXSIZE 9 DEPTH infinity) x (/shared/a /shared/b)"),
            commands.GetMetadata("x", ("/shared/a", "/shared/b"), 9, None),
        )
        self.assertEqual(
            read("setmetadata", b' "" (/private/a NIL /shared/b {2}\r\nhi)'),
            commands.SetMetadata("", (("/private/a", None), ("/shared/b", b"hi"))),
        )
        for arguments in (
            b" x private/a",
            b" x /private",
            b" x /private/a/",
            b" x /private/*",
            b" (DEPTH 2) x /private/a",
        ):
            self.assertRaises(BadSyntax, read, "getmetadata", arguments)

    def test_notify(self) -> None:
        """Groups of events."""
        self.assertEqual(read("notify", b" NONE"), Notify())
        value = read("notify", b" SET STATUS (subtree (a b.c) (MessageNew MessageExpunge)) (selected-delayed NONE)")
        self.assertEqual(
            value,
            Notify(
                (
                    Group("SUBTREE", ("a", "b.c"), frozenset({"MESSAGENEW", "MESSAGEEXPUNGE"})),
                    Group("SELECTED-DELAYED", (), frozenset()),
                ),
                True,
            ),
        )
        for arguments in (b" SET", b" SET (selected NONE) (selected-delayed NONE)", b" SET (personal (FlagChange))"):
            self.assertRaises(BadSyntax, read, "notify", arguments)

    def test_refused(self) -> None:
        """Arguments that are BAD."""
        for verb, arguments in (
            ("plain", b" x"),
            ("login", b" a"),
            ("login", b" a b c"),
            ("login", b" {3}\r\n\x00ab x"),
            ("login", b' "a\rb" x'),
            ("select", b' "a\x00b"'),
            ("select", b" caf\xc3\xa9"),
            ("select", b" &AOQ"),
            ("select", b" " + b"a" * 2000),
            ("enable", b""),
            ("id", b' ("a" "b" "c")'),
            ("id", b" (" + b" ".join([b'"a" "b"'] * 31) + b")"),
            ("status", b" x messages"),
            ("status", b" x ()"),
            ("list", b' "" "*" RETURN'),
            ("list", b' (SUBSCRIBED RECURSIVEMATCH SUBSCRIBED "" *'),
            ("store", b" 1 FLAG (\\Seen)"),
            ("store", b" 1 FLAGS (\\*)"),
            ("store", b" 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()"),
            ("append", b' "1-Feb-2024 00:00:00 +0000'),
            ("append", b' "1-Feb-2024 24:00:00 +0000" '),
            ("append", b' "29-Feb-2023 00:00:00 +0000" '),
            ("fetch", b" 1 ()"),
            ("fetch", b" 1 BODY[0]"),
            ("fetch", b" 1 BODY[1.0]"),
            ("fetch", b" 1 BODY[HEADER.FIELDS]"),
            ("fetch", b" 1 BODY[HEADER.FIELDS ()]"),
            ("fetch", b" 1 BODY[HEADER.FIELDS (a:b)]"),
            ("fetch", b" 1 BODY[]<0.0>"),
            ("fetch", b" 1 (ALL)"),
            ("fetch", b" 1 (FLAGS UID) (VANISHED)"),
            ("fetch", b" 1 (" + b"FLAGS " * 200 + b"UID)"),
        ):
            self.assertRaises(BadSyntax, read, verb, arguments)

    def test_fetch_attributes(self) -> None:
        """Sections keep the client's spelling of fields; UID FETCH always has UID; doubles are said once."""
        value = read("fetch", b" 1:* (FLAGS flags BODY.PEEK[HEADER.FIELDS (From {2}\r\nto)]<3.7>)")
        self.assertEqual(
            value.attributes,
            (
                Item.UID,
                Item.FLAGS,
                Section(b"BODY[HEADER.FIELDS (From to)]<3>", (), "HEADER.FIELDS", ("from", "to"), (3, 7), True),
            ),
        )
        value = read("fetch", b" 1 BODY[1.2.TEXT]")
        self.assertEqual(value.attributes[1], Section(b"BODY[1.2.TEXT]", (1, 2), "TEXT", peek=False))
        self.assertIn(Prerendered(b"BODY", Column.BODY), read("fetch", b" 1 full").attributes)

    def test_search_keys(self) -> None:
        """Keys become a tree."""
        seen = keys.HasFlag(SEEN)
        for arguments, key in (
            (b" ALL", keys.All()),
            (b" (ALL)", keys.All()),
            (b" NOT NOT SEEN", keys.Not(keys.Not(seen))),
            (b" OR SEEN (SEEN ALL)", keys.Or(seen, keys.And((seen, keys.All())))),
            (b" 1:2,5 $", keys.And((SequenceSet(((1, 2), (5, 5)), False), SequenceSet((), False, saved=True)))),
            (b" UID 7:*", SequenceSet(((7, None),), True)),
            (b" before 2-Jan-1970", keys.InternalDate("before", 1)),
            (b' SENTSINCE "31-Dec-1969"', keys.SentDate("since", -1)),
            (b" SAVEDON 1-Jan-1970", keys.SavedDate("on", 0)),
            (b" header X-Y {0}\r\n", keys.InHeader("x-y", "")),
            (b" LARGER 5 SMALLER 9", keys.And((keys.Size(5, True), keys.Size(9, False)))),
            (b' MODSEQ "/flags/\\\\seen" all 5', keys.ModSeq(5)),
            (b' CHARSET "utf-8" TEXT {2}\r\n\xc3\xa9', keys.InText("é")),
            (b" CHARSET ISO-8859-15 TEXT {1}\r\n\xa4", keys.InText("€")),
            (b" CHARSET iso-2022-jp BODY {8}\r\n\x1b$BF|\x1b(B", keys.InBody("日")),
            (b" YOUNGER 3 UNKEYWORD $x", keys.And((keys.Age(3, True), keys.Not(keys.HasKeyword("$x"))))),
        ):
            self.assertEqual(read("search", arguments).key, key, arguments)
        self.assertEqual(read("search", b" RETURN () ALL").give, {"ALL"})
        self.assertTrue(read("search", b" (NOT MODSEQ 9)").modseq)

    def test_charsets(self) -> None:
        """What is no character set is refused by name, whatever Python would do with it."""
        for name in (
            b"zlib",
            b"hex",
            b"rot13",
            b"idna",
            b"punycode",
            b"unicode_escape",
            b"utf-16",
            b"x-nonsense",
            b"a" * 99,
        ):
            self.assertRaises(UnknownCharset, read, "search", b" CHARSET " + name + b" ALL")

    def test_nesting(self) -> None:
        """Ten thousand parentheses or NOTs are BAD; a hundred are not."""
        for opening, closing in ((b"(", b")"), (b"NOT ", b""), (b"OR ALL ", b""), (b"NOT (", b")")):
            for times, fits in ((DEEPEST // 2, True), (10_000, False), (100_000, False)):
                arguments = b" " + opening * times + b"ALL" + closing * times
                if fits:
                    read("search", arguments)
                else:
                    self.assertRaises(BadSyntax, read, "search", arguments)
        self.assertRaises(BadSyntax, read, "search", b" ALL" * 5000)
