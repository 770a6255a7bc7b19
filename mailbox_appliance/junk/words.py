"""Text into words: what a message says, as small octet strings that are cheap to cut out and cheap to hash.

All cutting is done by a few patterns in C over one UTF-8 string; nothing here looks at single characters in Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_WORD = 28  # octets; longer runs are cut or told as "long"
MOST_WORDS = 2_400  # of one message

_WORD = re.compile(rb"[a-z0-9$\xa3\x80-\xff][a-z0-9'$%\x80-\xff-]*[a-z0-9%\x80-\xff]!?|[$!?]{2,8}")
_LONG_PIECE = re.compile(rb"[\x80-\xff]{3,6}")
# Addresses say who is written to; numbers, days and months say when: neither says what a message is.
_DOMAIN = b"abcdefghijklmnopqrstuvwxyz0123456789.-"
_LOCAL = _DOMAIN + b"_+="
_SHOUTED = re.compile(rb"[A-Z](?<!\w.)[A-Z'-]{2,15}\b")  # what begins with letters is found faster than with "\b"
_NUMBER = re.compile(rb"[0-9][0-9'%-]*")
TIMES = frozenset(
    b"jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september "
    b"october november december mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday "
    b"saturday sunday am pm gmt utc est edt cst cdt mst mdt pst pdt bst cet cest ist".split()
)
_FOOTER_WITHIN = 1500  # octets from the end
_FOOTER_PIECE = 350  # octets between two lines drawn that belong together
_FOOTER_MARK = re.compile(rb"listinfo|mailing list|unsubscribe from this group", re.IGNORECASE)
# What stands above a footer: a line drawn, a signature's dashes, or nothing (the footer is one line or says so itself).
_FOOTER_STARTS = re.compile(
    rb"\n(?:____|----|-- ?\r?\n|to unsubscribe from this group|[^\n]{0,80}/listinfo)", re.IGNORECASE
)


def without_list_footer(text: bytes) -> bytes:
    """The text above the footer that a mailing list puts below every message, junk or not."""
    start = max(0, len(text) - _FOOTER_WITHIN)
    marks = [mark.start() for mark in _FOOTER_MARK.finditer(text, start)]
    if not marks:
        return text
    at = -1
    for found in reversed(list(_FOOTER_STARTS.finditer(text, start, marks[-1] + 9))):
        if 0 <= at - _FOOTER_PIECE > found.start():
            break
        at = found.start()  # an advertisement may stand between two lines above it
    return text[:at] if at > 0 else text


def words_of(text: bytes) -> list[bytes]:
    """The words of lower-case UTF-8 text in order."""
    return [word for word in all_words_of(text) if word not in TIMES and not word.isdigit()]


def telling_words(words: Sequence[bytes]) -> list[bytes]:
    """Each different word once, without numbers, names of days and months."""
    return [word for word in set(words).difference(TIMES) if not 47 < word[0] < 58 or not word.isdigit()]


def all_words_of(text: bytes) -> list[bytes]:
    """The words of lower-case UTF-8 text in order, numbers and dates among them, mail addresses not."""
    if b"@" in text:
        text = _without_addresses(text)
    found = _WORD.findall(text)[:MOST_WORDS]
    if max(map(len, found), default=0) > LONGEST_WORD:
        found = _without_long(found)
    return found


def _without_addresses(text: bytes) -> bytes:
    first, *others = text.split(b"@")
    out = [first]
    for other in others:
        local, domain = out[-1].rstrip(_LOCAL), other.lstrip(_DOMAIN)
        if len(local) < len(out[-1]) and len(domain) < len(other):
            out[-1] = local
            out.append(domain)
        else:
            out.append(other)
    return b" ".join(out)


def _without_long(found: Sequence[bytes]) -> list[bytes]:
    out: list[bytes] = []
    for word in found:
        if len(word) <= LONGEST_WORD:
            out.append(word)
        elif word.isascii():
            out.append(b"long-%d" % (len(word) // 10))
        else:  # a script without blanks: two characters a piece
            out += _LONG_PIECE.findall(word)[:200]
    return out[:MOST_WORDS]


def shouted(text: bytes) -> list[bytes]:
    """Words in capitals, as written."""
    return _SHOUTED.findall(text)
