"""TLS for the listeners: contexts out of the current certificates, chosen by SNI at each handshake.

TLS ≥ 1.2 everywhere, no renegotiation, no compression. ``strict`` contexts (submission, IMAP, web) offer Mozilla's
intermediate ciphers; the others (port 25) whatever a peer can do, since worse TLS is better than none (RFC 7435).

Session tickets stay as OpenSSL has them (what outlook.com meets at every Postfix); the server-side session cache,
which would hold thousands of sessions, is off. RELEASE_BUFFERS gives back 34 KiB for each connection that is idle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from mailbox_appliance.acme.pairs import Pair

# https://ssl-config.mozilla.org, "intermediate"; TLS 1.3 has its own three.
INTERMEDIATE = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    b"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
)
ANYTHING = b"ALL:!aNULL:!eNULL:!EXPORT:@SECLEVEL=0"
_MOST_KINDS = 16  # of (strict, protocols) that contexts are kept for


class NoCertificate(Exception):
    """Nothing is loaded yet: the listener was opened too early."""


class ServerContexts:
    """The certificates in use. :meth:`use` replaces them; connections that are open keep what they began with."""

    def __init__(self) -> None:
        self._pairs: tuple[Pair, ...] = ()
        self._built: dict[tuple[bool, tuple[bytes, ...]], list[SSL.Context]] = {}

    def use(self, pairs: Sequence[Pair]) -> None:
        """From the next handshake on; the first pair serves names that none covers."""
        self._pairs = tuple(pairs)
        self._built.clear()

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return self._pairs

    def creator(self, *, strict: bool, protocols: tuple[bytes, ...] = ()) -> ServerCreator:
        """What Twisted's startTLS and TLSMemoryBIOFactory take; ``protocols`` for ALPN, ours in order of preference."""
        return ServerCreator(self, strict, protocols)

    def current(self, strict: bool, protocols: tuple[bytes, ...]) -> SSL.Context:
        """The context a handshake begins with. Raises NoCertificate."""
        if not self._pairs:
            raise NoCertificate("there is no certificate")
        kind = (strict, protocols)
        contexts = self._built.get(kind)
        if contexts is None:
            if len(self._built) >= _MOST_KINDS:
                self._built.clear()
            contexts = [make_context(pair, strict=strict, protocols=protocols) for pair in self._pairs]
            if len(contexts) > 1:
                contexts[0].set_tlsext_servername_callback(_chooser(self._pairs, contexts))
            self._built[kind] = contexts
        return contexts[0]


def _chooser(pairs: tuple[Pair, ...], contexts: list[SSL.Context]) -> Callable[[SSL.Connection], None]:
    def choose(connection: SSL.Connection) -> None:
        asked = connection.get_servername()
        if not asked:
            return
        name = asked.decode("ascii", "replace")
        for pair, context in zip(pairs, contexts, strict=True):
            if pair.covers(name):
                connection.set_context(context)
                return

    return choose


def make_context(pair: Pair, *, strict: bool, protocols: tuple[bytes, ...] = ()) -> SSL.Context:
    """A server's context for one certificate."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_SINGLE_DH_USE)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"mailappliance")
    context.set_cipher_list(INTERMEDIATE if strict else ANYTHING)
    context.use_privatekey(crypto.PKey.from_cryptography_key(pair.key))  # type: ignore[arg-type]  # EC or RSA
    context.use_certificate(crypto.X509.from_cryptography(pair.leaf))
    for certificate in pair.chain[1:]:
        context.add_extra_chain_cert(crypto.X509.from_cryptography(certificate))
    if protocols:
        context.set_alpn_select_callback(_selector(protocols))
    return context


def _selector(protocols: tuple[bytes, ...]) -> Any:
    def select(_: SSL.Connection, offered: list[bytes]) -> object:
        for protocol in protocols:
            if protocol in offered:
                return protocol
        return SSL.NO_OVERLAPPING_PROTOCOLS

    return select


@implementer(IOpenSSLServerConnectionCreator)
class ServerCreator:
    """Asked anew for every handshake, so that a renewed certificate is used at once."""

    def __init__(self, contexts: ServerContexts, strict: bool, protocols: tuple[bytes, ...]) -> None:
        self._contexts = contexts
        self._strict = strict
        self._protocols = protocols

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Twisted asks (IOpenSSLServerConnectionCreator)."""
        return SSL.Connection(self._contexts.current(self._strict, self._protocols), None)
