"""The words of the IMAP grammar (RFC 3501 §9), read one after another by a Cursor over a whole command.

The command is one ``bytes``: its lines with their literals in place (``{3}`` CRLF and three octets), without the last
CRLF. Each method reads one rule of the grammar and moves on; what does not fit raises BadSyntax, and nothing else is
ever raised. Strings stay octets until a parser knows what they mean.
"""

from __future__ import annotations

import calendar
import re

from mailbox_appliance.mail.mailbox import INBOX
from mailbox_appliance.wire.imap import utf7

MAILBOX_OCTETS = 1000
NO_NAME = "\0"  # a pattern which no mailbox has for a name

_ATOM = re.compile(rb"[^\x00-\x20(){%*\"\\\]\x7f-\xff]+")
_ASTRING = re.compile(rb"[^\x00-\x20(){%*\"\\\x7f-\xff]+")
_LIST_ATOM = re.compile(rb"[^\x00-\x20(){\"\\\x7f-\xff]+")
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*)"')
_ESCAPED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_LITERAL = re.compile(rb"(~?)\{([0-9]{1,10})[+-]?\}\r\n")
_NUMBER = re.compile(rb"[0-9]+")
_FLAG = re.compile(rb"\\?[^\x00-\x20(){%*\"\\\]\x7f-\xff]+")
_WORD = re.compile(rb"[A-Za-z0-9.=_+-]+")
_DATE = re.compile(rb'("?)([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4})("?)')
_DATE_TIME = re.compile(
    rb'"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class BadSyntax(ValueError):
    """The command does not follow the grammar; ``str()`` is fit for the peer and holds none of its octets.

    ``code`` is a response code without brackets (RFC 5530), or nothing.
    """

    def __init__(self, text: str, code: bytes = b"") -> None:
        super().__init__(text)
        self.code = code


class NameNotPossible(BadSyntax):
    """What stands where a mailbox name belongs can name no mailbox: NO, for the command itself is well-formed."""


class Cursor:
    """A place in a command. ``utf8``: mailbox names are UTF-8 (RFC 9051 §5.1, RFC 9755 §3), not modified UTF-7."""

    __slots__ = ("at", "octets", "utf8")

    def __init__(self, octets: bytes, at: int = 0, utf8: bool = False) -> None:
        self.octets = octets
        self.at = at
        self.utf8 = utf8

    # ------------------------------------------------------------ single characters

    def at_end(self) -> bool:
        """Is everything read?"""
        return self.at >= len(self.octets)

    def end(self) -> None:
        """Nothing may follow (but blanks, which some clients leave at the end)."""
        if not self.at_end() and self.octets[self.at :].strip(b" "):
            raise BadSyntax("there is more in the command than belongs to it")
        self.at = len(self.octets)

    def comes(self, sign: bytes) -> bool:
        """Does ``sign`` come next? It is not read."""
        return self.octets.startswith(sign, self.at)

    def skip(self, sign: bytes) -> bool:
        """Read ``sign`` if it comes next."""
        if self.octets.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    def expect(self, sign: bytes) -> None:
        """``sign`` has to come next."""
        if not self.octets.startswith(sign, self.at):
            raise BadSyntax(f"expected {sign.decode('ascii')!r}")
        self.at += len(sign)

    def space(self) -> None:
        """One space."""
        if not self.octets.startswith(b" ", self.at):
            raise BadSyntax("an argument is missing" if self.at_end() else "expected a space")
        self.at += 1

    def _match(self, rule: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = rule.match(self.octets, self.at)
        if found is None:
            raise BadSyntax(f"expected {what}")
        self.at = found.end()
        return found

    # ------------------------------------------------------------ words

    def word(self) -> str:
        """A keyword of the protocol (letters, digits, ``.=_+-``), in upper case."""
        return self._match(_WORD, "a word")[0].decode("ascii").upper()

    def skip_word(self, word: str) -> bool:
        """Read ``word`` (upper case) if the next word is it, in any case."""
        found = _WORD.match(self.octets, self.at)
        if found is None or found[0].upper() != word.encode("ascii"):
            return False
        self.at = found.end()
        return True

    def atom(self) -> bytes:
        """atom"""
        return self._match(_ATOM, "an atom")[0]

    def number(self, most: int = (1 << 32) - 1) -> int:
        """number; number64 with ``most`` = 2^63-1"""
        return self._bounded(self._match(_NUMBER, "a number")[0], most)

    def nonzero(self, most: int = (1 << 32) - 1) -> int:
        """nz-number"""
        value = self.number(most)
        if not value:
            raise BadSyntax("zero is not allowed here")
        return value

    def modseq(self, *, zero: bool = True) -> int:
        """mod-sequence-value (RFC 7162 §7): 63 bits"""
        return self.number((1 << 63) - 1) if zero else self.nonzero((1 << 63) - 1)

    @staticmethod
    def _bounded(digits: bytes, most: int) -> int:
        if len(digits) > 19 or (value := int(digits)) > most:
            raise BadSyntax("the number is too large")
        return value

    def string(self) -> bytes:
        """string: quoted or literal"""
        found = _QUOTED.match(self.octets, self.at)
        if found is not None:
            self.at = found.end()
            return found[1]
        if self.comes(b'"'):
            found = self._match(_ESCAPED, "a quoted string")
            return re.sub(rb"\\(.)", rb"\1", found[1])
        return self.literal()

    def literal(self) -> bytes:
        """literal; one that is binary (RFC 3516) may hold NUL"""
        found = self._match(_LITERAL, "a string")
        end = self.at + int(found[2])
        if end > len(self.octets):
            raise BadSyntax("the literal is cut off")
        octets = self.octets[self.at : end]
        self.at = end
        if b"\x00" in octets and not found[1]:
            raise BadSyntax("a literal must not hold NUL")
        return octets

    def astring(self) -> bytes:
        """astring"""
        found = _ASTRING.match(self.octets, self.at)
        if found is not None:
            self.at = found.end()
            return found[0]
        return self.string()

    def nstring(self) -> bytes | None:
        """nstring"""
        if self.octets[self.at : self.at + 3].upper() == b"NIL":
            self.at += 3
            return None
        return self.string()

    # ------------------------------------------------------------ names

    def mailbox(self) -> str:
        """mailbox: the name as text, INBOX in upper case"""
        return self._name(self.astring())

    def _name(self, octets: bytes) -> str:
        if len(octets) > MAILBOX_OCTETS:
            raise BadSyntax("the mailbox name is too long")
        try:
            name = utf7.decode_utf8(octets) if self.utf8 else utf7.decode(octets)
        except utf7.BadName as error:
            raise NameNotPossible(str(error)) from None
        return mailbox_name(name)

    def list_mailbox(self) -> str:
        """list-mailbox: a pattern with ``%`` and ``*``"""
        found = _LIST_ATOM.match(self.octets, self.at)
        if found is not None:
            self.at = found.end()
        try:
            return self._name(found[0] if found is not None else self.string())
        except NameNotPossible:
            return NO_NAME

    # ------------------------------------------------------------ flags

    def flag(self) -> str:
        """flag or flag-keyword"""
        octets = self._match(_FLAG, "a flag")[0]
        if len(octets) > 255:
            raise BadSyntax("the flag is too long")
        return octets.decode("ascii")

    def flag_list(self) -> tuple[str, ...]:
        """flag-list: in parentheses, perhaps empty"""
        self.expect(b"(")
        flags: list[str] = []
        if self.skip(b")"):
            return ()
        while True:
            flags.append(self.flag())
            if self.skip(b")"):
                return tuple(flags)
            self.space()

    # ------------------------------------------------------------ dates

    def date(self) -> int:
        """date: days since 1970-01-01"""
        found = self._match(_DATE, "a date such as 1-Feb-2024")
        if found[1] != found[5]:
            raise BadSyntax("the date's quotes do not match")
        return calendar.timegm((*_day(found[4], found[3], found[2]), 0, 0, 0)) // 86400

    def date_time(self) -> tuple[int, int]:
        """date-time: seconds since 1970 and minutes east of UTC"""
        found = self._match(_DATE_TIME, 'a date such as " 1-Feb-2024 00:00:00 +0000"')
        hour, minute, second = int(found[4]), int(found[5]), int(found[6])
        zone = int(found[8]) * 60 + int(found[9])
        if hour > 23 or minute > 59 or second > 60 or zone > 24 * 60:
            raise BadSyntax("there is no such time")
        if found[7] == b"-":
            zone = -zone
        moment = calendar.timegm((*_day(found[3], found[2], found[1]), hour, minute, min(second, 59)))
        return moment - zone * 60, zone


def _day(year: bytes, month: bytes, day: bytes) -> tuple[int, int, int]:
    numbers = int(year), _MONTHS.get(month.lower(), 0), int(day)
    if not numbers[0] or not numbers[1] or not 1 <= numbers[2] <= _DAYS[numbers[1]]:
        raise BadSyntax("there is no such day")
    if numbers[1:] == (2, 29) and not calendar.isleap(numbers[0]):
        raise BadSyntax("there is no such day")
    return numbers


def mailbox_name(name: str) -> str:
    """The name with INBOX, alone or as the first level, in upper case (RFC 3501 §5.1)."""
    if name[:5].upper() == INBOX and (len(name) == 5 or name[5] == "."):
        return INBOX + name[5:]
    return name
