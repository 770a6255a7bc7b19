"""A connection inside a link connection: what SMTP, IMAP and the web pages see as their transport.

The link's own TLS is beneath it and none of their business: who asks for TLS (STARTTLS, imaps, https) gets a layer of
its own on top, whose end is here and not at the edge. The peer is the client as the edge has seen it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer


class _Beneath:
    """What a TLS layer of its own stands on: the link, whatever the layer does."""

    def __init__(self, inner: InnerTransport) -> None:
        self._inner = inner
        self._outer = inner.outer

    def write(self, octets: bytes) -> None:
        self._outer.write(octets)

    def writeSequence(self, pieces: list[bytes]) -> None:
        self._outer.write(b"".join(pieces))

    def loseConnection(self) -> None:
        self._outer.loseConnection()

    def abortConnection(self) -> None:
        self._outer.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._outer.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._outer.unregisterProducer()

    def pauseProducing(self) -> None:
        self._outer.pauseProducing()

    def resumeProducing(self) -> None:
        self._outer.resumeProducing()

    def getPeer(self) -> Any:
        return self._inner.getPeer()

    def getHost(self) -> Any:
        return self._inner.getHost()


@implementer(ITransport)
class InnerTransport:
    """``outer`` is the link's transport. Octets that come are given to ``protocol`` by whoever owns the link."""

    TLS = True  # for sockets.say: never past the layers, straight to a socket

    def __init__(self, outer: Any, protocol: Any, peer: Any = None) -> None:
        self.outer = outer
        self.protocol = protocol
        self._peer = peer
        self._upper: TLSMemoryBIOProtocol | None = None
        self._producer: tuple[Any, bool] | None = None
        self.connected = True
        self.disconnecting = False

    @property
    def _top(self) -> Any:
        return self.outer if self._upper is None else self._upper

    def write(self, data: bytes) -> None:
        if self.connected:
            self._top.write(data)

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._top.loseConnection()

    def abortConnection(self) -> None:
        if self.connected:
            self.disconnecting = True
            self.outer.abortConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = (producer, streaming)
        self._top.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._producer = None
        self._top.unregisterProducer()

    def pauseProducing(self) -> None:
        self.outer.pauseProducing()

    def resumeProducing(self) -> None:
        self.outer.resumeProducing()

    def stopProducing(self) -> None:
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """The link has it already."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """The link has it already."""

    def getPeer(self) -> Any:
        return self._peer if self._peer is not None else self.outer.getPeer()

    def getHost(self) -> Any:
        return self.outer.getHost()

    def getHandle(self) -> Any:
        return self._top.getHandle()

    def getPeerCertificate(self) -> Any:
        return self._top.getPeerCertificate()

    def startTLS(self, creator: Any, normal: bool = True) -> None:
        """A layer of TLS for ``protocol``; we are its server unless ``normal`` is False."""
        producer = self._producer
        if producer is not None:
            self.unregisterProducer()
        factory = TLSMemoryBIOFactory(creator, not normal, None)  # type: ignore[arg-type]
        upper = TLSMemoryBIOProtocol(factory, self.protocol, False)
        self.protocol = self._upper = upper
        upper.makeConnection(_Beneath(self))
        if producer is not None:
            self.registerProducer(*producer)

    def lost(self, reason: Any) -> None:
        """The link connection is gone."""
        if self.connected:
            self.connected = False
            self.protocol.connectionLost(reason)


def begin(outer: Any, protocol: Protocol, peer: Any = None) -> InnerTransport:
    """Let ``protocol`` begin on it."""
    inner = InnerTransport(outer, protocol, peer)
    protocol.makeConnection(inner)
    return inner
