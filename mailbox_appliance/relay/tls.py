"""TLS to the next host: contexts with the system's roots and ours, and what a handshake has proved.

Every handshake notes what is wrong with the certificate; ``Handshake.result`` says afterwards whether chain and name
are good, and in plain words why not. With a configured host a bad chain ends the handshake and a wrong name ends the
connection before a word is said on it. To a mail exchanger an unverified certificate is still better than clear text
(RFC 7435). The name is checked by service-identity (RFC 6125, RFC 9525). TLS 1.2 and later only.

Where DANE applies, its TLSA records alone say whether the peer is good (RFC 7672 §3.1); the roots are not asked.
"""

from __future__ import annotations

import os
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from mailbox_appliance.mail.values import dataclass
from mailbox_appliance.ports.workers import Workers
from mailbox_appliance.relay.dane import Dane
from mailbox_appliance.relay.peername import is_address, name_fault

# X509_V_ERR_*: what OpenSSL finds wrong with a chain, for people.
_FAULTS = {
    9: "it is not valid yet (is a clock wrong?)",
    10: "it has expired",
    18: "it is self-signed",
    19: "its chain ends in a root that is not trusted here",
    20: "its issuer is not trusted here, or the server leaves out the intermediate certificate",
    21: "its issuer is not trusted here, or the server leaves out the intermediate certificate",
    23: "it has been revoked",
    24: "its issuer is no certificate authority",
    26: "it is not meant for servers",
    66: "its key is too weak",
    67: "the key of its issuer is too weak",
    68: "its signature is too weak",
}
# ECDHE first; RSA key exchange and CBC only for old exchangers, to which the other choice would be clear text.
_STRICT = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
_WIDE = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DEFAULT:!aNULL:!eNULL:@SECLEVEL=1"


@dataclass(frozen=True, slots=True)
class TlsResult:
    """``fault`` is empty when chain and name are good."""

    version: str
    cipher: str
    fault: str
    by_dane: bool = False
    by: str = "DANE"
    kind: str = ""  # the fault in a word, for reports (RFC 8460 §4.3)

    @property
    def verified(self) -> bool:
        """The peer is who it should be."""
        return not self.fault

    def __str__(self) -> str:
        if self.by_dane and self.verified:
            return f"{self.version} verified by {self.by}"
        return f"{self.version} {'verified' if self.verified else 'unverified'}"


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """One handshake with ``host`` (SNI and the name to verify; an address literal has no SNI, RFC 6066 §3).

    ``dane`` takes the place of roots and name when it has records.
    """

    def __init__(self, context: SSL.Context, host: str, *, strict: bool, dane: Dane | None = None) -> None:
        self._context = context
        self._host = host
        self._strict = strict
        self._dane = dane if dane is not None and dane.records else None
        self._sni = dane.base if dane is not None else host
        self._faults: list[int] = []
        self._checked = False
        self._connection: SSL.Connection | None = None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        # On the connection, not on the context: each handshake keeps its own notes.
        connection.set_verify(SSL.VERIFY_PEER, self._note)
        if not is_address(self._sni):
            connection.set_tlsext_host_name(self._sni.encode("ascii"))
        self._connection = connection
        return connection

    def _note(self, connection: SSL.Connection, certificate: crypto.X509, number: int, depth: int, ok: int) -> bool:
        self._checked = True
        if not ok and len(self._faults) < 8:
            self._faults.append(number)
        return bool(ok) or not self._strict

    @property
    def chain_fault(self) -> str:
        """What OpenSSL found wrong with the chain, in plain words; "" for nothing."""
        if not self._faults:
            return ""
        return _FAULTS.get(self._faults[0], f"OpenSSL's verification fault {self._faults[0]}")

    def result(self) -> TlsResult:
        """What the finished handshake has proved. Call it once."""
        connection, self._connection = self._connection, None
        assert connection is not None
        kind = "certificate-not-trusted"
        if not self._checked or connection.get_peer_certificate() is None:
            fault = "it was not shown"  # never taken for good
        elif self._dane is not None:
            fault, kind = self._dane.fault(connection), "validation-failure"
        elif self._faults:
            fault = self.chain_fault
            kind = "certificate-expired" if self._faults[0] in (9, 10) else kind
        else:
            fault, kind = name_fault(connection, self._host), "certificate-host-mismatch"
        version, cipher = connection.get_protocol_version_name(), connection.get_cipher_name() or ""
        by = self._dane.by if self._dane is not None else ""
        return TlsResult(version, cipher, fault, self._dane is not None, by, kind if fault else "")


def tls_fault(error: BaseException) -> str:
    """Why a handshake failed, out of OpenSSL's words."""
    if isinstance(error, SSL.Error):
        words = [str(entry[-1]) for entry in (error.args[0] if error.args else ()) or () if entry]
        return "; ".join(words) or type(error).__name__
    return str(error) or type(error).__name__


class ClientTls:
    """Contexts for configured hosts and for mail exchangers, made once and made anew when the trust anchor changes."""

    def __init__(self, workers: Workers, trust_anchor: str = "") -> None:
        self._workers = workers
        self._trust_anchor = trust_anchor
        self._stamp: tuple[int, int] | None = None
        self._contexts: dict[bool, SSL.Context] = {}

    async def handshake(self, host: str, *, strict: bool, dane: Dane | None = None) -> Handshake:
        """A handshake with ``host``. ``strict``: for configured hosts. Raises OSError or SSL.Error for a bad anchor."""
        stamp = self._anchor_stamp()
        if stamp != self._stamp:
            self._contexts.clear()
            self._stamp = stamp
        context = self._contexts.get(strict)
        if context is None:
            # Reading a few hundred roots takes tens of milliseconds on a small machine.
            context = await self._workers.run("disk", make_context, self._trust_anchor, strict)
            self._contexts[strict] = context
        return Handshake(context, host, strict=strict, dane=dane)

    def _anchor_stamp(self) -> tuple[int, int]:
        if not self._trust_anchor:
            return (0, 0)
        try:
            found = os.stat(self._trust_anchor)
        except OSError:
            return (-1, -1)
        return (found.st_mtime_ns, found.st_size)


def make_context(trust_anchor: str, strict: bool) -> SSL.Context:
    """A client context. Blocks while it reads the roots: call it in a worker. Raises OSError, SSL.Error."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(_STRICT if strict else _WIDE)
    context.set_default_verify_paths()
    if trust_anchor:
        if not os.path.exists(trust_anchor):
            raise FileNotFoundError(2, "No such file or directory", trust_anchor)
        context.load_verify_locations(trust_anchor)
    return context
