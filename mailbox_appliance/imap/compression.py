"""COMPRESS of one session: what comes is inflated for the reader as it has room, what goes is deflated (RFC 4978)."""

from __future__ import annotations

from mailbox_appliance.imap.deflate import Deflate
from mailbox_appliance.imap.outlet import Outlet
from mailbox_appliance.ports.clock import Clock, Timer
from mailbox_appliance.wire.imap.server import Reader

RESTS_AFTER = 5.0  # seconds without a word, then the compressor forgets what was said


class Compression:
    """From its making on both directions are compressed. ``most``: octets that may wait in the reader."""

    __slots__ = ("_clock", "_deflate", "_most", "_outlet", "_reader", "_resting")

    def __init__(self, clock: Clock, reader: Reader, outlet: Outlet, most: int) -> None:
        self._clock = clock
        self._reader = reader
        self._outlet = outlet
        self._most = most
        self._deflate = Deflate()
        self._resting: Timer | None = None
        outlet.flush()
        outlet.squeeze = self._squeeze

    def hear(self, octets: bytes) -> None:
        """Compressed octets of the peer, or none: inflate as far as there is room. Raises BadStream."""
        self._deflate.hear(octets)
        while self._deflate.has_more and self._reader.buffered <= self._most:
            self._reader.feed(self._deflate.inflate())

    @property
    def has_more(self) -> bool:
        """Does something wait for room?"""
        return self._deflate.has_more

    def rest(self) -> None:
        """The client idles: keep no window for it."""
        self._outlet.flush()
        self._deflate.rest()

    @property
    def resting(self) -> bool:
        """Is no window kept?"""
        return self._deflate.resting

    def stop(self) -> None:
        """The session is over."""
        if self._resting is not None and self._resting.active():
            self._resting.cancel()

    def _squeeze(self, octets: bytes) -> bytes:
        if self._resting is None and not self._outlet.closed:
            self._resting = self._clock.callLater(RESTS_AFTER, self._rest_or_wait)
        return self._deflate.say(octets)

    def _rest_or_wait(self) -> None:
        self._resting = None
        if self._deflate.used and not self._deflate.resting:
            self._deflate.used = False
            self._resting = self._clock.callLater(RESTS_AFTER, self._rest_or_wait)
        else:
            self._deflate.rest()
