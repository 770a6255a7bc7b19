"""Connections that leave through a SOCKS5 proxy: the dialogue of ``wire/socks`` before the protocol proper begins."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionRefusedError, TimeoutError
from twisted.internet.interfaces import IHandshakeListener, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.ports.clock import Clock
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.relay.mx import Target
from mailbox_appliance.relay.passwords import PasswordTrouble, read_password
from mailbox_appliance.relay.settings import Proxy
from mailbox_appliance.wire.socks import SocksCore, SocksError

Endpoint = Callable[[Target, float], IStreamClientEndpoint]


class ProxyTrouble(ConnectError):
    """The proxy is the one that fails; str() says how."""

    def __init__(self, text: str) -> None:
        super().__init__(string=text)  # type: ignore[no-untyped-call]
        self._text = text

    def __str__(self) -> str:
        return self._text


def is_near(address: str) -> bool:
    """In our own network: such a host is reached without the proxy."""
    found = ipaddress.ip_address(address)
    return found.is_loopback or any(found in network for network in _NEAR if network.version == found.version)


_NEAR = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)


class SocksWay:
    """Fits ``Endpoint``. ``plain`` makes the connection to the proxy, and to hosts of our own network."""

    def __init__(
        self, proxy: Proxy, addresses: Callable[[], Any], plain: Endpoint, workers: Workers, clock: Clock
    ) -> None:
        """``addresses`` gives an awaitable of the proxy's addresses (text)."""
        self._proxy = proxy
        self._addresses = addresses
        self._plain = plain
        self._workers = workers
        self.clock = clock

    def __call__(self, target: Target, seconds: float) -> IStreamClientEndpoint:
        """The way to ``target``."""
        if is_near(target.address):
            return self._plain(target, seconds)
        return cast(IStreamClientEndpoint, _Through(self, target, seconds))

    async def connect(self, target: Target, seconds: float, factory: IProtocolFactory) -> Any:
        """A connection to ``target`` with the factory's protocol on it. Raises ConnectError."""
        proxy = self._proxy
        password = ""
        if proxy.user:
            try:
                password, _ = await self._workers.run("disk", read_password, proxy.password_file)
            except (PasswordTrouble, Busy) as error:
                raise ProxyTrouble(f"the proxy's password: {error}") from None
        addresses = await self._addresses()
        if not addresses:
            raise ProxyTrouble(f"the proxy {proxy.host} has no address: check the name in [relay] socks")
        try:
            core = SocksCore(target.address, target.port, proxy.user, password)
        except SocksError as error:
            raise ProxyTrouble(str(error)) from None
        tunnels = Factory.forProtocol(lambda: _Tunnel(core, factory))
        tunnels.noisy = False
        at_proxy = Target(proxy.host, addresses[0], proxy.port)
        try:
            tunnel: Any = await self._plain(at_proxy, seconds).connect(tunnels)
        except ConnectError as error:
            raise ProxyTrouble(f"no connection to the proxy {proxy.host} port {proxy.port}: {error}") from None
        return await tunnel.opened


class _Through:
    """An endpoint of one use."""

    def __init__(self, way: SocksWay, target: Target, seconds: float) -> None:
        self._way = way
        self._target = target
        self._seconds = seconds

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        way = self._way
        going = Deferred.fromCoroutine(way.connect(self._target, self._seconds, factory))
        return going.addTimeout(self._seconds, cast(IReactorTime, way.clock), _too_late)


def _too_late(result: object, seconds: float) -> object:
    if isinstance(result, Failure):
        return Failure(TimeoutError(string="no answer in time"))
    return result


@implementer(IHandshakeListener)
class _Tunnel(Protocol):
    """The proxy's protocol first; afterwards it only passes on to the protocol proper, which owns the transport."""

    def __init__(self, core: SocksCore, factory: IProtocolFactory) -> None:
        self._core = core
        self._factory = factory
        self._app: Any = None
        self.opened: Deferred[Any] = Deferred(lambda _: self._abort())

    def connectionMade(self) -> None:
        self._say()

    def _say(self) -> None:
        octets = self._core.take()
        if octets and self.transport is not None:
            self.transport.write(octets)

    def dataReceived(self, data: bytes) -> None:
        if self._app is not None:
            self._app.dataReceived(data)
            return
        try:
            stands = self._core.receive(data)
        except SocksError as error:
            trouble = ConnectionRefusedError(string=str(error)) if error.by_host else ProxyTrouble(str(error))
            self._fail(trouble)
            self._abort()
            return
        self._say()
        if stands:
            self._app = self._factory.buildProtocol(None)  # type: ignore[arg-type]
            self._app.makeConnection(self.transport)
            if self._core.rest:
                self._app.dataReceived(self._core.rest)
            if not self.opened.called:
                self.opened.callback(self._app)

    def handshakeCompleted(self) -> None:
        if IHandshakeListener.providedBy(self._app):
            self._app.handshakeCompleted()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._app is not None:
            self._app.connectionLost(reason)
        else:
            self._fail(ProxyTrouble("the proxy closed the connection"))

    def _fail(self, error: Exception) -> None:
        if not self.opened.called:
            self.opened.errback(error)

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]
