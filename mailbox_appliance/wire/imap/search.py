"""SEARCH's little language as mail.search values (RFC 3501 §6.4.4, RFC 5032 WITHIN, RFC 7162 MODSEQ, RFC 8514).

SORT and THREAD (RFC 5256, RFC 5957) search in the same language.

Nesting is bounded, so that ten thousand parentheses or NOTs are BAD and nothing worse. Needles are decoded from the
command's charset; a charset we do not know raises UnknownCharset, which is NO [BADCHARSET].
"""

from __future__ import annotations

import re
from collections.abc import Callable
from encodings import normalize_encoding
from encodings.aliases import aliases

from mailbox_appliance.mail import mailbox as words
from mailbox_appliance.mail import search as keys
from mailbox_appliance.mail.search import SearchKey
from mailbox_appliance.wire.imap import commands
from mailbox_appliance.wire.imap.grammar import BadSyntax, Cursor
from mailbox_appliance.wire.imap.sets import partial_range, read_set

DEEPEST = 100
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
MOST_KEYS = 2000
_MOST = (1 << 32) - 1
CHARSETS = (b"US-ASCII", b"UTF-8")  # told in BADCHARSET; every charset that Python can decode is taken
ALGORITHMS = ("REFERENCES", "ORDEREDSUBJECT")
_RETURN = frozenset({"MIN", "MAX", "COUNT", "ALL", "SAVE", "PARTIAL", "UPDATE", "CONTEXT", "RELEVANCY"})
_CRITERIA = frozenset("ARRIVAL CC DATE DISPLAYFROM DISPLAYTO FROM SIZE SUBJECT TO RELEVANCY".split())


class UnknownCharset(BadSyntax):
    """The needles are in a charset that we cannot read."""


def _flag(bit: int) -> SearchKey:
    return keys.HasFlag(bit)


_SIMPLE: dict[str, SearchKey] = {
    "ALL": keys.All(),
    "ANSWERED": _flag(words.ANSWERED),
    "DELETED": _flag(words.DELETED),
    "DRAFT": _flag(words.DRAFT),
    "FLAGGED": _flag(words.FLAGGED),
    "NEW": keys.And((_flag(words.RECENT), keys.Not(_flag(words.SEEN)))),
    "OLD": keys.Not(_flag(words.RECENT)),
    "RECENT": _flag(words.RECENT),
    "SEEN": _flag(words.SEEN),
    "UNANSWERED": keys.Not(_flag(words.ANSWERED)),
    "UNDELETED": keys.Not(_flag(words.DELETED)),
    "UNDRAFT": keys.Not(_flag(words.DRAFT)),
    "UNFLAGGED": keys.Not(_flag(words.FLAGGED)),
    "UNSEEN": keys.Not(_flag(words.SEEN)),
    "SAVEDATESUPPORTED": keys.All(),
}
_FIELDS = {"BCC": "bcc", "CC": "cc", "FROM": "from", "SUBJECT": "subject", "TO": "to"}
_DATES: dict[str, Callable[[int], SearchKey]] = {
    "BEFORE": lambda day: keys.InternalDate("before", day),
    "ON": lambda day: keys.InternalDate("on", day),
    "SINCE": lambda day: keys.InternalDate("since", day),
    "SENTBEFORE": lambda day: keys.SentDate("before", day),
    "SENTON": lambda day: keys.SentDate("on", day),
    "SENTSINCE": lambda day: keys.SentDate("since", day),
    "SAVEDBEFORE": lambda day: keys.SavedDate("before", day),
    "SAVEDON": lambda day: keys.SavedDate("on", day),
    "SAVEDSINCE": lambda day: keys.SavedDate("since", day),
}


def searching(*, uids: bool) -> Callable[[Cursor], commands.Search]:
    """The parser of SEARCH or UID SEARCH."""

    def search(cursor: Cursor) -> commands.Search:
        cursor.space()
        give, partial = _returning(cursor)
        charset = "us-ascii"
        if cursor.skip_word("CHARSET"):
            cursor.space()
            charset = _charset(cursor.astring())
            cursor.space()
        program = Program(cursor, charset)
        key = program.read()
        cursor.end()
        _check_relevancy(give, program)
        return commands.Search(key, uids, give, program.modseq, partial)

    return search


