"""Opening a session: password, TLS context, connection, and the terms each kind of route sets.

``Endpoint`` is the seam for other ways to connect (``socks``): a function from an address to an endpoint.
"""

from __future__ import annotations

import errno
from typing import cast

from OpenSSL import SSL
from twisted.internet.error import ConnectError, DNSLookupError, TimeoutError, UserError
from twisted.internet.interfaces import IReactorTCP, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from mailbox_appliance.journal.events.relay import PasswordFileReadable, TlsDowngraded
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.mailauth.tlsa import Tlsa, Usage
from mailbox_appliance.ports.journal import Journal
from mailbox_appliance.ports.workers import Busy, Workers
from mailbox_appliance.relay.dane import Dane
from mailbox_appliance.relay.demands import NOTHING, Demand
from mailbox_appliance.relay.mx import Target
from mailbox_appliance.relay.passwords import PasswordTrouble, read_password
from mailbox_appliance.relay.routes import ToHost
from mailbox_appliance.relay.session import Session, SessionTrouble, Terms
from mailbox_appliance.relay.settings import Host, RelaySettings, Security, Timeouts
from mailbox_appliance.relay.socks import Endpoint, ProxyTrouble
from mailbox_appliance.relay.tls import ClientTls
from mailbox_appliance.wire.smtp.client_events import Credentials, StartTls, Trouble


class IRelayReactor(IReactorTCP, IReactorTime):
    """What the relay needs of the reactor."""


def by_tcp(reactor: IRelayReactor) -> Endpoint:
    """The plain way to an address."""

    def endpoint(target: Target, seconds: float) -> IStreamClientEndpoint:
        # It brings half a megabyte of other ways to connect; not everybody's mail leaves this way.
        from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint

        kind = TCP6ClientEndpoint if ":" in target.address else TCP4ClientEndpoint
        return kind(reactor, target.address, target.port, timeout=max(1, round(seconds)))

    return endpoint


class Dialler:
    """Opens sessions. ``endpoint`` makes the way to an address."""

    def __init__(
        self,
        reactor: IRelayReactor,
        workers: Workers,
        journal: Journal,
        settings: RelaySettings,
        endpoint: Endpoint,
    ) -> None:
        self._reactor = reactor
        self._workers = workers
        self._journal = journal
        self._settings = settings
        self._endpoint = endpoint
        self.tls = ClientTls(workers, settings.trust_anchor)
        self._warned: set[str] = set()

    async def open(self, target: Target, route: ToHost | None, demand: Demand = NOTHING) -> Session:
        """A session that is ready. ``route`` None: a mail exchanger, held to ``demand``. Raises SessionTrouble."""
        terms = await self.terms(target, route, demand)
        try:
            return await self._ready(target, terms)
        except SessionTrouble as trouble:
            if trouble.trouble is not Trouble.HANDSHAKE or terms.starttls is not StartTls.IF_OFFERED:
                raise
            # RFC 7435: to a stranger mail goes rather in clear than not at all, and the journal says so.
            reason = trouble.reason
            self._journal.tell(TlsDowngraded(host=str(target), reason=reason))
        return await self._ready(target, Terms(self._settings.hostname, downgraded=reason))

    async def begin(self, target: Target, terms: Terms, timeouts: Timeouts | None = None) -> Session:
        """A connection on which the session is only beginning; wait for its ``ready``. Raises SessionTrouble."""
        times = timeouts or self._settings.timeouts
        factory = Factory.forProtocol(lambda: Session(self._reactor, self._workers, terms, times))
        factory.noisy = False
        try:
            protocol = await self._endpoint(target, times.connect).connect(factory)
        except (ConnectError, DNSLookupError, UserError, OSError) as error:
            text = f"no connection to {target} port {target.port}: {_why(error, target.port)}"
            raise SessionTrouble(Trouble.CONNECT, Reply(451, "4.4.1", text), text) from None
        return cast(Session, protocol)

    async def _ready(self, target: Target, terms: Terms) -> Session:
        session = await self.begin(target, terms)
        await session.ready
        return session

    async def terms(self, target: Target, route: ToHost | None, demand: Demand = NOTHING) -> Terms:
        """How a session with ``target`` shall be opened. Raises SessionTrouble."""
        return await (self._terms_of_host(target, route.host) if route else self._terms_of_exchanger(target, demand))

    async def _terms_of_exchanger(self, target: Target, demand: Demand) -> Terms:
        try:
            handshake = await self.tls.handshake(target.host, strict=False, dane=demand.dane)
        except (OSError, SSL.Error, Busy) as error:
            text = _anchor_fault(self._settings, error)
            if demand.encrypted:
                raise SessionTrouble(Trouble.CERTIFICATE, Reply(454, "4.7.5", "no trusted roots"), text) from None
            self._journal.tell(TlsDowngraded(host=str(target), reason=text))
            return Terms(self._settings.hostname, downgraded=text)
        starttls = StartTls.ALWAYS if demand.encrypted else StartTls.IF_OFFERED
        return Terms(self._settings.hostname, starttls, False, demand.verified, handshake)

    async def _terms_of_host(self, target: Target, host: Host) -> Terms:
        credentials = await self._credentials(host) if host.user else None
        if host.security is Security.NONE:
            return Terms(self._settings.hostname, credentials=credentials)
        try:
            pinned = _pinned(host) if host.pins else None
            handshake = await self.tls.handshake(target.host, strict=pinned is None, dane=pinned)
        except (OSError, SSL.Error, Busy) as error:
            text = _anchor_fault(self._settings, error)
            raise SessionTrouble(Trouble.CERTIFICATE, Reply(454, "4.7.5", "no trusted roots"), text) from None
        implicit = host.security is Security.IMPLICIT
        starttls = StartTls.NEVER if implicit else StartTls.ALWAYS
        return Terms(self._settings.hostname, starttls, implicit, True, handshake, credentials)

    async def _credentials(self, host: Host) -> Credentials:
        try:
            password, mode = await self._workers.run("disk", read_password, host.password_file)
        except (PasswordTrouble, Busy) as error:
            raise SessionTrouble(Trouble.PASSWORD, Reply(454, "4.7.0", "no password"), str(error)) from None
        if mode & 0o077 and host.password_file not in self._warned and len(self._warned) < 100:
            self._warned.add(host.password_file)
            self._journal.tell(PasswordFileReadable(path=host.password_file, mode=f"{mode:04o}"))
        return Credentials(host.user, password)


def _pinned(host: Host) -> Dane:
    """A pin is what a TLSA record of our own would be: usage 3, the key's SHA-256."""
    records = tuple(Tlsa(Usage.DANE_EE, 1, 1, bytes.fromhex(one)) for one in host.pins)
    return Dane(host.host, records, (host.host,), by="its key")


def _anchor_fault(settings: RelaySettings, error: Exception) -> str:
    name = settings.trust_anchor or "the system's roots"
    return f"{name} cannot be used as trusted roots: {error.strerror if isinstance(error, OSError) else error!r}"


def _why(error: Exception, port: int) -> str:
    """A failed connection in plain words."""
    number = getattr(error, "osError", None) if not isinstance(error, OSError) else error.errno
    if isinstance(error, ProxyTrouble):
        return str(error)
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT:
        blocked = " (many providers block port 25 outwards: ask for it to be opened, or use a smarthost)"
        return f"no answer in time{blocked if port == 25 else ''}"
    if number == errno.ECONNREFUSED:
        return "refused, nothing listens there"
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "there is no way to that network"
    return str(error).rstrip(".") or type(error).__name__
