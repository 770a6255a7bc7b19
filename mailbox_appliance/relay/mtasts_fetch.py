"""Fetching one MTA-STS policy: HTTPS GET, certificate verified, no redirects, everything bounded (RFC 8461 §3.3).

Twisted's web client is imported by the first fetch: who never sends to such a domain never pays for it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost, UserError
from twisted.internet.interfaces import IHandshakeListener, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.mailauth.mtasts_policy import POLICY_OCTETS
from mailbox_appliance.ports.dns import Resolver, Status
from mailbox_appliance.ports.workers import Busy
from mailbox_appliance.relay.mtasts import FetchTrouble
from mailbox_appliance.relay.mx import Target
from mailbox_appliance.relay.tls import ClientTls, Handshake, tls_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IStreamClientEndpoint

SECONDS = 60.0
CONNECT_SECONDS = 15.0
MOST_OCTETS = 2 * POLICY_OCTETS  # headers and all
MOST_ADDRESSES = 4
PATH = b"/.well-known/mta-sts.txt"


class PolicyFetcher:
    """``endpoint`` is the relay's way to an address; ``allow_loopback`` as for mail exchangers."""

    def __init__(
        self,
        reactor: Any,
        resolver: Resolver,
        tls: ClientTls,
        endpoint: Callable[[Target, float], IStreamClientEndpoint],
        *,
        allow_loopback: bool = False,
        ipv6: Callable[[], bool] = lambda: False,
        port: int = 443,
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._tls = tls
        self._endpoint = endpoint
        self._allow_loopback = allow_loopback
        self._ipv6 = ipv6
        self._port = port

    def fetch(self, domain: str) -> Deferred[bytes]:
        """The policy's octets. Fails with FetchTrouble."""
        going = Deferred.fromCoroutine(self._fetch(f"mta-sts.{domain}"))
        return going.addTimeout(SECONDS, self._reactor).addErrback(_explained)

    async def _fetch(self, host: str) -> bytes:
        addresses = await self._addresses(host)
        trouble = FetchTrouble("sts-policy-fetch-error", f"{host} has no address that may be asked")
        for address in addresses[:MOST_ADDRESSES]:
            try:
                return await self._get(Target(host, address, self._port))
            except (ConnectError, UserError, OSError) as error:
                trouble = FetchTrouble("sts-policy-fetch-error", f"{host} cannot be reached: {error}")
        raise trouble

    async def _addresses(self, host: str) -> list[str]:
        found: list[str] = []
        for kind in ("A", "AAAA") if self._ipv6() or self._allow_loopback else ("A",):
            answer = await self._resolver.look_up(host, kind)
            if answer.status is Status.TEMPERROR:
                raise FetchTrouble("sts-policy-fetch-error", f"{host} cannot be looked up: {answer.reason}")
            found += [str(record) for record in answer.records]
        return [address for address in found if self._may_ask(address)]

    def _may_ask(self, text: str) -> bool:
        """Never a place of our own network, however a stranger's zone is written."""
        address = ipaddress.ip_address(text)
        return address.is_global or (self._allow_loopback and address.is_loopback)

    async def _get(self, target: Target) -> bytes:
        from twisted.web.client import Agent, ResponseFailed
        from twisted.web.http_headers import Headers

        way = _Way(self._endpoint(target, CONNECT_SECONDS), await self._handshake(target))
        agent = Agent.usingEndpointFactory(self._reactor, _Ways(way))
        headers = Headers({b"User-Agent": [b"mailappliance"], b"Accept": [b"text/plain"]})
        try:
            response = await agent.request(b"GET", b"https://" + target.host.encode("ascii") + PATH, headers)
            if response.code != 200:
                # RFC 8461 §3.3: redirects are not followed.
                raise FetchTrouble("sts-policy-fetch-error", f"{target.host} answers {response.code}, not 200")
            kind = (response.headers.getRawHeaders(b"Content-Type") or [b""])[0].partition(b";")[0].strip().lower()
            if kind != b"text/plain":
                raise FetchTrouble("sts-policy-fetch-error", f"{target.host} gives {kind[:60]!r}, not text/plain")
            body = _Body()
            response.deliverBody(body)
            return await body.whole
        except ResponseFailed as failed:
            for reason in failed.reasons:
                if isinstance(reason.value, FetchTrouble | CancelledError):
                    raise reason.value from None
            raise FetchTrouble("sts-policy-fetch-error", f"{target.host} gives no HTTP answer") from None

    async def _handshake(self, target: Target) -> Handshake:
        try:
            return await self._tls.handshake(target.host, strict=True)
        except (OSError, SSL.Error, Busy) as error:
            raise FetchTrouble("sts-webpki-invalid", f"no trusted roots to verify {target.host}: {error}") from None


def _explained(failure: Failure) -> Failure:
    error = failure.value
    if isinstance(error, FetchTrouble):
        return failure
    if isinstance(error, TimeoutError):
        return Failure(FetchTrouble("sts-policy-fetch-error", f"the policy did not come within {SECONDS:.0f} s"))
    return Failure(FetchTrouble("sts-policy-fetch-error", f"{type(error).__name__}: {error}"))


class _Ways:
    """Agent's IAgentEndpointFactory: there is one way only."""

    def __init__(self, way: _Way) -> None:
        self._way = way

    def endpointForURI(self, uri: object) -> _Way:
        return self._way


class _Way:
    """An endpoint: the connection, then TLS on it; HTTP begins when the peer has proved its name."""

    def __init__(self, endpoint: IStreamClientEndpoint, handshake: Handshake) -> None:
        self._endpoint = endpoint
        self._handshake = handshake

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        wrapping = Factory.forProtocol(lambda: _Guarded(factory, self._handshake))
        wrapping.noisy = False
        connecting: Deferred[Any] = self._endpoint.connect(wrapping)
        return connecting.addCallback(_when_ready)


def _when_ready(guarded: Any) -> Deferred[Any]:
    ready: Deferred[Any] = guarded.ready
    return ready


@implementer(IHandshakeListener)
class _Guarded(Protocol):
    """Between TLS and HTTP: looks at the certificate first, and counts what comes."""

    def __init__(self, factory: IProtocolFactory, handshake: Handshake) -> None:
        self._factory = factory
        self._handshake = handshake
        self._app: Any = None
        self._octets = 0
        self._trouble: FetchTrouble | None = None
        self.ready: Deferred[Any] = Deferred(lambda _: self._abort())

    def connectionMade(self) -> None:
        self.transport.startTLS(self._handshake)  # type: ignore[union-attr]

    def handshakeCompleted(self) -> None:
        result = self._handshake.result()
        if not result.verified:
            self._fail(FetchTrouble("sts-webpki-invalid", f"the certificate of the policy host is bad: {result.fault}"))
            return
        self._app = self._factory.buildProtocol(None)  # type: ignore[arg-type]
        self._app.makeConnection(self.transport)
        if not self.ready.called:
            self.ready.callback(self._app)

    def dataReceived(self, data: bytes) -> None:
        self._octets += len(data)
        if self._octets > MOST_OCTETS:
            self._fail(FetchTrouble("sts-policy-fetch-error", "the answer of the policy host is too long"))
        elif self._app is not None:
            self._app.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._trouble is not None:
            reason = Failure(self._trouble)
        if self._app is not None:
            self._app.connectionLost(reason)
            return
        fault = self._handshake.chain_fault or tls_fault(reason.value)  # type: ignore[arg-type]
        kind = "sts-webpki-invalid" if self._handshake.chain_fault else "sts-policy-fetch-error"
        if not self.ready.called:
            self.ready.errback(self._trouble or FetchTrouble(kind, f"no TLS with the policy host: {fault}"))

    def _fail(self, trouble: FetchTrouble) -> None:
        self._trouble = trouble
        self._abort()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]


class _Body(Protocol):
    """Collects the body; too long a one ends the connection."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._octets = 0
        self.whole: Deferred[bytes] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        self._octets += len(data)
        self._pieces.append(data)
        if self._octets > POLICY_OCTETS:
            self._pieces.clear()
            if not self.whole.called:
                self.whole.errback(FetchTrouble("sts-policy-fetch-error", "the policy is longer than 64 KiB"))
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        from twisted.web.client import ResponseDone

        if self.whole.called:
            return
        # A body without a length may have been cut by anybody on the way: it counts as broken off.
        if reason.check(ResponseDone):
            self.whole.callback(b"".join(self._pieces))
        elif reason.check(FetchTrouble, ConnectionDone, ConnectionLost):
            self.whole.errback(FetchTrouble("sts-policy-fetch-error", str(reason.value)))
        else:
            self.whole.errback(FetchTrouble("sts-policy-fetch-error", "the answer broke off"))

    def _abort(self) -> None:
        abort = getattr(self.transport, "abortConnection", None) or getattr(self.transport, "loseConnection", None)
        if abort is not None:
            abort()
