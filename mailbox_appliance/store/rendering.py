"""What IMAP asks of every message, made once: when the message comes, or when somebody asks first.

A *kind* is a named column of rendered octets: "envelope", "bodystructure", "body", "preview", "emailid", a list of
header fields ("fields:cc,date,…", "but:received"), or the casemapped text of a field for searching ("text:subject").
Each has a table of its own in the index. Kinds are made for old messages when they are asked for, newest first for new
ones as soon as the service is idle.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mailbox_appliance.mail.header import header_end
from mailbox_appliance.mail.text import casemap, field_texts
from mailbox_appliance.ports.store import Column, Fields
from mailbox_appliance.store import index
from mailbox_appliance.store.files import batches, open_again, read_files
from mailbox_appliance.store.paths import Folder
from mailbox_appliance.wire.imap.render import filter_header, prerender, render_envelope

if TYPE_CHECKING:
    from mailbox_appliance.store.mailbox import OpenMailbox

HEAD = 16 * 1024  # octets read first where only the header matters
LARGEST_HEAD = 1024 * 1024
IN_REACTOR = 512 * 1024  # a larger message is rendered in a worker
WHOLE = frozenset({"envelope", "bodystructure", "body", "preview", "emailid"})  # made together, of the whole message
NEEDS_BODY = WHOLE - {"envelope"}
ALWAYS = ("envelope", "bodystructure", "text:from", "text:subject", "text:to", "text:cc")
SEARCHED = frozenset({"from", "to", "cc", "subject"})
MOST_NAMES = 2000  # characters of a kind's name; a longer list of fields is not kept

Values = dict[str, dict[int, bytes]]


def kind_of(column: Column | Fields) -> str | None:
    """The kind's name, or None when the arrays have the answer."""
    if isinstance(column, Fields):
        names = sorted(set(column.names))
        return ("but:" if column.exclude else "fields:") + ",".join(names)
    if column in (Column.INTERNALDATE, Column.SIZE, Column.SAVEDATE):
        return None
    return str(column.value)


def _of_header(kind: str, header: bytes) -> bytes:
    sort, _, rest = kind.partition(":")
    if sort == "text":
        return "\n".join(map(casemap, field_texts(header, rest))).encode("utf-8", "surrogatepass")
    if sort in ("fields", "but"):
        return filter_header(header, tuple(rest.split(",")) if rest else (), sort == "but")
    return render_envelope(header)


def render_one(octets: bytes | mmap.mmap, kinds: Sequence[str]) -> dict[str, bytes]:
    """The values of ``kinds`` for one message (LF or CRLF line ends)."""
    values: dict[str, bytes] = {}
    if not NEEDS_BODY.isdisjoint(kinds):
        whole = prerender(octets)
        made = {
            "envelope": whole.envelope,
            "bodystructure": whole.bodystructure,
            "body": whole.body,
            "preview": whole.preview,
        }
        values = {kind: made[kind] for kind in kinds if kind in made}
        if "emailid" in kinds:
            values["emailid"] = b"M" + hashlib.blake2b(octets, digest_size=12).hexdigest().encode()
    header: bytes | None = None
    for kind in kinds:
        if kind not in values:
            if header is None:
                header = octets[: min(header_end(octets), LARGEST_HEAD)]
            values[kind] = _of_header(kind, header)
    return values


def _render_file(store: index.Index, folder: Folder, number: int, uid: int, kinds: Sequence[str]) -> dict[str, bytes]:
    """A large message, in a worker, without holding it in memory."""
    rows = store.now(lambda connection: index.files_of(connection, number, [uid]))
    fd = open_again(folder, bool(rows[0][2]), rows[0][1]) if rows else None
    if fd is None:
        return {}
    try:
        with contextlib.closing(mmap.mmap(fd, 0, access=mmap.ACCESS_READ)) as octets:
            return render_one(octets, kinds)
    finally:
        os.close(fd)


async def register(box: OpenMailbox, kinds: Iterable[str]) -> dict[str, int]:
    """Table numbers of kinds, made where they are new."""
    account = box.account
    wanted = [kind for kind in kinds if len(kind) <= MOST_NAMES]
    if any(kind not in account.kinds for kind in wanted):
        moment, most = int(account.clock.seconds()), account.settings.most_kinds

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            for kind in wanted:
                index.make_kind(connection, kind, moment, most)
            return index.kinds(connection)

        account.kinds = await account.run(work)
    return {kind: account.kinds[kind] for kind in wanted if kind in account.kinds}


async def make(box: OpenMailbox, uids: Sequence[int], kinds: Sequence[str], *, keep: bool = True) -> Values:
    """Render ``kinds`` of ``uids`` (sorted) out of their files; kept in the index too. Gone messages are left out."""
    account = box.account
    values: Values = {kind: {} for kind in kinds}
    whole = not NEEDS_BODY.isdisjoint(kinds)
    slices = box.slices()
    limits = {} if whole else {"octets": 1 << 40, "messages": 200}
    for batch in batches(box, uids, **limits):
        if whole and len(batch) == 1 and box.sizes[box.position(batch[0])] > IN_REACTOR:
            one = await account.disk(_render_file, account.index, box.folder, box.number, batch[0], kinds)
            for kind, value in one.items():
                values[kind][batch[0]] = value
            continue
        found, missing = await account.disk(
            read_files, account.index, box.folder, box.number, batch, {}, IN_REACTOR * 2 if whole else HEAD
        )
        if missing and whole:
            box.look_again_in(0.2)
        slices.begin()
        for read in found:
            octets = read.octets
            if not whole and len(octets) == HEAD and header_end(octets) == HEAD:
                octets = await longer_head(box, read.uid)
                slices.begin()
            for kind, value in render_one(octets, kinds).items():
                values[kind][read.uid] = value
            if slices.spent():
                await slices.breathe()
    if keep:
        await save(box, values)
    return values


async def longer_head(box: OpenMailbox, uid: int) -> bytes:
    """A header that is longer than most."""
    found, _ = await box.account.disk(read_files, box.account.index, box.folder, box.number, [uid], {}, LARGEST_HEAD)
    return found[0].octets if found else b"\r\n"


async def save(box: OpenMailbox, values: Values) -> None:
    """Write rendered octets into the index."""
    numbers = await register(box, values)
    number = box.number

    def work(connection: sqlite3.Connection) -> None:
        for kind, table in numbers.items():
            index.save_rendered(connection, number, table, values[kind].items())

    if any(values.values()):
        await box.account.run(work)


async def prerender_some(box: OpenMailbox, most: int) -> int:
    """Render what the newest messages still lack; returns how many were looked at (0: nothing is missing)."""
    tables = await register(box, ALWAYS)
    tables = {kind: n for kind, n in box.account.kinds.items() if kind in tables or kind.startswith(("fields", "but"))}
    number = box.number

    def work(connection: sqlite3.Connection) -> dict[str, list[int]]:
        return {kind: index.unrendered(connection, number, table, most) for kind, table in tables.items()}

    lacking = await box.account.run(work)
    newest = sorted({uid for uids in lacking.values() for uid in uids}, reverse=True)[:most]
    if not newest:
        return 0
    wanted = [kind for kind, uids in lacking.items() if not set(newest).isdisjoint(uids)]
    await make(box, sorted(newest), wanted)
    return len(newest)
