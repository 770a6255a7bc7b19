"""A TLS handshake in memory: the standard library's client against a connection creator of ours."""

from __future__ import annotations

import ssl
from typing import Any

from OpenSSL import SSL

from mailbox_appliance.acme.contexts import ServerCreator


class HandshakeFailed(Exception):
    """Either side said no."""


def shake(creator: ServerCreator, client: ssl.SSLContext, name: str | None, session: Any = None) -> ssl.SSLObject:
    """Run it to the end and one octet further (so that TLS 1.3 tickets arrive). Raises HandshakeFailed."""
    server = creator.serverConnectionForTLS(None)  # type: ignore[arg-type]
    server.set_accept_state()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.wrap_bio(incoming, outgoing, server_hostname=name, session=session)
    client_done = server_done = False
    for _ in range(20):
        if not client_done:
            try:
                tls.do_handshake()
                client_done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                raise HandshakeFailed(str(error)) from error
        if octets := outgoing.read():
            server.bio_write(octets)
        if not server_done:
            try:
                server.do_handshake()
                server_done = True
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                raise HandshakeFailed(str(error)) from error
        if client_done and server_done:
            break
        try:
            incoming.write(server.bio_read(65536))
        except SSL.WantReadError:
            pass
    else:
        raise HandshakeFailed("no end")
    server.send(b"x")
    incoming.write(server.bio_read(65536))
    assert tls.read(1) == b"x"
    return tls


def any_client(**settings: Any) -> ssl.SSLContext:
    """A client that verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in settings.items():
        setattr(context, name, value)
    return context
