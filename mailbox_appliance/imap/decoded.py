"""BINARY and BINARY.SIZE (RFC 3516): a part's contents out of their transfer encoding.

How long they are and whether they hold NUL is known only at their end, so a large part is decoded twice: once to
measure it, once while it is said.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from mailbox_appliance.imap.extent import READ
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Refused
from mailbox_appliance.mail.mime import Part
from mailbox_appliance.ports.store import MessageFile
from mailbox_appliance.wire.imap.binary import IDENTITY, KNOWN, Decoder, literal8
from mailbox_appliance.wire.imap.commands import Section
from mailbox_appliance.wire.imap.render import part_at, section

SMALL = READ  # octets of a part that is decoded once and held


async def say_decoded(session: Session, file: MessageFile, wanted: Section, said: list[bytes]) -> list[bytes] | None:
    """The value of ``wanted`` behind ``said``, which is still held back; None when all of it went out already.

    Raises Refused (UNKNOWN-CTE).
    """
    structure = await file.structure()
    part = part_at(structure, wanted.part)
    if part is None:
        return [*said, b" 0" if wanted.size_only else b" NIL"]
    plain = _is_plain(part, wanted)
    if part.encoding not in KNOWN and not plain:
        raise Refused("A part has an encoding that is not known here.", b"UNKNOWN-CTE")
    extent = section(structure, wanted.part) or (part.body, part.end)
    encoding = "" if plain else part.encoding
    if extent[1] - extent[0] <= SMALL:
        octets = b"".join([piece async for piece in _pieces(file, extent, encoding)])
        if wanted.size_only:
            return [*said, b" %d" % len(octets)]
        if wanted.partial is not None:
            octets = octets[wanted.partial[0] : wanted.partial[0] + wanted.partial[1]]
        return [*said, b" ", literal8(octets)]
    size, has_nul = 0, False
    async for piece in _pieces(file, extent, encoding):
        has_nul = has_nul or b"\0" in piece
        size += len(piece)
        await session.room()
    if wanted.size_only:
        return [*said, b" %d" % size]
    start, end = 0, size
    if wanted.partial is not None:
        start = min(wanted.partial[0], size)
        end = min(start + wanted.partial[1], size)
    session.say(b"".join(said))
    session.say(b" %b{%d}\r\n" % (b"~" if has_nul else b"", end - start))
    session.spoilt = True
    at = 0
    async for piece in _pieces(file, extent, encoding):
        session.say(piece[max(start - at, 0) : max(end - at, 0)])
        at += len(piece)
        await session.room()
    if at != size:
        raise Refused("A message has changed on disk.")
    session.spoilt = False
    return None


def _is_plain(part: Part, wanted: Section) -> bool:
    """The whole message, and what is made of other parts, has no encoding of its own (RFC 2045 §6.4)."""
    return not wanted.part or part.type == "multipart" or bool(part.children) or part.encoding in IDENTITY


async def _pieces(file: MessageFile, extent: tuple[int, int], encoding: str) -> AsyncIterator[bytes]:
    decoder = Decoder(encoding)
    start, end = extent
    while start < end:
        octets = await file.read(start, min(READ, end - start))
        if not octets:
            raise Refused("A message has changed on disk, try again.", b"EXPUNGEISSUED")
        start += len(octets)
        yield decoder.take(octets, last=start == end)
