"""How a message bears itself: the fields its writer's program makes, as they are spelt and ordered.

Only fields that writing programs make are kept, in their order. Names and addresses in To and Cc become "a" (their
punctuation stays), Message-ID loses its host, Subject the tags of mailing lists. Roads, dates and lists are not there.
"""

from __future__ import annotations

import re

MOST_HEADER = 16_384  # octets that are looked at
MOST_BEARING = 2_000  # octets that are kept

_FIELD = re.compile(rb"^([^:\s][^:\n]*):[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.MULTILINE)
_LIST_TAG = re.compile(rb"\[[^\]\s]{1,24}(?: [^\]\s]{1,12})?\]")
_RUN = re.compile(rb"[A-Za-z0-9_.+-]+")
_KEPT = frozenset(
    b"from reply-to subject mime-version content-type content-transfer-encoding x-mailer x-priority x-msmail-priority "
    b"x-mimeole user-agent organization content-disposition importance".split()
)
_MOST_RECIPIENTS = 60  # octets


def bearing_of(header: bytes) -> bytes:
    """The fields in question."""
    kept = []
    for name, value in _FIELD.findall(header):
        lower = name.lower()
        if lower in _KEPT:
            kept.append(name + b": " + (_LIST_TAG.sub(b"", value) if lower == b"subject" else value))
        elif lower in (b"to", b"cc"):
            kept.append(name + b": " + _RUN.sub(b"a", value[:2000])[:_MOST_RECIPIENTS])
        elif lower == b"message-id":
            kept.append(name + b": " + value.partition(b"@")[0])
    return b"\n".join(kept).replace(b"\r", b"")[:MOST_BEARING]
