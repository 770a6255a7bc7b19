"""A network in memory: endpoints that connect a client's protocol to a server's, with real TLS and no socket.

``Net.listen(address, port, make)`` puts a server there; ``Net.endpoint`` fits the ``endpoint`` argument of the relay.
``pump`` carries octets to and fro until nobody has more to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

# Beyond this an end asks its producer to pause, as a socket would.
_FULL = 65536


class End:
    """One end of a connection: what its protocol holds as transport."""

    def __init__(self, net: Net, is_client: bool) -> None:
        self.net = net
        self.is_client = is_client
        self.app: Any = None
        self.other: End = self
        self.tls: TLSMemoryBIOProtocol | None = None
        self.inbox: list[bytes] = []
        self.closing = False
        self.gone = False
        self.producer: Any = None
        self.written = 0
        self.most_waiting = 0
        self.nodelay = False
        self.disconnecting = False
        self.paused = False

    # what a protocol asks
    def write(self, data: bytes) -> None:
        self.tls.write(data) if self.tls else self.raw_write(data)

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self.disconnecting = True
        self.tls.loseConnection() if self.tls else self.raw_lose()

    def abortConnection(self) -> None:
        self.closing = True
        self.net.closing.append((self, ConnectionAborted()))
        self.net.closing.append((self.other, ConnectionLost()))

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.nodelay = enabled

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 4)

    getHost = getPeer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        (self.tls or _Raw(self)).registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        (self.tls or _Raw(self)).unregisterProducer()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.loseConnection()

    def startTLS(self, creator: Any, normal: bool = True) -> None:
        self.tls = TLSMemoryBIOProtocol(TLSMemoryBIOFactory(creator, self.is_client, None), self.app, False)
        self.tls.makeConnection(_Raw(self))

    # the octets of the network
    def raw_write(self, data: bytes) -> None:
        if data and not self.closing:
            self.written += len(data)
            self.other.inbox.append(data)
            self.most_waiting = max(self.most_waiting, sum(map(len, self.other.inbox)))
            if self.producer is not None and sum(map(len, self.other.inbox)) > _FULL:
                self.producer.pauseProducing()

    def raw_lose(self) -> None:
        self.closing = True
        self.net.closing.append((self, ConnectionDone()))
        self.net.closing.append((self.other, ConnectionDone()))

    def deliver(self) -> bool:
        if not self.inbox or self.gone or self.paused:
            return False
        data = self.inbox.pop(0)
        step = self.net.cut or len(data)
        for start in range(0, len(data), step):
            if not self.gone:
                (self.tls or self.app).dataReceived(data[start : start + step])
        if self.other.producer is not None and not self.inbox:
            self.other.producer.resumeProducing()
        return True

    def end(self, error: Exception) -> None:
        if not self.gone:
            self.gone = self.closing = True
            (self.tls or self.app).connectionLost(Failure(error))


class _Raw:
    """What a TLS layer writes to."""

    def __init__(self, end: End) -> None:
        self._end = end

    def write(self, data: bytes) -> None:
        self._end.raw_write(data)

    def loseConnection(self) -> None:
        self._end.raw_lose()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._end.producer = producer

    def unregisterProducer(self) -> None:
        self._end.producer = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)


class Net:
    """``dialled`` lists the addresses that were tried; ``cut`` bounds how many octets arrive at once (0: no bound)."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, int], Callable[[], Protocol]] = {}
        self.ends: list[End] = []
        self.closing: list[tuple[End, Exception]] = []
        self.dialled: list[tuple[str, int]] = []
        self.silent: set[tuple[str, int]] = set()
        self.cut = 0

    def listen(self, address: str, port: int, make: Callable[[], Protocol]) -> None:
        self.places[address, port] = make

    def endpoint(self, target: Any, seconds: float) -> Any:
        return _Way(self, target)

    def connect(self, target: Any, factory: Any) -> Deferred[Any]:
        place = (target.address, target.port)
        self.dialled.append(place)
        if place in self.silent:
            return Deferred()
        if place not in self.places:
            return fail(ConnectionRefusedError())
        near, far = End(self, True), End(self, False)
        near.other, far.other = far, near
        self.ends += [near, far]
        near.app, far.app = factory.buildProtocol(None), self.places[place]()
        done: Deferred[Any] = Deferred()
        far.app.makeConnection(far)
        near.app.makeConnection(near)
        done.callback(near.app)
        return done

    def pump(self) -> None:
        """Carry octets until all is quiet."""
        for _ in range(1_000_000):
            moved = [end.deliver() for end in list(self.ends)]
            if any(moved):
                continue
            if not self.closing:
                self.ends = [end for end in self.ends if not end.gone]
                return
            end, error = self.closing.pop(0)
            end.end(error)
        raise AssertionError("the network never falls quiet")


class _Way:
    def __init__(self, net: Net, target: Any) -> None:
        self._net = net
        self._target = target

    def connect(self, factory: Any) -> Deferred[Any]:
        return self._net.connect(self._target, factory)
