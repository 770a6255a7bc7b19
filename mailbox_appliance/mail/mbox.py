"""Messages in one file: a single one as it is, or an mbox, whose messages begin with "From " lines (RFC 4155)."""

from __future__ import annotations

import re

_FROM_LINE = re.compile(rb"^From [^\r\n]*[0-9]\r?\n", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_EMPTY = (b"\n\n", b"\n\r\n")


def messages_of(octets: bytes) -> tuple[bytes, ...]:
    """Every message; () of a file without any."""
    if not octets.strip():
        return ()
    if not octets.startswith(b"From "):
        return (octets,)
    found = []
    lines = _FROM_LINE.finditer(octets)
    starts = [line for line in lines if line.start() == 0 or octets.endswith(_EMPTY, 0, line.start())]
    for at, match in enumerate(starts):
        end = starts[at + 1].start() if at + 1 < len(starts) else len(octets)
        message = _QUOTED.sub(rb"\1", octets[match.end() : end])
        if message.strip():
            found.append(message)
    return tuple(found)
