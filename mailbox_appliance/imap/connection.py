"""What lies between a session and its socket: octets as they come in, the wait for more of them, time-outs and the end.

Nothing of IMAP but the reader of its commands and COMPRESS (RFC 4978) is known here.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mailbox_appliance.imap.compression import Compression
from mailbox_appliance.imap.deflate import BadStream
from mailbox_appliance.imap.house import Ended, House
from mailbox_appliance.imap.outlet import ConnectionGone, Outlet
from mailbox_appliance.mail.address import Address
from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.sockets import acknowledge
from mailbox_appliance.wire.imap.server import LineTooLong, Reader

BUFFERED = 131_072  # octets that may wait unread before we stop taking more


class Connection:
    """One connection. ``account`` is who has logged in: until then time is short."""

    __slots__ = (
        "__weakref__",
        "_compression",
        "_reading_paused",
        "_stranger_since",
        "_timer",
        "_transport",
        "_waiting",
        "_written",
        "account",
        "cancellable",
        "closing",
        "house",
        "outlet",
        "reader",
    )

    def __init__(self, house: House, transport: Any) -> None:
        self.house = house
        self._transport = transport
        self.outlet = Outlet(transport, house.clock)
        self.reader = Reader(house.settings.before_login)
        self.account: Address | None = None
        self.closing: Ended | None = None
        self._waiting: Deferred[None] | None = None
        self.cancellable: Deferred[Any] | None = None  # work that ends when the peer goes (imap.patience)
        self._reading_paused = False
        self._written = 0
        self._stranger_since = house.clock.seconds()
        self._timer: Timer | None = None
        self._compression: Compression | None = None

    # ------------------------------------------------------------ the listener's side

    def received(self, octets: bytes) -> None:
        """The peer sent something."""
        self.touch()
        if self._compression is None:
            self.reader.feed(octets)
        else:
            self._hear(self._compression, octets)
        if self._waiting is None and self.reader.buffered > BUFFERED and not self._reading_paused:
            self._reading_paused = True
            self._transport.pauseProducing()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _hear(self, compression: Compression, octets: bytes) -> None:
        try:
            compression.hear(octets)
        except BadStream:
            self.end(Ended("abuse", "The compressed stream is broken."))

    def lost(self) -> None:
        """The connection is gone."""
        self.end(Ended("closed"))
        self.outlet.close()
        if self.cancellable is not None:
            self.cancellable.cancel()

    def end(self, reason: Ended) -> None:
        """Make the conversation end as soon as its current command is done (drain, time-outs)."""
        if self.closing is None:
            self.closing = reason
        self.wake()

    def touch(self) -> None:
        """The peer lives: the wait for it begins anew; but a log-in is waited for once, whatever is said meanwhile."""
        settings = self.house.settings
        stranger = self.account is None
        limit = settings.login_timeout if stranger else settings.idle_timeout
        seconds = max(self._stranger_since + limit - self.house.clock.seconds(), 0.0) if stranger else limit
        if not limit:
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
        elif self._timer is not None and self._timer.active():
            self._timer.reset(seconds)
        elif not self.outlet.closed:
            self._timer = self.house.clock.callLater(seconds, self._silent)

    def _silent(self) -> None:
        """The peer has said nothing for too long, and read nothing either."""
        if self._waiting is None and self.outlet.written != self._written:
            self._written = self.outlet.written
            self.touch()  # a long answer, slowly read
            return
        reason = "login timeout" if self.account is None else "idle"
        self.closing = self.closing or Ended(reason, "You were idle for too long.")
        if self._waiting is None:  # in the middle of a command: it does not read what we say
            self._transport.abortConnection()
        self.wake()

    def wake(self) -> None:
        """There is something to look at: news of the mailbox, or the end."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            # In a turn of its own: the store must not find itself in our code in the middle of its own.
            self.house.clock.callLater(0, waiting.callback, None)

    # ------------------------------------------------------------ waiting

    async def more(self, *, hurry: bool = False) -> None:
        """Write what was said and wait for the peer, or for news. Raises ConnectionGone, Ended.

        ``hurry``: the peer is in the middle of a command, and may wait until we acknowledge what has come of it.
        """
        self.outlet.flush()
        if hurry:
            acknowledge(self._transport)
        if self.closing is None:
            if self._compression is not None and self._compression.has_more:
                self._hear(self._compression, b"")
                await self.outlet.room()
                return
            if self._reading_paused and self.reader.buffered <= BUFFERED:
                self._reading_paused = False
                self._transport.resumeProducing()
            self._waiting = Deferred()
            await self._waiting
        self.outlet.begin()
        if self.outlet.closed:
            raise ConnectionGone
        if self.closing is not None:
            raise self.closing
        self.check()

    async def line(self, most: int = 12_288) -> bytes | None:
        """The next line, when the peer is asked for one (SASL); None when it is too long. Raises as ``more``."""
        while True:
            try:
                line = self.reader.line(most)
            except LineTooLong:
                return None
            if line is not None:
                return line
            await self.more()

    async def room(self) -> None:
        """See Outlet.room."""
        await self.outlet.room()

    def check(self) -> None:
        """Raises Ended when there is nothing left to wait for."""

    # ------------------------------------------------------------ compression

    @property
    def compressed(self) -> bool:
        """Is COMPRESS on?"""
        return self._compression is not None

    def compress(self) -> None:
        """From now on both directions are compressed (RFC 4978)."""
        self._compression = Compression(self.house.clock, self.reader, self.outlet, BUFFERED)
        self._hear(self._compression, self.reader.take_rest())

    def rest(self) -> None:
        """The client idles: keep no window for it."""
        if self._compression is not None:
            self._compression.rest()

    # ------------------------------------------------------------ the end

    def abort(self) -> None:
        """Close at once: a response was broken off."""
        self.outlet.flush()
        self._transport.abortConnection()

    def _say_the_last(self) -> bool:
        """Write what is still to be said; True when the connection was gone before."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        gone = self.outlet.closed
        self.outlet.flush()
        if self._compression is not None:
            self._compression.stop()
        self.outlet.close()
        return gone

    def _hang_up(self) -> None:
        self._transport.unregisterProducer()
        if self._reading_paused:
            self._transport.resumeProducing()
        self._transport.loseConnection()