def sorting(*, uids: bool) -> Callable[[Cursor], commands.Search]:
    """The parser of SORT or UID SORT: [SP RETURN …] SP "(" criteria ")" SP charset SP search-keys (RFC 5256, 5267)."""

    def sort(cursor: Cursor) -> commands.Search:
        cursor.space()
        give, partial = _returning(cursor)
        cursor.expect(b"(")
        order: list[commands.Criterion] = []
        while True:
            reverse = cursor.skip_word("REVERSE")
            if reverse:
                cursor.space()
            word = cursor.word()
            if word not in _CRITERIA:
                raise BadSyntax("unknown criterion of SORT")
            if all(word != name for name, _ in order):  # a second one has nothing left to decide
                order.append((word, reverse))
            if cursor.skip(b")"):
                break
            cursor.space()
        key, program = _charset_and_keys(cursor)
        _check_relevancy(give, program)
        return commands.Search(key, uids, give, program.modseq, partial, tuple(order))

    return sort


def threading(*, uids: bool) -> Callable[[Cursor], commands.Thread]:
    """The parser of THREAD or UID THREAD (RFC 5256 §3)."""

    def thread(cursor: Cursor) -> commands.Thread:
        cursor.space()
        algorithm = cursor.word()
        if algorithm not in ALGORITHMS:
            raise BadSyntax("unknown algorithm of THREAD")
        return commands.Thread(algorithm, _charset_and_keys(cursor)[0], uids)

    return thread


def _charset_and_keys(cursor: Cursor) -> tuple[SearchKey, Program]:
    cursor.space()
    program = Program(cursor, _charset(cursor.astring()))
    cursor.space()
    key = program.read()
    cursor.end()
    return key, program


def _returning(cursor: Cursor) -> tuple[frozenset[str] | None, tuple[int, int] | None]:
    """RETURN SP "(" options ")" SP, if it comes: names and the range of PARTIAL. Raises BadSyntax."""
    if not cursor.skip_word("RETURN"):
        return None, None
    cursor.space()
    cursor.expect(b"(")
    names: set[str] = set()
    partial = None
    while not cursor.skip(b")"):
        if names:
            cursor.space()
        names.add(word := cursor.word())
        if word == "PARTIAL":
            cursor.space()
            partial = partial_range(cursor)
    if not names <= _RETURN:
        raise BadSyntax("unknown return option of SEARCH")
    if {"PARTIAL", "ALL"} <= names:
        raise BadSyntax("PARTIAL and ALL exclude each other")  # RFC 9394 §3.1
    cursor.space()
    names.discard("CONTEXT")  # a hint that is not needed (RFC 5267 §4.2)
    return frozenset(names or {"ALL"}), partial  # RFC 4731 §3.1


def _check_relevancy(give: frozenset[str] | None, program: Program) -> None:
    if give is not None and "RELEVANCY" in give and not program.fuzzy:
        raise BadSyntax("RELEVANCY belongs to FUZZY")  # RFC 6203 §4


def _charset(name: bytes) -> str:
    """The codec for a charset's name. Raises UnknownCharset."""
    try:
        spelled = normalize_encoding(name.decode("ascii").lower())
        # Only names of the known list are looked up: Python remembers every other name for ever.
        if spelled not in _KNOWN or _KNOWN[spelled] in _NO_CHARSETS:
            raise LookupError(spelled)
        b"a".decode(spelled)  # raises LookupError for what is no character set ("zlib")
    except (LookupError, ValueError):
        raise UnknownCharset("this charset is not known") from None
    return _KNOWN[spelled]


_KNOWN = {spelling: codec for codec in aliases.values() for spelling in (codec, codec.replace("_", ""))} | aliases
# No character set, or none in which a word can be looked for without a byte order.
_NO_CHARSETS = frozenset("idna punycode unicode_escape raw_unicode_escape undefined mbcs oem".split()) | frozenset(
    "utf_16 utf_16_le utf_16_be utf_32 utf_32_le utf_32_be utf_7".split()
)


