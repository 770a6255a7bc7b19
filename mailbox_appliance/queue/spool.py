"""The queue on disk: one file for each message's content, one SQLite file for who is still to get it.

    STATE/queue/queue.db          envelopes and the state of each recipient (WAL, synchronous FULL)
    STATE/queue/content/TRACE.N   header and body, LF line ends, without Return-Path

Entering is part of the commit round: file synced, directory synced, rows committed, 250. Files without rows were never
accepted, and are swept at the start; rows without a file are a loss, told loudly and to the sender.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import field
from typing import Any, TypeVar

from mailbox_appliance.database import Database
from mailbox_appliance.journal.events.queue import ContentKeptApart, LeftoverRemoved
from mailbox_appliance.mail.address import Address, AddressError, show_reverse_path
from mailbox_appliance.mail.client import Origin
from mailbox_appliance.mail.envelope import Envelope, Recipient
from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.rounds import Commit, Rounds, Write
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.queue import outgoing, own, schema
from mailbox_appliance.queue.schedule import DAY
from mailbox_appliance.queue.schema import MessageRow, RecipientRow
from mailbox_appliance.rounds.share import RowsOf

T = TypeVar("T")

# A body up to this size (octets) is read into memory for its delivery; a larger one is read piece by piece.
MOST_IN_MEMORY = 65536


class ContentGone(Exception):
    """The file of a queued message is not what it was; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """``folder`` is STATE/queue; ``give_up`` in seconds; ``patience`` the same for mail of certain origins.

    ``keep_failed``: accounts see in their Outbox what failed.
    """

    folder: str
    give_up: float = 5 * DAY
    keep_failed: bool = False
    patience: Mapping[Origin, float] = field(default_factory=dict)


