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
_MAIL_ADDRESS = re.compile(rb"[a-z0-9._+=-]{1,64}@[a-z0-9.-]{1,255}")
_SHOUTED = re.compile(rb"\b[A-Z][A-Z'-]{2,15}\b")
_NUMBER = re.compile(rb"[0-9][0-9'%-]*")
TIMES = frozenset(
    b"jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september "
    b"october november december mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday "
    b"saturday sunday am pm gmt utc est edt cst cdt mst mdt pst pdt bst cet cest ist".split()
)
_FOOTER_WITHIN = 1500  # octets from the end


def without_list_footer(text: bytes) -> bytes:
    """The text above the footer that a mailing list puts below every message, junk or not."""
    at = max(text.rfind(line, max(0, len(text) - _FOOTER_WITHIN)) for line in (b"\n____", b"\n----"))
    if at > 0:
        tail = text[at:].lower()
        if b"listinfo" in tail or b"mailing list" in tail:
            # An advertisement may stand between two lines above it.
            above = text.rfind(b"\n----", max(0, at - 700), at)
            return text[: above if above > 0 and b"sponsored by" in text[above:at] else at]
    return text


def words_of(text: bytes) -> list[bytes]:
    """The words of lower-case UTF-8 text in order."""
    if b"@" in text:
        text = _MAIL_ADDRESS.sub(b" ", text)
    found = _WORD.findall(text)[:MOST_WORDS]
    if max(map(len, found), default=0) > LONGEST_WORD:
        found = _without_long(found)
    return [word for word in found if word not in TIMES and not (word[0] < 58 and word[0] > 47 and word.isdigit())]


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
