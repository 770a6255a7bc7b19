"""One connection: the Protocol at the wire, and the Line that its session stands on.

Each Door runs one conversation coroutine. The Door is the session's Line: it holds octets back while a command is being
answered, stops reading a peer that sends faster than we can take, and waits for one that does not read (``waiting``).
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Coroutine
from typing import Any, Protocol

from OpenSSL import SSL
from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.python.failure import Failure
from zope.interface import implementer

from mailbox_appliance.channel import Channel
from mailbox_appliance.journal.events import smtp as told
from mailbox_appliance.mail.client import Client, IPAddress, peer_address
from mailbox_appliance.mail.reply import Reply
from mailbox_appliance.ports.certificates import Certificates
from mailbox_appliance.ports.clock import Timer
from mailbox_appliance.smtp.devices import device_at
from mailbox_appliance.smtp.limits import is_in
from mailbox_appliance.smtp.line import ConnectionOver, Stopping
from mailbox_appliance.smtp.parts import Parts, origin_of
from mailbox_appliance.smtp.session import Session
from mailbox_appliance.smtp.valve import Valve, why
from mailbox_appliance.smtp.waiting import Waiting
from mailbox_appliance.sockets import acknowledge, say
from mailbox_appliance.wire.proxy import NoProxy, read_header
from mailbox_appliance.wire.smtp import answers
from mailbox_appliance.wire.smtp.terms import SERVICES


class Station(Protocol):
    """What a Door asks of the listener it belongs to."""

    parts: Parts
    certificates: Certificates | None
    stopping: bool

    def admit(self, door: Door, service: str) -> tuple[Reply, str] | None:
        """Count a new connection, or say why not: (reply, reason)."""

    def forget(self, door: Door) -> None:
        """The connection and its conversation are both over."""


@implementer(IHandshakeListener)
class Door(protocol.Protocol):
    """One connection."""

    def __init__(self, station: Station, service: str) -> None:
        self._station = station
        self._service = SERVICES[service]
        self._parts = station.parts
        self._limits = station.parts.settings.limits
        self._waiting = Waiting(station.parts.clock, self._limits.idle, self._abort)
        self._restful = False
        self._received: list[bytes] = []
        self._received_octets = 0
        self._paused = False
        self._closing = False
        self._timer: Timer | None = None  # of the proxy's header, then of the last word
        self._began = 0.0
        self._session: Session | None = None
        self._port = 0
        self._proxied: bytes | None = None  # what came of the proxy's header, while it is waited for
        self.choked = False
        self.address: IPAddress = ipaddress.IPv4Address(0)

    # ---------------------------------------------------------------- Twisted's side

    def connectionMade(self) -> None:
        transport: Any = self.transport
        peer = transport.getPeer()
        # A Unix socket's peer has no address: it is this machine.
        self.address = peer_address(getattr(peer, "host", "127.0.0.1"))
        self._port = getattr(peer, "port", 0)
        self._began = self._parts.clock.seconds()
        self._waiting.heard()
        if is_in(self.address, self._parts.settings.proxies) and self._service.name not in ("lmtp", "link"):
            self._proxied = b""
            self._timer = self._parts.clock.callLater(self._limits.handshake, self._abort)
            return
        self._open()

    def _proxy_says(self, data: bytes) -> None:
        """The header of the PROXY protocol is coming: it names the client, then the conversation begins."""
        assert self._proxied is not None
        self._proxied += data
        proxy = self.address
        try:
            header = read_header(self._proxied)
        except NoProxy as error:
            self._turn_away((answers.EARLY, f"{error} from a proxy"), silent=True)
            return
        if header is None:
            return
        rest, self._proxied = self._proxied[header.length :], None
        self._stop_timer()
        if header.address is not None:
            self.address, self._port = header.address, header.port
            self._parts.journal.tell(
                told.Introduced(peer=str(self.address), service=self._service.name, by=str(proxy), how="proxy")
            )
        self._open()
        if rest:
            self.dataReceived(rest)

    def _open(self) -> None:
        """The peer is known: let it in, or not."""
        transport: Any = self.transport
        refusal = self._station.admit(self, self._service.name)
        if refusal is not None:
            self._turn_away(refusal)
            return
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
        transport.registerProducer(Valve(self), True)
        # The link is TLS 1.3 with both certificates pinned, beneath us.
        tls = "TLSv1.3" if self._service.name == "link" else ""
        device = device_at(self._parts.settings.devices, self.address) if self._service.name == "smtp" else None
        named = device.name if device is not None else ""
        client = Client(self.address, self._port, self._service.name, tls=tls, device=named)
        self._tell_connected(client)
        certificates = self._station.certificates
        self._session = Session(self, self._parts, client, tls_available=certificates is not None)
        Deferred.fromCoroutine(self._run(self._session.converse()))

    def dataReceived(self, data: bytes) -> None:
        if self._waiting.what == "more":
            self.wake("more", data)
            return
        if self._closing:
            return
        if self._proxied is not None:
            self._proxy_says(data)
            return
        self._received.append(data)
        self._received_octets += len(data)
        if self._received_octets > self._limits.waiting_octets and not self._paused:
            self._paused = True
            self._producer().pauseProducing()

    def handshakeCompleted(self) -> None:
        self.wake("handshake", None)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        error = reason.value
        over = self._waiting.over = why(error)
        if self._waiting.what == "handshake" or isinstance(error, SSL.Error):
            self._tell_tls_failed(over)
        self._stop_timer()
        self._received.clear()
        self._waiting.fail(ConnectionOver(over))
        if self._session is None:
            self._station.forget(self)

    # ---------------------------------------------------------------- the session's side

    def write(self, octets: bytes) -> None:
        """Send; nothing happens when the peer is gone."""
        if self._waiting.over is None:
            say(self.transport, octets)

    async def writable(self) -> None:
        """See session.Line."""
        if self.choked:
            self._waiting.heard()
            await self._waiting.for_("writable")

    def pending(self) -> bytes:
        """See session.Line."""
        received = self._received
        if not received:
            return b""
        octets = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        self._received_octets = 0
        return octets

    async def more(self, *, progress: bool, restful: bool, until: float = math.inf) -> bytes:
        """See session.Line."""
        if progress:
            self._waiting.heard()
        if self._received:
            waiting = self.pending()
            self._resume()
            return waiting
        self._resume()
        if restful and self._station.stopping:
            raise Stopping
        if not restful:  # in the middle of a message, whose last octets a peer may hold back until then
            acknowledge(self.transport)
        self._restful = restful
        octets: bytes = await self._waiting.for_("more", until)
        return octets

    async def pause(self, seconds: float) -> None:
        """See session.Line."""
        await self._waiting.pause(seconds)

    async def start_tls(self) -> tuple[str, str]:
        """See session.Line."""
        certificates = self._station.certificates
        if certificates is None:
            raise ConnectionOver("no certificate")
        transport: Any = self.transport
        call = self._parts.clock.callLater(self._limits.handshake, self._handshake_too_long)
        try:
            transport.startTLS(certificates.for_server(strict=self._service.name != "smtp"))
            await self._waiting.for_("handshake")
        except ConnectionOver:
            raise
        except Exception as error:  # whatever it is, there is no way back to clear text
            self._parts.journal.broken("smtp", error)
            raise ConnectionOver("TLS could not be started") from error
        finally:
            if call.active():
                call.cancel()
        handle = transport.getHandle()
        self._waiting.heard()
        return handle.get_protocol_version_name(), handle.get_cipher_name() or ""

    def channel(self) -> Channel:
        """See session.Line."""
        return Channel(getattr(self.transport, "getHandle", lambda: None)())

    def wake(self, what: str, value: object) -> None:
        """See Waiting.wake."""
        self._waiting.wake(what, value)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._waiting.over is None:
                self._producer().resumeProducing()

    def _producer(self) -> Any:
        return self.transport

    def _stop_timer(self) -> None:
        self._waiting.stop_timer()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _handshake_too_long(self) -> None:
        over = self._waiting.over = "the TLS handshake took too long"
        self._tell_tls_failed(over)
        self._waiting.fail(ConnectionOver(over))
        self._abort()

    def _tell_tls_failed(self, reason: str) -> None:
        self._parts.journal.tell(told.TlsFailed(peer=str(self.address), service=self._service.name, reason=reason))

    # ---------------------------------------------------------------- beginning and end

    async def _run(self, conversation: Coroutine[Any, Any, None]) -> None:
        try:
            await conversation
        except ConnectionOver:
            pass
        except Exception as error:  # noqa: BLE001 - one connection only
            self._parts.journal.broken("smtp", error)
        finally:
            self._close()
            self._tell_disconnected()
            self._session = None
            if self._waiting.over is not None:
                self._station.forget(self)

    def stop(self) -> None:
        """The service goes down: at once when nothing is in the works, else after the current message."""
        if self._waiting.what == "more" and self._restful:
            self._waiting.fail(Stopping())
        elif self._closing and self._timer is not None and self._timer.active():
            self._timer.reset(self._limits.linger_at_stop)

    def abort(self) -> None:
        """The time to drain is over."""
        self._abort()

    def _close(self) -> None:
        """Flush and close; a peer that does not take the last word is cut off after a while."""
        if self._closing:
            return
        self._closing = True
        self._stop_timer()
        if self._waiting.over is None:
            transport: Any = self.transport
            self._resume()
            transport.unregisterProducer()
            transport.loseConnection()
            limits = self._limits
            linger = limits.linger_at_stop if self._station.stopping else limits.linger
            self._timer = self._parts.clock.callLater(linger, self._abort)

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def _turn_away(self, refusal: tuple[Reply, str], *, silent: bool = False) -> None:
        reply, reason = refusal
        self._stop_timer()
        if not self._service.implicit_tls and not silent:
            self.write(reply.octets())
        self._parts.journal.tell(
            told.TurnedAway(peer=str(self.address), service=self._service.name, reason=reason, told=str(reply))
        )
        self._closing = True
        self.transport.loseConnection()  # type: ignore[union-attr]
        self._timer = self._parts.clock.callLater(self._limits.linger, self._abort)

    def _tell_connected(self, client: Client) -> None:
        parts = self._parts
        origin = origin_of(parts.settings, client)
        name = self._service.name
        parts.journal.tell(
            told.Connected(
                peer=str(client.address), port=client.port, service=name, origin=origin.value, device=client.device
            )
        )
        transport: Any = self.transport
        here = peer_address(getattr(transport.getHost(), "host", "127.0.0.1"))
        own = client.address in parts.settings.own_addresses
        if origin.value != "lan" and not client.address.is_loopback and (own or here == client.address):
            parts.journal.tell(told.Hairpin(peer=str(client.address), service=name))

    def _tell_disconnected(self) -> None:
        seconds = round(self._parts.clock.seconds() - self._began, 3)
        messages = self._session.messages if self._session is not None else 0
        self._parts.journal.tell(
            told.Disconnected(peer=str(self.address), service=self._service.name, messages=messages, seconds=seconds)
        )
