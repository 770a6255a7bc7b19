"""What the server says, as octets (RFC 3501 §7): responses are built here, from values, and not by hand elsewhere.

Text of ours is printable ASCII without control characters, whatever went into it; octets of clients come back only as
strings of the grammar (quoted or literal).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

from mailbox_appliance.mail.dates import imap_date_time
from mailbox_appliance.mail.mailbox import FIRST_KEYWORD_BIT, RECENT, SYSTEM_FLAGS
from mailbox_appliance.wire.imap import utf7
from mailbox_appliance.wire.imap.strings import string

CONTINUE = b"+ OK\r\n"
_UNSAFE = re.compile(r"[^\x20-\x7e]")
_KEYWORD = re.compile(r"[^\x00-\x20(){%*\"\\\]\x7f-\U0010ffff]+")
_TEXT_OCTETS = 400


def text_octets(text: str) -> bytes:
    """Human text for a response line; "?" for what is not printable ASCII."""
    return (_UNSAFE.sub("?", text)[:_TEXT_OCTETS] or "-").encode("ascii")


def tagged(tag: bytes, word: bytes, text: str, code: bytes = b"") -> bytes:
    """The tagged end of a command: ``word`` OK, NO or BAD; ``code`` without its brackets."""
    return b"%b %b [%b] %b\r\n" % (tag, word, code, text_octets(text)) if code else _plain(tag, word, text)


def _plain(tag: bytes, word: bytes, text: str) -> bytes:
    octets = text_octets(text)
    # A text that began with "[" would read as a response code.
    return b"%b %b %b\r\n" % (tag, word, b"-" + octets if octets.startswith(b"[") else octets)


def condition(word: bytes, text: str, code: bytes = b"") -> bytes:
    """Untagged OK, NO, BAD, BYE, PREAUTH."""
    return tagged(b"*", word, text, code)


def nstring(text: str | None) -> bytes:
    """nstring of text in UTF-8."""
    return b"NIL" if text is None else string(text.encode("utf-8", "surrogateescape"))


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """A mailbox name: INBOX bare, everything else quoted, in modified UTF-7 or UTF-8 (RFC 9051 §5.1, RFC 9755 §3)."""
    if name == "INBOX":
        return b"INBOX"
    octets = name.encode("utf-8", "replace") if utf8 else utf7.encode(name)
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def list_line(word: bytes, attributes: Iterable[str], name: bytes, extra: bytes = b"") -> bytes:
    """LIST or LSUB; ``name`` as ``mailbox`` gives it, ``extra`` is what RFC 5258 adds at the end."""
    return b'* %b (%b) "." %b%b\r\n' % (word, " ".join(attributes).encode("ascii"), name, extra)


def status_line(name: bytes, items: Iterable[tuple[str, object]]) -> bytes:
    """STATUS; ``name`` as ``mailbox`` gives it."""
    pairs = " ".join(f"{item} {value}" for item, value in items)
    return b"* STATUS %b (%b)\r\n" % (name, pairs.encode("ascii"))


def capability(names: Iterable[str]) -> bytes:
    """CAPABILITY, as a response and inside a code: without "* " and line end."""
    return b"CAPABILITY " + " ".join(names).encode("ascii")


def untagged(octets: bytes) -> bytes:
    """``* octets``"""
    return b"* %b\r\n" % octets


def is_keyword(name: str) -> bool:
    """Can it be said? Other programs may have put into the Maildir what is no flag-keyword (RFC 3501 §9)."""
    return _KEYWORD.fullmatch(name) is not None


class FlagNames(dict[int, str]):
    """From a message's flags as an integer to their names, each mask spelled once.

    ``keywords`` is the mailbox's own list, which only grows; so what was spelled stays right.
    """

    __slots__ = ("_keywords",)

    def __init__(self, keywords: Sequence[str]) -> None:
        super().__init__()
        self._keywords = keywords

    def __missing__(self, mask: int) -> str:
        names = [name for bit, name in SYSTEM_FLAGS if mask & bit]
        if mask & RECENT:
            names.append("\\Recent")
        keywords = mask >> FIRST_KEYWORD_BIT
        for index, keyword in enumerate(self._keywords):
            if keywords >> index & 1 and is_keyword(keyword):
                names.append(keyword)
        spelled = " ".join(names)
        if len(self) < 1000:
            self[mask] = spelled
        return spelled


class OctetFlagNames(dict[int, bytes]):
    """The same as octets."""

    __slots__ = ("_names",)

    def __init__(self, names: FlagNames) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, mask: int) -> bytes:
        spelled = self._names[mask].encode("ascii")
        if len(self) < 1000:
            self[mask] = spelled
        return spelled


def internal_date(epoch: int, zone: int = 0) -> str:
    """INTERNALDATE with its quotes (RFC 3501 §9, date-time); ``zone`` in minutes east of UTC. Made for thousands."""
    day, second = divmod(epoch + zone * 60, 86400)
    minute, second = divmod(second, 60)
    return f'"{_day(day)} {_minute(minute)}:{second:02d} {_zone(zone)}"'


@functools.lru_cache(maxsize=4096)
def _day(day: int) -> str:
    return imap_date_time(day * 86400)[1:12].decode("ascii")


@functools.lru_cache(maxsize=1440)
def _minute(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@functools.lru_cache(maxsize=256)
def _zone(minutes: int) -> str:
    return imap_date_time(0, minutes)[-6:-1].decode("ascii")
