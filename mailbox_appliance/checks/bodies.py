"""Hashing a body as signatures want it: from memory or from its spool file, in slices, never whole in memory twice."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mailauth.canonical import BodyDigest, BodyHash
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.slices import Slices

PIECE = 64 * 1024  # hashed at a time: some 0.3 ms
READ = 512 * 1024  # read at a time


def _read(path: str, offset: int, length: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)


async def digests(
    content: Content, canonicalizations: Iterable[str], workers: Workers, clock: Clock
) -> dict[str, BodyDigest]:
    """The body's digest for each canonicalization. Raises OSError and Busy."""
    hashes = {form: BodyHash(form) for form in canonicalizations}
    body = content.body
    if not hashes:
        return {}
    slices = Slices(clock)
    if isinstance(body, SpooledBody):
        done = 0
        while done < body.length:
            length = min(READ, body.length - done)
            octets = await workers.run("disk", _read, body.path, body.offset + done, length)
            if not octets:
                raise OSError(f"{body.path} is shorter than it should be")
            done += len(octets)
            slices.begin()
            await _take(octets, hashes, slices)
    else:
        await _take(body, hashes, slices)
    return {form: one.finish() for form, one in hashes.items()}


async def _take(octets: bytes, hashes: dict[str, BodyHash], slices: Slices) -> None:
    for at in range(0, len(octets), PIECE):
        piece = octets[at : at + PIECE] if len(octets) > PIECE else octets
        for one in hashes.values():
            one.update(piece)
        if slices.spent():
            await slices.breathe()
