"""TLS 1.3 between the two halves: each shows its own certificate, and takes the other's by its fingerprint alone.

ALPN (RFC 7301) says what a connection is for. Nothing is believed before ``peer_fingerprint`` has been compared: with
TLS 1.3 the dialling side may speak before its certificate has been seen.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from mailbox_appliance.link.keys import OwnKey, fingerprint

PAIR = b"mailappliance-pair/1"
CONTROL = b"mailappliance-control/1"
DOWN = b"mailappliance-down/1"  # mail from the edge to its store: the roles are turned (RFC 2645)
UP = b"mailappliance-up/1"  # mail from the store to the world
SPLICE = b"mailappliance-splice/1"  # somebody outside, on the way to the store's own ports
PURPOSES = (PAIR, CONTROL, DOWN, UP, SPLICE)


def _context(own: OwnKey) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.use_certificate(crypto.load_certificate(crypto.FILETYPE_ASN1, own.certificate))
    context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, own.key))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    return context


@implementer(IOpenSSLServerConnectionCreator)
class EdgeTls:
    """The listening side."""

    def __init__(self, own: OwnKey) -> None:
        self._context = _context(own)
        self._context.set_session_id(b"mailappliance-link")

        def select(_: SSL.Connection, offered: list[bytes]) -> object:
            return next((one for one in offered if one in PURPOSES), SSL.NO_OVERLAPPING_PROTOCOLS)

        self._context.set_alpn_select_callback(select)  # type: ignore[arg-type]

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Twisted asks (IOpenSSLServerConnectionCreator)."""
        return SSL.Connection(self._context, None)


@implementer(IOpenSSLClientConnectionCreator)
class StoreTls:
    """The dialling side; ``purpose`` is one of PURPOSES."""

    def __init__(self, own: OwnKey, purpose: bytes) -> None:
        self._context = _context(own)
        self._context.set_alpn_protos([purpose])

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Twisted asks (IOpenSSLClientConnectionCreator)."""
        return SSL.Connection(self._context, None)


def peer_certificate(transport: Any) -> bytes:
    """The other side's certificate (DER) after the handshake; b"" when it showed none."""
    shown = transport.getPeerCertificate()
    return b"" if shown is None else crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)


def peer_fingerprint(transport: Any) -> str:
    """SHA-256 of it, in hex."""
    return fingerprint(peer_certificate(transport))
