"""Real TLS in memory: a server transport that knows ``startTLS``, and a client at its other end.

``MemoryTransport`` is what a server's Protocol is connected to; ``Peer`` sits at the other end, in clear or, after
``start_tls``, encrypted by the standard library's own TLS. Nothing touches a socket; a handshake costs about 2 ms.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import ssl
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import crypto
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from mailbox_appliance.ports.certificates import CertificateState


@functools.cache
def self_made(name: str = "mx.example.org") -> tuple[bytes, bytes]:
    """A self-signed P-256 certificate for ``name`` and its key, both PEM; made once a process."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class FakeCertificates:
    """Fits ports.certificates.Certificates with the self-made certificate; ``asked`` remembers each ``strict``."""

    def __init__(self, name: str = "mx.example.org") -> None:
        certificate, key = self_made(name)
        self.asked: list[bool] = []
        self._options = CertificateOptions(
            privateKey=crypto.load_privatekey(crypto.FILETYPE_PEM, key),
            certificate=crypto.load_certificate(crypto.FILETYPE_PEM, certificate),
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )

    def for_server(self, *, strict: bool = True) -> Any:
        self.asked.append(strict)
        return self._options

    def states(self) -> tuple[CertificateState, ...]:
        return ()


class MemoryTransport(StringTransport):
    """The server's end: StringTransport with startTLS, TCP_NODELAY and a peer that hangs up."""

    def __init__(self, protocol: Protocol, peer: str = "192.0.2.9", host: str = "198.51.100.1", port: int = 25) -> None:
        make = IPv6Address if ":" in peer else IPv4Address
        super().__init__(make("TCP", host, port), make("TCP", peer, 54321), lenient=True)
        self.app = protocol
        self.nodelay = False
        self.tls: TLSMemoryBIOProtocol | None = None
        self.gone = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.nodelay = enabled

    def startTLS(self, creator: Any, normal: bool = True) -> None:
        factory = TLSMemoryBIOFactory(creator, False, None)  # type: ignore[arg-type]
        self.tls = TLSMemoryBIOProtocol(factory, self.app, False)
        producer, streaming = self.producer, self.streaming
        if producer is not None:
            self.unregisterProducer()
        self.tls.makeConnection(_Raw(self))
        if producer is not None:
            self.registerProducer(producer, bool(streaming))

    def getHandle(self) -> Any:
        assert self.tls is not None
        return self.tls.getHandle()

    def write(self, data: bytes) -> None:
        if self.tls is not None:
            self.tls.write(data)
        else:
            self.raw_write(data)

    def raw_write(self, data: bytes) -> None:
        if not self.gone:
            super().write(data)

    def loseConnection(self) -> None:
        if self.tls is not None and not self.disconnecting:
            self.disconnecting = True
            self.tls.loseConnection()
        self.disconnecting = True

    def abortConnection(self) -> None:
        self.lose(Failure(ConnectionAborted()))

    def feed(self, octets: bytes) -> None:
        """Octets from the network."""
        if not self.gone:
            (self.tls or self.app).dataReceived(octets)

    def lose(self, reason: Failure | None = None) -> None:
        """The connection is over; told once."""
        if not self.gone:
            self.gone = self.disconnected = self.disconnecting = True
            why = reason or Failure(ConnectionLost() if not self.disconnecting else ConnectionDone())
            (self.tls or self.app).connectionLost(why)


class _Raw:
    """What the TLS layer writes to: the octets of the network."""

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport
        self.disconnecting = False

    def write(self, data: bytes) -> None:
        self._transport.raw_write(data)

    def loseConnection(self) -> None:
        self.disconnecting = True
        self._transport.disconnecting = True

    abortConnection = loseConnection

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        StringTransport.registerProducer(self._transport, producer, streaming)

    def unregisterProducer(self) -> None:
        StringTransport.unregisterProducer(self._transport)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Peer:
    """The client's end of a MemoryTransport. ``taken`` gives what the server said, decrypted when TLS is on."""

    def __init__(self, protocol: Protocol, **where: Any) -> None:
        self.transport = MemoryTransport(protocol, **where)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self.alert: ssl.SSLError | None = None
        protocol.makeConnection(self.transport)

    def send(self, octets: bytes) -> None:
        """Say something; after ``start_tls`` it is encrypted."""
        if self._tls is not None:
            self._tls.write(octets)
            octets = self._outgoing.read()
        self.transport.feed(octets)

    def send_raw(self, octets: bytes) -> None:
        """Octets as they are, below TLS."""
        self.transport.feed(octets)

    def taken(self) -> bytes:
        """Everything the server has said since the last call."""
        octets: bytes = self.transport.value()
        self.transport.clear()
        if self._tls is None:
            return octets
        self._incoming.write(octets)
        said = b""
        while True:
            try:
                piece = self._tls.read(65536)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                return said
            if not piece:
                return said
            said += piece

    def closed(self) -> bool:
        """The server has ended the connection."""
        return self.transport.disconnecting or self.transport.gone

    def start_tls(self, context: ssl.SSLContext | None = None) -> None:
        """Shake hands as a client that verifies nothing (or as ``context`` wants). Raises ssl.SSLError."""
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="mx.example.org")
        while True:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            said = self._outgoing.read()
            if said:
                self.transport.feed(said)
            if done:
                return
            octets = self.transport.value()
            self.transport.clear()
            if not octets:
                raise ssl.SSLError("the server said nothing")
            self._incoming.write(octets)

    def channel_binding(self, kind: str) -> bytes | None:
        """What the standard library says the connection can be bound to."""
        assert self._tls is not None
        return self._tls.get_channel_binding(kind)

    def hang_up(self) -> None:
        """The connection ends from this side."""
        self.transport.lose()


__all__ = ["FakeCertificates", "MemoryTransport", "Peer", "self_made"]
