"""What a session says, on its way to the transport: gathered into large writes, held back while the peer does not read.

The outlet is the transport's push producer. What it holds is bounded because whoever says much awaits ``room`` often:
it waits while the transport is full, and it lets other sessions have the reactor every two milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.slices import Slices
from mailbox_appliance.sockets import say

WRITE = 65_536


class ConnectionGone(Exception):
    """The peer has left: stop working for it."""


@implementer(IPushProducer)
class Outlet:
    """The way out of one session."""

    __slots__ = (
        "__weakref__",
        "_parts",
        "_paused",
        "_resumed",
        "_size",
        "_slices",
        "_transport",
        "closed",
        "squeeze",
        "written",
    )

    def __init__(self, transport: Any, clock: Clock) -> None:
        self._transport = transport
        self._slices = Slices(clock)
        self._parts: list[bytes] = []
        self._size = 0
        self._paused = False
        self._resumed: Deferred[None] | None = None
        self.closed = False
        self.squeeze: Callable[[bytes], bytes] | None = None  # COMPRESS
        self.written = 0  # octets given to the transport

    def begin(self) -> None:
        """The session wakes: a new slice of time begins."""
        self._slices.begin()

    def say(self, octets: bytes) -> None:
        """Say it with the next write."""
        self._parts.append(octets)
        self._size += len(octets)

    def flush(self) -> None:
        """Write what was said."""
        if self._parts:
            octets = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self.written += len(octets)
            if not self.closed:
                say(self._transport, octets if self.squeeze is None else self.squeeze(octets))

    async def room(self) -> None:
        """Come back when there is room to say more and the others had their turn. Raises ConnectionGone."""
        if self._size >= WRITE:
            self.flush()
        while self._paused and not self.closed:
            self._resumed = Deferred()
            await self._resumed
            self._slices.begin()
        if self._slices.spent():
            self.flush()
            await self._slices.breathe()
        if self.closed:
            raise ConnectionGone

    async def apart(self) -> None:
        """What was said goes into a packet of its own. Raises ConnectionGone."""
        self.flush()
        await self._slices.turn()
        if self.closed:
            raise ConnectionGone

    def close(self) -> None:
        """The connection is gone: nothing more is written, and who waits for room learns of it."""
        self.closed = True
        self._parts.clear()
        self._wake()

    def _wake(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    # ------------------------------------------------------------ IPushProducer

    def pauseProducing(self) -> None:
        """The transport is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport takes more."""
        self._paused = False
        self._wake()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.close()
