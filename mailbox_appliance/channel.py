"""What a TLS connection of ours can be bound to, for SCRAM-SHA-256-PLUS (RFC 5802 §6).

tls-exporter (RFC 9266) with TLS 1.3; tls-unique (RFC 5929 §3) with TLS 1.2 only, where it is defined;
tls-server-end-point (RFC 5929 §4) with both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from OpenSSL.SSL import Connection, Error

_EXPORTER = b"EXPORTER-Channel-Binding"
_WEAK = frozenset({"md5", "sha1"})  # RFC 5929 §4.1: SHA-256 takes their place


class Channel:
    """The bindings of one connection; ``handle`` is its OpenSSL Connection, or None in clear."""

    __slots__ = ("_connection",)

    def __init__(self, handle: Any) -> None:
        self._connection: Connection | None = handle if isinstance(handle, Connection) else None

    @property
    def is_bindable(self) -> bool:
        """Is there anything to be bound to?"""
        return self._connection is not None

    def bindings(self, kind: str) -> Sequence[bytes]:
        """The data of ``kind``; () when there is none. Two for tls-unique, whose first Finished may be either's."""
        connection = self._connection
        if connection is None:
            return ()
        try:
            return _KINDS[kind](connection) if kind in _KINDS else ()
        except Error:
            return ()


def _is_1_3(connection: Connection) -> bool:
    return connection.get_protocol_version_name() == "TLSv1.3"


def _exporter(connection: Connection) -> Sequence[bytes]:
    # Below TLS 1.3 it would ask for the extended master secret (RFC 9266 §4.2), which nobody can tell us about.
    return (connection.export_keying_material(_EXPORTER, 32, b""),) if _is_1_3(connection) else ()


def _unique(connection: Connection) -> Sequence[bytes]:
    if _is_1_3(connection):
        return ()
    # The client's in a full handshake, the server's in one that resumes a session (RFC 5929 §3.1).
    return tuple(one for one in (connection.get_peer_finished(), connection.get_finished()) if one)


def _server_end_point(connection: Connection) -> Sequence[bytes]:
    certificate = connection.get_certificate()
    if certificate is None:
        return ()
    from cryptography.hazmat.primitives import hashes

    x509 = certificate.to_cryptography()
    algorithm = x509.signature_hash_algorithm
    if algorithm is None:  # Ed25519: RFC 5929 defines nothing
        return ()
    return (x509.fingerprint(hashes.SHA256() if algorithm.name in _WEAK else algorithm),)


_KINDS = {"tls-exporter": _exporter, "tls-unique": _unique, "tls-server-end-point": _server_end_point}
