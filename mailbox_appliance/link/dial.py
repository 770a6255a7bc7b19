"""Opening a connection from the store to its edge: TCP, then mutual TLS whose ALPN names the purpose (RFC 7301)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory

from mailbox_appliance.link import tls
from mailbox_appliance.link.connection import LinkConnection
from mailbox_appliance.link.keys import OwnKey
from mailbox_appliance.ports.clock import Clock

DIAL_SECONDS = 20.0

Dial = Callable[[str, int, Any, bytes], Awaitable[LinkConnection]]


class Dialler:
    """Opens connections to the edge over TCP."""

    def __init__(self, reactor: Any, clock: Clock) -> None:
        self._reactor = reactor
        self._clock = clock

    async def dial(self, host: str, port: int, own: OwnKey, purpose: bytes) -> LinkConnection:
        """A connection after its handshake; whose it is has not been asked. Raises OSError, ConnectError …"""
        opened: Deferred[LinkConnection] = Deferred()

        def made(connection: LinkConnection) -> None:
            if not opened.called:
                connection.on_lost = None
                opened.callback(connection)

        def gone(_: LinkConnection) -> None:
            if not opened.called:
                opened.errback(OSError(0, "the handshake with the edge failed"))

        def build() -> LinkConnection:
            connection = LinkConnection(self._clock, made)
            connection.on_lost = gone
            return connection

        factory = Factory.forProtocol(build)
        factory.noisy = False
        plain = HostnameEndpoint(self._reactor, host.encode("ascii"), port, timeout=DIAL_SECONDS)
        await wrapClientTLS(tls.StoreTls(own, purpose), plain).connect(factory)
        return await opened
