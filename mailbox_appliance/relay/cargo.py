"""A message's octets on their way from memory or spool file into a connection, in slices that memory can spare."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator

from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.relay import Shipment
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.wire.smtp.client_events import Transaction

SLICE = 131_072


class CargoLost(Exception):
    """The spool file is gone, shorter than it was, or cannot be read; ``str()`` says which."""


async def slices(content: Content, workers: Workers) -> AsyncIterator[bytes]:
    """The content's octets (LF line ends) in pieces of bounded size. Raises CargoLost."""
    body = content.body
    if isinstance(body, bytes):
        if len(content.header) + len(body) <= 2 * SLICE:
            yield content.header + body
            return
        yield content.header
        for start in range(0, len(body), SLICE):
            yield body[start : start + SLICE]
        return
    yield content.header
    file = _SpoolFile(body)
    try:
        done = 0
        while done < body.length:
            try:
                piece = await workers.run("disk", file.read, done)
            except OSError as error:
                raise CargoLost(f"{body.path}: {error.strerror}") from None
            if not piece:
                raise CargoLost(f"{body.path}: {body.length - done} octets are missing at its end")
            done += len(piece)
            yield piece
    finally:
        file.close()


class _SpoolFile:
    """Read by workers, closed by the reactor, also when it gives up while a worker still reads."""

    def __init__(self, body: SpooledBody) -> None:
        self._body = body
        self._lock = threading.Lock()
        self._descriptor = -1
        self._closed = False

    def read(self, done: int) -> bytes:
        body = self._body
        with self._lock:
            if self._closed:
                return b""
            if self._descriptor < 0:
                self._descriptor = os.open(body.path, os.O_RDONLY | os.O_CLOEXEC)
            piece = os.pread(self._descriptor, min(SLICE, body.length - done), body.offset + done)
        if self._closed:
            self._close_now()
        return piece

    def close(self) -> None:
        self._closed = True
        self._close_now()

    def _close_now(self) -> None:
        # Never waits: whoever holds the lock sees the mark and closes.
        if self._lock.acquire(blocking=False):
            try:
                if self._descriptor >= 0:
                    os.close(self._descriptor)
                    self._descriptor = -1
            finally:
                self._lock.release()


def as_transaction(shipment: Shipment) -> Transaction:
    """What the client core must know of the message. A spooled body counts as 8-bit: looking would cost a read."""
    content = shipment.content
    body_is_ascii = isinstance(content.body, bytes) and content.body.isascii()
    header_is_ascii = content.header.isascii()
    eight_bit = shipment.envelope.eight_bit or not (header_is_ascii and body_is_ascii)
    return Transaction(shipment.envelope, content.wire_size, eight_bit, header_is_ascii)