class QueueSpool:
    """Fills ``ports.queue.Spool``; the rest of the station reads and writes the queue through it."""

    def __init__(
        self, settings: SpoolSettings, workers: Workers, rounds: Rounds, clock: Clock, journal: Journal
    ) -> None:
        self.database = Database(os.path.join(settings.folder, "queue.db"), schema.MIGRATIONS, workers)
        self.keeps_failed = settings.keep_failed
        self.give_up = settings.give_up
        self._settings = settings
        self._content = os.path.join(settings.folder, "content")
        self._workers = workers
        self._rounds = rounds
        self._clock = clock
        self._journal = journal
        self._numbers = itertools.count()
        self._on_entry: Callable[[], None] = lambda: None
        self._on_change: list[Callable[[str], None]] = []

    # ------------------------------------------------------------ entering

    def prepare(self, trace: str, origin: Origin, account: str, envelope: Envelope, content: Content) -> Commit:
        """The file and rows that put ``envelope``'s recipients into the queue. Pure: nothing is done yet."""
        # One message may enter twice under one trace id (as it is, and forwarded), so a number is added.
        name = f"{trace}.{next(self._numbers)}"
        now = self._clock.seconds()
        begins = max(now, envelope.hold_until)
        message = (
            name,
            trace,
            origin.value,
            account,
            "" if envelope.reverse_path is None else _stored(envelope.reverse_path),
            now,
            begins + self._settings.patience.get(origin, self._settings.give_up),
            len(content.header),
            content.body_size,
            content.lines,
            envelope.eight_bit,
            envelope.smtputf8,
            envelope.require_tls,
            envelope.ret,
            envelope.envid,
        )
        recipients = [(*_stored_recipient(r), begins, ",".join(sorted(r.marks))) for r in envelope.recipients]

        def enter(connection: sqlite3.Connection) -> None:
            number = schema.add_message(connection, message, recipients)
            if origin is Origin.AUTHENTICATED and account:
                own.show(connection, account, number, now)
                paths = [recipient.forward_path for recipient in envelope.recipients]
                outgoing.count(connection, account, outgoing.day_of(now), paths)

        write = Write(content, os.path.join(self._content, name), (), keep_first=True)
        return Commit((write,), (RowsOf(self.database, enter),))

    def entered(self, trace: str) -> None:
        """The round with that entry is durable: it may be sent from now on."""
        self._on_entry()
        self.changed("")

    def on_entry(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever something has entered."""
        self._on_entry = listener

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the account whose mail waits, has left or has failed; '' is anybody's."""
        self._on_change.append(listener)

    def changed(self, account: str) -> None:
        """What waits for an account is not what it was."""
        for listener in self._on_change:
            listener(account)

    # ------------------------------------------------------------ for the rest of the station

    def run(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """One transaction of its own; for reading, and for what an operator does."""
        return self.database.run(work)

    async def record(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """One piece of work in the next commit round, together with everybody else's. Raises DiskTrouble."""
        result: list[T] = []

        def keep(connection: Any) -> None:
            # A round may run it a second time, after a neighbour's fault has rolled the first back.
            result[:] = [work(connection)]

        await self._rounds.commit(Commit(rows=(RowsOf(self.database, keep),)))
        return result[0]

    async def read(self, message: MessageRow, *, whole: int = MOST_IN_MEMORY) -> Content:
        """The content; a body of more than ``whole`` octets stays in its file. Raises ContentGone."""
        path = os.path.join(self._content, message.file)
        return await self._workers.run("disk", _read, path, message, whole)

    def path_of(self, file: str) -> str:
        """Where the content of a message is."""
        return os.path.join(self._content, file)

    async def discard(self, files: Iterable[str]) -> None:
        """Remove the files of messages that have no rows any more; what stays is swept at the next start."""
        paths = [os.path.join(self._content, name) for name in files]
        if paths:
            await self._workers.run("disk", _unlink_all, paths)

    async def open(self) -> None:
        """Make the folders, open the database, sweep what a crash has left. Raises OSError, DatabaseTrouble."""
        await self._workers.run("disk", _make_folders, self._settings.folder, self._content)
        if not await self._workers.run("disk", os.path.exists, self.database.path):
            apart = f"{self._content}.kept-{int(self._clock.seconds())}"
            kept = await self._workers.run("disk", _keep_apart, self._content, apart)
            if kept:
                self._journal.tell(ContentKeptApart(folder=apart, files=kept))

        def rows(connection: sqlite3.Connection) -> list[tuple[int, str, int]]:
            own.forget_old(connection, self._clock.seconds())
            schema.remove_empty_messages(connection)
            return schema.all_files(connection)

        known = {name for _, name, _ in await self.database.run(rows)}
        removed = await self._workers.run("disk", _sweep, self._content, known)
        if removed:
            self._journal.tell(LeftoverRemoved(files=removed))

    def close(self) -> None:
        """Close the database, after the rounds are quiet."""
        self.database.close()


def envelope_of(message: MessageRow, recipients: Iterable[RecipientRow]) -> Envelope:
    """The envelope for these recipients of a message."""
    return Envelope(
        _address(message.reverse_path) if message.reverse_path else None,
        tuple(recipient_of(row) for row in recipients),
        eight_bit=bool(message.eight_bit),
        smtputf8=bool(message.smtputf8),
        ret=message.ret,
        envid=message.envid,
        require_tls=bool(message.require_tls),
    )


def recipient_of(row: RecipientRow) -> Recipient:
    """The recipient as it was given."""
    notify = frozenset(row.notify.split(",")) if row.notify else frozenset[str]()
    marks = frozenset(row.marks.split(",")) if row.marks else frozenset[str]()
    return Recipient(Address(row.local, row.domain), notify, row.original, marks)


def sender_of(message: MessageRow) -> str:
    """The reverse path for journals."""
    return show_reverse_path(_address(message.reverse_path) if message.reverse_path else None)


def _stored_recipient(recipient: Recipient) -> tuple[str, str, str, str]:
    path = recipient.forward_path
    return path.local, path.domain, ",".join(sorted(recipient.notify)), recipient.original


def _stored(address: Address) -> str:
    return f"{address.local}@{address.domain}"


def _address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    try:
        return Address.of(local, domain)
    except AddressError:
        # A row that another program wrote; it can be shown, and delivered nowhere.
        return Address(local, domain)


def _make_folders(folder: str, content: str) -> None:
    for path in (folder, content):
        os.makedirs(path, 0o700, exist_ok=True)


def _read(path: str, message: MessageRow, whole: int) -> Content:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != message.header_size + message.body_size:
                raise ContentGone(f"it has {size} octets, not {message.header_size + message.body_size}")
            header = file.read(message.header_size)
            if message.body_size <= whole:
                return Content(header, file.read(message.body_size), message.lines)
    except OSError as error:
        raise ContentGone(error.strerror or str(error)) from None
    return Content(header, SpooledBody(path, message.header_size, message.body_size), message.lines)


def _keep_apart(content: str, apart: str) -> int:
    """Without a database nothing tells a leftover from accepted mail: nothing is swept then."""
    kept = len(os.listdir(content))
    if kept:
        os.rename(content, apart)
        os.mkdir(content, 0o700)
    return kept


def _sweep(folder: str, known: set[str]) -> int:
    removed = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in known:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
                    removed += 1
    return removed


def _unlink_all(paths: list[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
