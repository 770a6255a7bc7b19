"""GETMETADATA, SETMETADATA and LIST-METADATA (RFC 5464, RFC 9590): small notes that clients keep beside mailboxes."""

from __future__ import annotations

from collections.abc import Mapping

from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import LOGGED_IN, Done, Refused, Row
from mailbox_appliance.ports.store import MOST_METADATA, Problem, StoreError
from mailbox_appliance.wire.imap import commands
from mailbox_appliance.wire.imap.metadata import get_metadata, metadata_line, set_metadata


def _chosen(held: Mapping[str, bytes], command: commands.GetMetadata) -> list[tuple[str, bytes]]:
    """The entries asked for and, as deep as was asked, those below them."""
    found = []
    for name, value in sorted(held.items()):
        for asked in command.entries:
            if name == asked:
                break
            if command.depth != 0 and name.startswith(asked + "/"):
                if command.depth is None or "/" not in name[len(asked) + 1 :]:
                    break
        else:
            continue
        found.append((name, value))
    return found


async def _check(session: Session, mailbox: str) -> None:
    """The empty name is the server. Raises StoreError."""
    if mailbox:
        await session.store.status(mailbox, sized=False)


async def get(session: Session, command: commands.GetMetadata) -> Done:
    """Say what is kept; values above MAXSIZE are passed over, and the longest of them is told."""
    await _check(session, command.mailbox)
    found = _chosen(await session.store.metadata(command.mailbox), command)
    longest = 0
    told: list[tuple[str, bytes | None]] = []
    for name, value in found:
        if command.most is not None and len(value) > command.most:
            longest = max(longest, len(value))
        else:
            told.append((name, value))
    if told:
        session.say(metadata_line(session.name(command.mailbox) if command.mailbox else b'""', told))
    return Done("Done.", b"METADATA LONGENTRIES %d" % longest if longest else b"")


async def put(session: Session, command: commands.SetMetadata) -> Done:
    """Keep, change, take away."""
    await _check(session, command.mailbox)
    if any(len(value or b"") > MOST_METADATA for _, value in command.entries):
        raise Refused("A value is too long.", b"METADATA MAXSIZE %d" % MOST_METADATA)
    try:
        await session.store.set_metadata(command.mailbox, dict(command.entries))
    except StoreError as error:
        if error.problem is Problem.LIMIT:
            raise Refused(str(error), b"METADATA TOOMANY") from None
        raise
    return Done("Done.")


async def line_for_list(session: Session, mailbox: str, entries: tuple[str, ...]) -> bytes:
    """For LIST RETURN (METADATA …): what there is not is NIL (RFC 9590 §3)."""
    held = await session.store.metadata(mailbox)
    return metadata_line(session.name(mailbox), [(entry, held.get(entry)) for entry in entries])


ROWS = (
    Row("GETMETADATA", LOGGED_IN, get_metadata, get),
    Row("SETMETADATA", LOGGED_IN, set_metadata, put),
)
