"""The wire beneath a session, as the session sees it; ``door`` fills it, and what can go wrong with it has names."""

from __future__ import annotations

from collections.abc import Awaitable
from math import inf
from typing import Protocol

from mailbox_appliance.channel import Channel


class ConnectionOver(Exception):
    """The peer is gone, or has not finished its handshake in time."""


class IdleTooLong(Exception):
    """The peer said nothing for too long."""


class TooSlow(Exception):
    """Content comes so slowly that it would keep a place for ever."""


class Stopping(Exception):
    """The service is going down and this session is at a resting place."""


class Line(Protocol):
    """The wire beneath a session. All waits raise ConnectionOver when the connection ends."""

    def write(self, octets: bytes) -> None:
        """Send."""

    def writable(self) -> Awaitable[None]:
        """Return once the peer has taken enough of what was written."""

    def more(self, *, progress: bool, restful: bool, until: float = inf) -> Awaitable[bytes]:
        """The next octets. ``progress``: something whole was said since the last call; ``restful``: may be stopped.

        Raises IdleTooLong and Stopping, and TooSlow when the moment ``until`` comes first.
        """

    def pending(self) -> bytes:
        """What has come already, without waiting."""

    def pause(self, seconds: float) -> Awaitable[None]:
        """Wait."""

    def start_tls(self) -> Awaitable[tuple[str, str]]:
        """Version and cipher, once the handshake is complete."""

    def channel(self) -> Channel:
        """What SCRAM may bind to."""