class Program:
    """search-key *(SP search-key), read by descent with a bound on depth and on the number of keys."""

    def __init__(self, cursor: Cursor, charset: str) -> None:
        self._cursor = cursor
        self._charset = charset
        self._count = 0
        self.modseq = False
        self.fuzzy = False

    def read(self, depth: int = 0) -> SearchKey:
        """Keys up to the end or the closing parenthesis. Raises BadSyntax."""
        found = [self._key(depth)]
        while self._cursor.skip(b" "):
            if self._cursor.at_end():
                break
            found.append(self._key(depth))
        return found[0] if len(found) == 1 else keys.And(tuple(found))

    def _key(self, depth: int) -> SearchKey:
        cursor = self._cursor
        self._count += 1
        if depth > DEEPEST:
            raise BadSyntax("the search is nested too deeply")
        if self._count > MOST_KEYS:
            raise BadSyntax("the search has too many keys")
        if cursor.skip(b"("):
            key = self.read(depth + 1)
            cursor.expect(b")")
            return key
        if cursor.comes(b"$") or cursor.comes(b"*") or cursor.octets[cursor.at : cursor.at + 1].isdigit():
            return read_set(cursor, uids=False)
        word = cursor.word()
        simple = _SIMPLE.get(word)
        if simple is not None:
            return simple
        if word == "FUZZY":  # RFC 6203 §3: how near is near enough is ours to say, and substrings are near
            self.fuzzy = True
            cursor.space()
            return self._key(depth + 1)
        if word in ("NOT", "OR"):
            cursor.space()
            first = self._key(depth + 1)
            if word == "NOT":
                return keys.Not(first)
            cursor.space()
            return keys.Or(first, self._key(depth + 1))
        reader = _ARGUMENTS.get(word)
        if reader is None:
            date = _DATES.get(word)
            field = _FIELDS.get(word)
            cursor.space()
            if date is not None:
                return date(cursor.date())
            if field is not None:
                return keys.InHeader(field, self._needle())
            raise BadSyntax("unknown search key")
        cursor.space()
        return reader(self)

    def _needle(self) -> str:
        octets = self._cursor.astring()
        try:
            return octets.decode(self._charset)
        except UnicodeError:
            # Octets that are not of the charset: UTF-8 is what clients that forget to say so mean.
            return octets.decode("utf-8", "replace") if self._charset == "ascii" else octets.decode("latin-1")

    def _keyword(self, *, wanted: bool) -> SearchKey:
        key = keys.HasKeyword(self._cursor.flag())
        return key if wanted else keys.Not(key)

    def _header(self) -> SearchKey:
        name = self._cursor.astring().decode("latin-1").lower()
        self._cursor.space()
        return keys.InHeader(name, self._needle())

    def _object_id(self, *, thread: bool) -> SearchKey:
        """objectid: 1 to 255 letters, digits, "_" and "-" (RFC 8474 §7)"""
        octets = self._cursor.atom()
        if not _OBJECT_ID.fullmatch(octets):
            raise BadSyntax("this is no object id")
        return keys.HasObjectId(octets.decode("ascii"), thread)

    def _modseq(self) -> SearchKey:
        """MODSEQ [SP entry-name SP entry-type] SP mod-sequence-value; per-flag values are not kept (RFC 7162 §3.1.5)"""
        self.modseq = True
        if self._cursor.comes(b'"'):
            self._cursor.string()
            self._cursor.space()
            if self._cursor.word() not in ("ALL", "PRIV", "SHARED"):
                raise BadSyntax("expected all, priv or shared")
            self._cursor.space()
        return keys.ModSeq(self._cursor.modseq())


def _between(first: int, last: int) -> SearchKey:
    return keys.Among(((first, last),) if first <= last else ())


_ARGUMENTS: dict[str, Callable[[Program], SearchKey]] = {
    "BODY": lambda p: keys.InBody(p._needle()),
    "TEXT": lambda p: keys.InText(p._needle()),
    "HEADER": Program._header,
    "KEYWORD": lambda p: p._keyword(wanted=True),
    "UNKEYWORD": lambda p: p._keyword(wanted=False),
    "LARGER": lambda p: keys.Size(p._cursor.number((1 << 63) - 1), True),
    "SMALLER": lambda p: keys.Size(p._cursor.number((1 << 63) - 1), False),
    "YOUNGER": lambda p: keys.Age(p._cursor.nonzero(), True),
    "OLDER": lambda p: keys.Age(p._cursor.nonzero(), False),
    "EMAILID": lambda p: p._object_id(thread=False),
    "THREADID": lambda p: p._object_id(thread=True),
    "UID": lambda p: read_set(p._cursor, uids=True),
    "UIDAFTER": lambda p: _between(p._cursor.nonzero() + 1, _MOST),  # RFC 9738 §3.2
    "UIDBEFORE": lambda p: _between(1, p._cursor.nonzero() - 1),
    "MODSEQ": Program._modseq,
}
