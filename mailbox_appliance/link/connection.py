"""One connection of the link, whichever side dialled it: the handshake, then whatever it is for.

It waits at rest in a pool ("idle": the sides ask one another whether they are still there), or is spoken on by a reader
(control, pairing), or carries another protocol (SMTP, a splice). Octets that come before anybody wants them are held
back, a few of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.link.inner import InnerTransport
from mailbox_appliance.ports.clock import Clock, Timer

HANDSHAKE_SECONDS = 20.0
MOST_HELD = 65_536


@implementer(IHandshakeListener)
class LinkConnection(Protocol):
    """``on_open`` is called after the handshake; who the other side is has not been asked then."""

    def __init__(self, clock: Clock, on_open: Callable[[LinkConnection], None]) -> None:
        self._clock = clock
        self._on_open = on_open
        self._timer: Timer | None = None
        self._held = b""
        self._reader: Callable[[bytes], None] | None = None
        self.inner: InnerTransport | None = None
        self.on_lost: Callable[[LinkConnection], None] | None = None
        self.opened = False
        self.lost = False

    # ------------------------------------------------------------ what Twisted tells

    def connectionMade(self) -> None:
        transport: Any = self.transport
        for setting in ("setTcpNoDelay", "setTcpKeepAlive"):
            getattr(transport, setting, lambda _: None)(True)
        self._timer = self._clock.callLater(HANDSHAKE_SECONDS, self.abort)

    def handshakeCompleted(self) -> None:
        self._stop_timer()
        self.opened = True
        self._on_open(self)

    def dataReceived(self, data: bytes) -> None:
        if self.inner is not None:
            self.inner.protocol.dataReceived(data)
        elif self._reader is not None:
            self._reader(data)
        else:
            self._held += data
            if len(self._held) > MOST_HELD:
                self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        self._stop_timer()
        self._reader = None
        if self.inner is not None:
            self.inner.lost(reason)
        if self.on_lost is not None:
            told, self.on_lost = self.on_lost, None
            told(self)

    # ------------------------------------------------------------ what it is used for

    @property
    def purpose(self) -> bytes:
        """What ALPN has agreed on."""
        transport: Any = self.transport
        return transport.negotiatedProtocol or b""

    @property
    def address(self) -> str:
        """The other side's."""
        transport: Any = self.transport
        return str(getattr(transport.getPeer(), "host", ""))

    def say(self, octets: bytes) -> None:
        """Send; nothing happens when the other side is gone."""
        if not self.lost and self.transport is not None:
            self.transport.write(octets)

    def read_by(self, reader: Callable[[bytes], None]) -> None:
        """From now on octets go there, those held back first."""
        self._reader = reader
        held, self._held = self._held, b""
        if held:
            reader(held)

    def carry(self, protocol: Any, peer: Any = None, rest: bytes = b"") -> None:
        """From now on it is ``protocol``'s; ``rest`` are octets for it that a reader has too many."""
        self._reader = None
        held, self._held = rest + self._held, b""
        self.inner = InnerTransport(self.transport, protocol, peer)
        protocol.makeConnection(self.inner)
        if held:
            self.inner.protocol.dataReceived(held)

    def close(self) -> None:
        """Flush and close."""
        if not self.lost and self.transport is not None:
            self.transport.loseConnection()

    def abort(self) -> None:
        """At once."""
        transport: Any = self.transport
        if not self.lost and transport is not None:
            transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
