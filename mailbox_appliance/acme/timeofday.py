"""What time it is elsewhere: the Date of an HTTP answer from the certificate authority's host (RFC 9110 §6.6.1).

The clock of this machine is judged by it when the records are checked; nothing is set by it. Plain HTTP on port 80, one
request, no redirect followed, at most a few hundred octets read, no longer than some seconds.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred

from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.dns import Resolver, Status

PORT = 80
SECONDS = 10.0
MOST_OCTETS = 8192


class TimeOfDay:
    """``host`` is asked; "" asks nobody."""

    def __init__(self, reactor: Any, clock: Clock, resolver: Resolver) -> None:
        self._reactor = reactor
        self._clock = clock
        self._resolver = resolver

    async def ahead(self, host: str) -> float | None:
        """By how many seconds our clock is ahead of ``host``'s (negative: behind); None when it does not say."""
        answer = await self._resolver.look_up(host, "A") if host else None
        if answer is None or answer.status is not Status.OK or not answer.records:
            return None
        said: Deferred[float | None] = Deferred()
        begun = self._clock.seconds()
        factory = _Factory(host, said)
        connector = self._reactor.connectTCP(str(answer.records[0]), PORT, factory, timeout=SECONDS)
        timer = self._clock.callLater(SECONDS, connector.disconnect)
        try:
            there = await said
        finally:
            if timer.active():
                timer.cancel()
        # It was said between then and now; the second is cut off, so half of one is added.
        return None if there is None else (begun + self._clock.seconds()) / 2 - there - 0.5


class _Asking(protocol.Protocol):
    """HEAD, and the field of the answer."""

    def __init__(self, host: str, said: Deferred[float | None]) -> None:
        self._host = host
        self._said = said
        self._octets = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"HEAD / HTTP/1.0\r\nHost: " + self._host.encode("ascii", "replace") + b"\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        self._octets += data[:MOST_OCTETS]
        if b"\r\n\r\n" in self._octets or len(self._octets) >= MOST_OCTETS:
            assert self.transport is not None
            self.transport.loseConnection()
            self.end()

    def connectionLost(self, reason: object = None) -> None:
        self.end()

    def end(self) -> None:
        """Once."""
        if not self._said.called:
            self._said.callback(said_date(self._octets))


class _Factory(protocol.ClientFactory):
    noisy = False

    def __init__(self, host: str, said: Deferred[float | None]) -> None:
        self._host = host
        self._said = said

    def buildProtocol(self, addr: object) -> _Asking:
        return _Asking(self._host, self._said)

    def clientConnectionFailed(self, connector: object, reason: object) -> None:
        if not self._said.called:
            self._said.callback(None)


def said_date(octets: bytes) -> float | None:
    """The Date of a whole answer's header as epoch seconds; None when there is none that can be read."""
    head, _, _ = octets.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/"):
        return None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"date":
            try:
                return parsedate_to_datetime(value.strip().decode("ascii")).timestamp()
            except (ValueError, OverflowError, TypeError):
                return None
    return None
