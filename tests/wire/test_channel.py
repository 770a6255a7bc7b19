"""What a TLS connection can be bound to: both ends find the same octets."""

from __future__ import annotations

from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.channel import Channel
from tests.kit.tls import self_made


def connected(version: int) -> tuple[SSL.Connection, SSL.Connection]:
    """A client and a server that have shaken hands in memory."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    certificate, key = self_made()
    context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, certificate))
    context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, key))
    client, server = SSL.Connection(context, None), SSL.Connection(context, None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(65536))
            except SSL.WantReadError:
                pass
    return client, server


class ChannelTests(SynchronousTestCase):
    """RFC 9266 and RFC 5929."""

    def test_kinds(self) -> None:
        """tls-exporter needs TLS 1.3, tls-unique TLS 1.2."""
        for version, exporter, unique in ((SSL.TLS1_3_VERSION, 1, 0), (SSL.TLS1_2_VERSION, 0, 2)):
            _, server = connected(version)
            channel = Channel(server)
            self.assertTrue(channel.is_bindable)
            self.assertEqual(len(channel.bindings("tls-exporter")), exporter)
            self.assertEqual(len(channel.bindings("tls-unique")), unique)
            self.assertEqual([len(one) for one in channel.bindings("tls-server-end-point")], [32])
            self.assertEqual(channel.bindings("tls-nothing"), ())

    def test_both_ends_agree(self) -> None:
        """And another connection has other octets."""
        client, server = connected(SSL.TLS1_3_VERSION)
        (ours,) = Channel(server).bindings("tls-exporter")
        self.assertEqual(Channel(client).bindings("tls-exporter"), (ours,))
        self.assertNotEqual(Channel(connected(SSL.TLS1_3_VERSION)[1]).bindings("tls-exporter"), (ours,))
        client, server = connected(SSL.TLS1_2_VERSION)
        self.assertIn(client.get_finished(), Channel(server).bindings("tls-unique"))

    def test_nothing_in_clear(self) -> None:
        """No TLS, nothing to be bound to."""
        self.assertFalse(Channel(None).is_bindable)
        self.assertEqual(Channel(None).bindings("tls-exporter"), ())
