"""A short conversation with a scanner: octets in and out of one connection, as much as either side can take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IPushProducer, ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.mail.message import Content, SpooledBody
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.scanners.settings import ScannerSettings

MOST_WAITING = 1 << 20  # octets that came and nobody has read
PIECE = 30 * 1024  # octets of a body before its line ends grow


class Trouble(Exception):
    """The scanner did not do its part; str() says how."""


@implementer(IPushProducer)
class Talk(Protocol):
    """``receive`` gives what comes; ``send`` waits while the other side does not read."""

    def __init__(self) -> None:
        self._came = bytearray()
        self._ended = False
        self._waits: Deferred[None] | None = None
        self._full: Deferred[None] | None = None

    def connectionMade(self) -> None:
        transport = cast(Any, self.transport)
        transport.registerProducer(self, True)
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)

    def dataReceived(self, data: bytes) -> None:
        if self._ended:
            return
        self._came += data
        if len(self._came) > MOST_WAITING:
            self.leave()
        self._wake()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._ended = True
        self._wake()
        self.resumeProducing()

    def _wake(self) -> None:
        waits, self._waits = self._waits, None
        if waits is not None:
            waits.callback(None)

    def pauseProducing(self) -> None:
        if self._full is None:
            self._full = Deferred()

    def resumeProducing(self) -> None:
        full, self._full = self._full, None
        if full is not None:
            full.callback(None)

    def stopProducing(self) -> None:
        self._ended = True
        self.resumeProducing()

    async def send(self, octets: bytes) -> None:
        """Raises Trouble when the connection has gone."""
        if self._ended:
            raise Trouble("the connection was closed")
        assert self.transport is not None
        self.transport.write(octets)
        if self._full is not None:
            await self._full

    async def receive(self) -> bytes:
        """Whatever has come, at least an octet; b"" at the end of the connection."""
        if not self._came and not self._ended:
            self._waits = Deferred()
            await self._waits
        octets = bytes(self._came)
        self._came.clear()
        return octets

    def leave(self) -> None:
        """End it now."""
        if self.transport is not None and not self._ended:
            self._ended = True
            transport = cast(Any, self.transport)
            transport.unregisterProducer()
            transport.loseConnection()
            self._wake()
            self.resumeProducing()


def endpoint(reactor: Any, settings: ScannerSettings) -> Any:
    """Where the scanner listens."""
    if settings.path:
        return UNIXClientEndpoint(reactor, settings.path, timeout=int(settings.timeout) or 1)
    return HostnameEndpoint(reactor, settings.host, settings.port, timeout=settings.timeout)


async def connect(reactor: Any, settings: ScannerSettings) -> Talk:
    """Raises what Twisted raises when nobody listens there."""
    talk: ITransport | Talk = await endpoint(reactor, settings).connect(Factory.forProtocol(Talk))
    return cast(Talk, talk)


async def body_pieces(content: Content, workers: Workers) -> AsyncIterator[bytes]:
    """The body with CRLF line ends, in pieces of at most twice PIECE. Raises OSError and Busy."""
    body = content.body
    if isinstance(body, SpooledBody):
        for at in range(0, body.length, PIECE):
            octets = await workers.run("disk", _read, body.path, body.offset + at, min(PIECE, body.length - at))
            yield octets.replace(b"\n", b"\r\n")
    else:
        for at in range(0, len(body), PIECE):
            yield body[at : at + PIECE].replace(b"\n", b"\r\n")


def _read(path: str, offset: int, length: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


async def whole(content: Content, workers: Workers) -> bytes:
    """All of it with CRLF line ends; for those that fit into memory."""
    return content.header.replace(b"\n", b"\r\n") + b"".join([piece async for piece in body_pieces(content, workers)])
