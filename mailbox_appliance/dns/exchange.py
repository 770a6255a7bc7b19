"""One question to one name server and its answer, over UDP or TCP (RFC 1035 §4.2, RFC 7766).

Each UDP question has a socket of its own, so source port and id are both random, and the socket is connected, so the
kernel drops what other hosts send (RFC 5452 §9.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IConnector, IReactorTCP, IReactorTime, IReactorUDP
from twisted.internet.protocol import ClientFactory, DatagramProtocol
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.python.failure import Failure

from mailbox_appliance.dns.servers import Server

T = TypeVar("T")


class INetReactor(IReactorUDP, IReactorTCP, IReactorTime):
    """What the resolver needs of the reactor."""


class NoAnswer(Exception):
    """The server gave no answer; ``str()`` says how."""


class _Datagram(DatagramProtocol):
    def __init__(self, server: Server, wire: bytes, read: Callable[[bytes], T | None], done: Deferred[T]) -> None:
        self._server = server
        self._wire = wire
        self._read = read
        self._done = done

    def startProtocol(self) -> None:
        assert self.transport is not None
        self.transport.connect(self._server.address, self._server.port)
        self.transport.write(self._wire, None)

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        if self._done.called or cast("tuple[str, int]", addr)[:2] != (self._server.address, self._server.port):
            return
        answer = self._read(datagram)
        if answer is not None:
            self._done.callback(answer)

    def connectionRefused(self) -> None:
        if not self._done.called:
            self._done.errback(NoAnswer("nothing listens there"))


def ask_by_udp(reactor: INetReactor, server: Server, wire: bytes, read: Callable[[bytes], T | None]) -> Deferred[T]:
    """Send ``wire``; fire with the first datagram that ``read`` understands. Fails with NoAnswer; cancel to stop."""
    done: Deferred[T] = Deferred()
    interface = "::" if ":" in server.address else ""
    try:
        port = reactor.listenUDP(0, _Datagram(server, wire, read, done), interface=interface, maxPacketSize=4096)
    except (CannotListenError, OSError) as error:
        done.errback(NoAnswer(f"no socket: {error}"))
        return done

    def finish(result: T) -> T:
        port.stopListening()
        return result

    return done.addBoth(finish)


class _Stream(StreamProtocol):
    """Two octets of length, then the message."""

    def __init__(self, wire: bytes, read: Callable[[bytes], T | None], most: int, done: Deferred[T]) -> None:
        self._wire = wire
        self._read = read
        self._most = most
        self._done = done
        self._buffer = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(len(self._wire).to_bytes(2, "big") + self._wire)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        if self._done.called or len(self._buffer) < 2:
            return
        length = int.from_bytes(self._buffer[:2], "big")
        if length > self._most:
            self._done.errback(NoAnswer(f"the answer is too large ({length} octets)"))
        elif len(self._buffer) >= 2 + length:
            answer = self._read(self._buffer[2 : 2 + length])
            if answer is None:
                self._done.errback(NoAnswer("the answer does not fit the question"))
            else:
                self._done.callback(answer)

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        if not self._done.called:
            self._done.errback(NoAnswer("the name server closed the connection"))


class _StreamFactory(ClientFactory):
    noisy = False

    def __init__(self, make: Callable[[], _Stream], done: Deferred[T]) -> None:
        self._make = make
        self._done = done

    def buildProtocol(self, addr: IAddress | None) -> _Stream:
        return self._make()

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        if not self._done.called:
            self._done.errback(NoAnswer(f"no connection over TCP: {reason.getErrorMessage()}"))


def ask_by_tcp(
    reactor: INetReactor,
    server: Server,
    wire: bytes,
    read: Callable[[bytes], T | None],
    *,
    seconds: float,
    most: int,
) -> Deferred[T]:
    """The same over TCP, for answers that do not fit a datagram; ``most`` bounds the answer's octets."""
    done: Deferred[T] = Deferred()
    factory = _StreamFactory(lambda: _Stream(wire, read, most, done), done)
    connector = reactor.connectTCP(server.address, server.port, factory, timeout=max(1, round(seconds)))

    def finish(result: T) -> T:
        connector.disconnect()
        return result

    return done.addBoth(finish)
