"""Where a section of a message lies among its octets (RFC 3501 §6.4.5)."""

from __future__ import annotations

from mailbox_appliance.ports.store import MessageFile
from mailbox_appliance.wire.imap.commands import Section
from mailbox_appliance.wire.imap.render import filter_header, section

READ = 131_072  # octets asked for at once
LONGEST_HEADER = 1_048_576


async def extent_of(file: MessageFile, wanted: Section) -> tuple[int, int] | bytes | None:
    """Where a section's octets lie; the octets themselves for header fields of a part; None for NIL."""
    if wanted.whole:
        start, end = 0, file.size
    else:
        what = "HEADER" if wanted.text.startswith("HEADER") else wanted.text
        found = section(await file.structure(), wanted.part, what)
        if found is None:
            return None
        start, end = found
        if wanted.text.startswith("HEADER.FIELDS"):
            header = await file.read(start, min(end - start, LONGEST_HEADER))
            octets = filter_header(header, wanted.fields, wanted.text.endswith("NOT"))
            if wanted.partial is not None:
                octets = octets[wanted.partial[0] : wanted.partial[0] + wanted.partial[1]]
            return octets
    if wanted.partial is not None:
        start = min(start + wanted.partial[0], end)
        end = min(start + wanted.partial[1], end)
    return start, end
