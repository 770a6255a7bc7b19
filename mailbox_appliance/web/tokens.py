"""Port 80: an ACME authority's tokens (RFC 8555 §8.3), and 404 for everything else.

Small on purpose: no sessions, no logs of its own, requests bounded in size and time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.web import http

from mailbox_appliance.ports.clock import Clock

TOKEN_PATH = b"/.well-known/acme-challenge/"
LONGEST_REQUEST = 16 * 1024
IDLE_SECONDS = 15

Answer = Callable[[str], bytes | None]

# twisted.web's own classes are not annotated.
_Request: Any = http.Request
_Channel: Any = http.HTTPChannel


class _TokenRequest(_Request):  # type: ignore[misc]
    """One request; the factory knows the answers."""

    def process(self) -> None:
        answer = None
        if self.method in (b"GET", b"HEAD") and self.path.startswith(TOKEN_PATH):
            answer = self.channel.factory.answer(self.path[len(TOKEN_PATH) :].decode("latin-1"))
        body = b"not found\n" if answer is None else answer
        self.setResponseCode(404 if answer is None else 200)
        self.setHeader(b"Server", b"mailappliance")
        self.setHeader(b"Content-Type", b"text/plain" if answer is None else b"application/octet-stream")
        self.setHeader(b"Content-Length", str(len(body)).encode("ascii"))
        if self.method != b"HEAD":
            self.write(body)
        self.finish()


class _TokenChannel(_Channel):  # type: ignore[misc]
    """Hangs up on whoever sends more than a small request."""

    requestFactory = _TokenRequest
    maxHeaders = 60
    totalHeadersSize = LONGEST_REQUEST
    timeOut = IDLE_SECONDS
    taken = 0

    def dataReceived(self, data: bytes) -> None:
        self.taken += len(data)
        if self.taken > LONGEST_REQUEST:
            self.transport.loseConnection()
            return
        super().dataReceived(data)

    def allContentReceived(self) -> None:
        self.taken = 0
        super().allContentReceived()


class TokenFactory(Factory):
    """The factory for port 80; ``answer`` is ChallengeTokens.answer."""

    noisy = False

    def __init__(self, answer: Answer, clock: Clock) -> None:
        self.answer = answer
        self._clock = clock

    def log(self, request: Any) -> None:
        """No access log: the journal has what matters."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Twisted asks."""
        channel = _TokenChannel()
        channel.factory = self
        channel.callLater = self._clock.callLater
        return channel


def token_site(answer: Answer, clock: Clock) -> TokenFactory:
    """What listens on ``[listen] http``."""
    return TokenFactory(answer, clock)
