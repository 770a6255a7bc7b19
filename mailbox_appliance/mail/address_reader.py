"""Reads address lists of any kind, octet by token: obsolete forms, comments everywhere, and what is simply broken.

The slow half of ``mail/addresses``. RFC 5322 §3.2 to §3.4 and §4.4; where the grammar does not fit, the result is what
Dovecot makes of it, so that clients see the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MOST_ADDRESSES = 10_000  # of one field; the rest is left out
LARGEST_FIELD = 1 << 18  # octets of a field that are read
MISSING_MAILBOX = b"MISSING_MAILBOX"
MISSING_DOMAIN = b"MISSING_DOMAIN"
SYNTAX_ERROR = b"SYNTAX_ERROR"
INVALID_ROUTE = b"INVALID_ROUTE"


class Mailbox(NamedTuple):
    """One address of a list. A group begins with only ``local`` (its name) set and ends with nothing set."""

    name: bytes | None  # display name, unquoted, RFC 2047 words not decoded
    route: bytes | None  # "@a,@b" of an obsolete source route
    local: bytes | None
    domain: bytes | None

    @property
    def is_whole(self) -> bool:
        """True for an address one could write to."""
        return self.local not in (None, b"", MISSING_MAILBOX) and self.domain not in (
            None,
            b"",
            MISSING_DOMAIN,
            SYNTAX_ERROR,
        )


GROUP_END = Mailbox(None, None, None, None)

ATEXT = rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\xff]"
ATEXT_DOT = rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\xff.]"
DOT_ATOM = ATEXT + rb"+(?:\." + ATEXT + rb"+)*"
_BLANKS = re.compile(rb"[ \t\r\n]*")
_ATOM = re.compile(ATEXT + rb"+")
_WORD = re.compile(ATEXT_DOT + rb"*")
_QUOTED_STOP = re.compile(rb"[\"\\]")
_COMMENT_STOP = re.compile(rb"[()\\]")
_LITERAL_STOP = re.compile(rb"[\[\]\\]")
_FOLD = re.compile(rb"\r?\n")
_WORD_START = frozenset(_ATOM.match(bytes([c])) and c for c in range(256)) | {0x22, 0x2E}


class _Broken(Exception):
    """The grammar does not fit here."""


class Reader:
    """RFC 5322 §3.4 read with one place in the octets. ``_Broken`` never leaves :meth:`address_list`."""

    def __init__(self, value: bytes) -> None:
        self.value = value.replace(b"\0", b"\xef\xbf\xbd")
        self.at = 0
        self.end = len(self.value)
        self.comment = b""
        self.found: list[Mailbox] = []
        self.text: list[bytes] = []  # of the token that is being read
        self.name: bytes | None = None
        self.route: bytes | None = None
        self.local: bytes | None = None
        self.domain: bytes | None = None

    # ---- lexical tokens (RFC 5322 §3.2)

    def here(self) -> bytes:
        return self.value[self.at : self.at + 1]

    def skip(self) -> bool:
        """Pass white space and comments; True when something follows."""
        while True:
            self.at = _BLANKS.match(self.value, self.at).end()  # type: ignore[union-attr]
            if self.at >= self.end:
                return False
            if self.value[self.at] != 0x28:
                return True
            self._pass_comment()

    def _pass_comment(self) -> None:
        level = 0
        self.comment = b""
        pieces: list[bytes] = []
        start = self.at + 1
        while match := _COMMENT_STOP.search(self.value, self.at):
            sign = match[0]
            self.at = match.end()
            if sign == b"\\":
                if self.at >= self.end:
                    break
                pieces.append(self.value[start : match.start()])
                start = self.at
                self.at += 1
            elif sign == b"(":
                level += 1
            else:
                level -= 1
                if level == 0:
                    pieces.append(self.value[start : match.start()])
                    self.comment = _FOLD.sub(b"", b"".join(pieces))
                    return
        # Never closed: whole lines of it, and what stands before a backslash, still are a name to show.
        pieces.append(self.value[start : max(self.value.rfind(b"\n") + 1, start)])
        self.at = self.end
        self.comment = _FOLD.sub(b"", b"".join(pieces))
        raise _Broken

    def quoted_string(self) -> None:
        self.at += 1
        pieces = self.text
        start = self.at
        while match := _QUOTED_STOP.search(self.value, self.at):
            if match.end() >= self.end and match[0] == b"\\":
                break
            pieces.append(_FOLD.sub(b"", self.value[start : match.start()]))
            self.at = match.end()
            if match[0] == b'"':
                return
            start = self.at
            if self.value[self.at : self.at + 1] in (b"\r", b"\n"):
                pieces.append(b"\\")
            else:
                self.at += 1
        # Never closed: whole lines of it count.
        pieces.append(_FOLD.sub(b"", self.value[start : max(self.value.rfind(b"\n") + 1, start)]))
        self.at = self.end
        raise _Broken

    def dot_atom(self, *, strict: bool) -> None:
        """Atoms and dots, with blanks behind; ``strict`` wants an atom between two dots and lets blanks be there."""
        while True:
            if not strict and self._dots():
                return
            match = _ATOM.match(self.value, self.at)
            if match is None:
                raise _Broken
            self.text.append(match[0])
            self.at = match.end()
            if not self.skip() or self.here() != b".":
                return
            if strict:
                self.text.append(b".")
                self.at += 1
                if not self.skip():
                    raise _Broken

    def _dots(self) -> bool:
        """Take any number of dots; True when the local part ends with them."""
        met = False
        while self.here() == b".":
            self.text.append(b".")
            self.at += 1
            met = True
        if met and self.at >= self.end:
            return True
        if self.here() == b"@":
            if not met and not self.text:
                raise _Broken
            return True
        return False

    def phrase(self) -> bool:
        """Words into ``text``, one blank between two; True when something follows. Raises _Broken."""
        if self.at >= self.end:
            return False
        if self.here() == b".":
            raise _Broken
        while True:
            if self.here() == b'"':
                self.quoted_string()
            else:
                match = _WORD.match(self.value, self.at)
                if match is not None:
                    self.text.append(match[0])
                    self.at = match.end()
            if not self.skip():
                return False
            if self.value[self.at] not in _WORD_START:
                return True
            self.text.append(b" ")

    def taken(self) -> bytes:
        """What was gathered; the next token begins anew."""
        text = b"".join(self.text)
        self.text.clear()
        return text

    def local_part(self) -> bytes:
        """With the blanks behind it. Raises _Broken; ``text`` then has what was read."""
        self.text.clear()
        if self.here() == b'"':
            self.quoted_string()
            self.skip()
        else:
            self.dot_atom(strict=False)
        return b"".join(self.text)

    def domain_name(self) -> bytes:
        self.at += 1
        self.text.clear()
        if not self.skip():
            raise _Broken
        if self.here() != b"[":
            self.dot_atom(strict=True)
            return self.taken()
        start = self.at
        self.at += 1
        while match := _LITERAL_STOP.search(self.value, self.at):
            self.at = match.end()
            if match[0] == b"[":
                raise _Broken
            if match[0] == b"]":
                literal = _FOLD.sub(b"", self.value[start : self.at])
                self.skip()
                return literal
            self.at += 1
        self.at = self.end
        raise _Broken

    # ---- addresses (RFC 5322 §3.4)

    def add(self, *, fixed: bool = True) -> None:
        local, domain = self.local, self.domain
        if fixed:
            local = MISSING_MAILBOX if local is None else local
            domain = domain or MISSING_DOMAIN
        self.found.append(Mailbox(self.name, self.route, local, domain))
        self.name = self.route = self.local = self.domain = None

    def angle(self) -> None:
        self.at += 1
        if not self.skip():
            raise _Broken
        if self.here() == b"@":
            self._source_route()
            if not self.skip():
                raise _Broken
        if self.here() != b">":
            self.local = self.local_part()
            if self.at >= self.end:
                raise _Broken
            if self.here() == b"@":
                self.domain = self.domain_name()
        if self.here() != b">":
            raise _Broken
        self.at += 1
        self.skip()

    def _source_route(self) -> None:
        hops: list[bytes] = []
        try:
            while self.here() == b"@":
                hops.append(b"@" + self.domain_name())
                while self.skip() and self.here() == b",":
                    self.at += 1
            if self.here() == b":":
                self.route = b",".join(hops)
                self.at += 1
                return
        except _Broken:
            pass
        self.route = INVALID_ROUTE
        if self.at >= self.end:
            raise _Broken

    def name_address(self) -> bool:
        """True when it was [display-name] "<" … ">", broken or not; the place is moved only then."""
        start = self.at
        if not self._opens_with_phrase(b"<"):
            self.at = start
            return False
        self.name = self.taken() or None
        try:
            self.angle()
        except _Broken:
            self.domain = SYNTAX_ERROR
        return True

    def _opens_with_phrase(self, sign: bytes) -> bool:
        self.text.clear()
        try:
            return self.phrase() and self.here() == sign
        except _Broken:
            return False

    def bare_address(self) -> None:
        """addr-spec, with an old-style "(Display Name)" behind it; a lone word is taken for a display name."""
        self.comment = b""
        quoted = self.here() == b'"'
        met_at = False
        odd = True
        try:
            self.local = self.local_part()
            odd = self.at >= self.end
        except _Broken:
            self.local = None
        local_text = self.taken()
        if self.here() == b"@":
            met_at = True
            try:
                self.domain = self.domain_name()
            except _Broken:
                self.text.clear()
        if self.comment:
            self.name = self.comment
        elif not met_at:
            odd = True
            more = self._rest_of_phrase()
            if more:
                self.local = None
                self.name = local_text + b" " + more
            elif not quoted:
                self.domain = b""
        if odd and self.name is None and self.local is not None and self.domain is None:
            self.name, self.local = self.local, None

    def _rest_of_phrase(self) -> bytes:
        self.text.clear()
        try:
            self.phrase()
        except _Broken:
            pass
        return self.taken()

    def mailbox(self) -> None:
        if self.at >= self.end:
            self.add()
            return
        if not self.name_address():
            self.bare_address()
        self.add()

    def group(self) -> bool:
        """True when it was a group; the place is moved only then."""
        start = self.at
        if not self._opens_with_phrase(b":"):
            self.at = start
            return False
        self.at += 1
        self.local = self.taken()
        self.add(fixed=False)
        try:
            if self.skip() and self.here() != b";":
                while len(self.found) < MOST_ADDRESSES:
                    self.mailbox()
                    if self.here() != b",":
                        break
                    self.at += 1
                    if not self.skip():
                        break
            if self.here() == b";":
                self.at += 1
                self.skip()
        except _Broken:
            pass
        self.found.append(GROUP_END)
        return True

    def address_list(self) -> list[Mailbox]:
        try:
            if not self.skip():
                return []
            while len(self.found) < MOST_ADDRESSES:
                if not self.group():
                    self.mailbox()
                if self.here() != b",":
                    break
                self.at += 1
                try:
                    if not self.skip():
                        break
                except _Broken:
                    self.add()
                    break
        except _Broken:
            pass
        return self.found
