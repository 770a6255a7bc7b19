"""CATENATE's URLs (RFC 4469): octets of messages that are here already, into a new one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mailbox_appliance.imap.extent import READ, extent_of
from mailbox_appliance.imap.session import Session
from mailbox_appliance.imap.table import Refused
from mailbox_appliance.ports.store import Mailbox, MessageFile, StoreError
from mailbox_appliance.wire.imap.strings import string
from mailbox_appliance.wire.imap.url import MessageUrl, read_url

Sink = Callable[[bytes], Awaitable[None]]


class _Passerby:
    """Watches a mailbox for as long as one message is read out of it."""

    def arrived(self, count: int) -> None: ...

    def expunged(self, uids: Sequence[int], modseq: int) -> None: ...

    def flags_changed(self, uids: Sequence[int], modseq: int, by: object) -> None: ...

    def keywords_changed(self) -> None: ...

    def vanished(self, text: str) -> None: ...


async def pour(session: Session, url: bytes, sink: Sink) -> None:
    """What ``url`` names, into ``sink``. Raises Refused (BADURL)."""
    wanted = read_url(url)
    if wanted is None or (not wanted.mailbox and session.selected is None):
        raise _bad(url)
    if not wanted.mailbox:
        await _pour_from(session.box.mailbox, wanted, url, sink)
        return
    watcher = _Passerby()
    try:
        mailbox = await session.store.open(wanted.mailbox, watcher, read_only=True)
    except StoreError:
        raise _bad(url) from None
    try:
        await _pour_from(mailbox, wanted, url, sink)
    finally:
        mailbox.release(watcher)


async def _pour_from(mailbox: Mailbox, wanted: MessageUrl, url: bytes, sink: Sink) -> None:
    if wanted.uidvalidity not in (0, mailbox.uidvalidity):
        raise _bad(url)
    async for files in mailbox.files([wanted.uid]):
        try:
            for file in files:
                await _pour_file(file, wanted, url, sink)
                return
        finally:
            for file in files:
                file.close()
    raise _bad(url)


async def _pour_file(file: MessageFile, wanted: MessageUrl, url: bytes, sink: Sink) -> None:
    extent = await extent_of(file, wanted.section)
    if extent is None:
        raise _bad(url)
    if isinstance(extent, bytes):
        await sink(extent)
        return
    start, end = extent
    while start < end:
        octets = await file.read(start, min(READ, end - start))
        if not octets:
            raise _bad(url)
        await sink(octets)
        start += len(octets)


def _bad(url: bytes) -> Refused:
    return Refused("The URL names no message that is here.", b"BADURL " + string(url[:1000]))
