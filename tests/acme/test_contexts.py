"""TLS contexts: versions, ciphers, SNI, and a new certificate from the very next handshake on."""

from __future__ import annotations

import ssl
import warnings

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailbox_appliance.acme.contexts import NoCertificate, ServerContexts
from mailbox_appliance.acme.selfmade import SelfMade
from tests.acme.handshake import HandshakeFailed, any_client, shake

NOW = 1_790_000_000.0


def names_of(tls: ssl.SSLObject) -> list[str]:
    der = tls.getpeercert(binary_form=True)
    assert der is not None
    certificate = x509.load_der_x509_certificate(der)
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


class ContextsTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = self.mktemp()
        self.one = SelfMade(f"{folder}/1").pair(("one.example", "*.wild.example"), NOW)
        self.two = SelfMade(f"{folder}/2").pair(("two.example",), NOW)
        self.contexts = ServerContexts()
        self.contexts.use([self.one, self.two])

    def test_the_creator_is_twisteds(self) -> None:
        """startTLS and TLSMemoryBIOFactory take it."""
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, self.contexts.creator(strict=True)))

    def test_sni(self) -> None:
        """The name chooses the certificate; no name, or a strange one, gets the first."""
        creator = self.contexts.creator(strict=True)
        for name, expected in (
            ("one.example", "one.example"),
            ("two.example", "two.example"),
            ("TWO.example", "two.example"),
            ("a.wild.example", "one.example"),
            ("a.b.wild.example", "one.example"),
            ("strange.example", "one.example"),
            (None, "one.example"),
        ):
            self.assertIn(expected, names_of(shake(creator, any_client(), name)), name)

    def test_a_new_certificate_is_used_at_once(self) -> None:
        """A creator that was handed out before the renewal serves the new certificate; open connections live on."""
        creator = self.contexts.creator(strict=True)
        before = shake(creator, any_client(), "one.example")
        self.contexts.use([self.two])
        self.assertEqual(names_of(shake(creator, any_client(), "one.example")), ["two.example"])
        self.assertIn("one.example", names_of(before))

    def test_versions(self) -> None:
        """Nothing below TLS 1.2, strict or not."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old = any_client(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
            old.set_ciphers("ALL:@SECLEVEL=0")
        for strict in (True, False):
            creator = self.contexts.creator(strict=strict)
            self.assertRaises(HandshakeFailed, shake, creator, old, None)
            self.assertEqual(shake(creator, any_client(), None).version(), "TLSv1.3")
            two = any_client(maximum_version=ssl.TLSVersion.TLSv1_2)
            self.assertEqual(shake(creator, two, None).version(), "TLSv1.2")

    def test_ciphers(self) -> None:
        """CBC is refused to our own people and granted to old servers on port 25."""
        weak = any_client(maximum_version=ssl.TLSVersion.TLSv1_2)
        weak.set_ciphers("ECDHE-ECDSA-AES128-SHA")
        self.assertRaises(HandshakeFailed, shake, self.contexts.creator(strict=True), weak, None)
        shake(self.contexts.creator(strict=False), weak, None)
        nobody = any_client(maximum_version=ssl.TLSVersion.TLSv1_2)
        nobody.set_ciphers("AECDH-AES128-SHA:@SECLEVEL=0")
        self.assertRaises(HandshakeFailed, shake, self.contexts.creator(strict=False), nobody, None)

    def test_resumption(self) -> None:
        """A ticket of an earlier connection shortens the next handshake (phones reconnect often)."""
        creator = self.contexts.creator(strict=True)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = any_client(maximum_version=version, minimum_version=version)
            first = shake(creator, client, "one.example")
            second = shake(creator, client, "one.example", session=first.session)
            self.assertTrue(second.session_reused, version)

    def test_no_memory_for_sessions(self) -> None:
        """No session cache, buffers given back, no renegotiation."""
        context = self.contexts.current(True, ())
        self.assertEqual(context.get_session_cache_mode(), SSL.SESS_CACHE_OFF)
        self.assertTrue(context.set_mode(0) & SSL.MODE_RELEASE_BUFFERS)
        self.assertTrue(context.set_options(0) & SSL.OP_NO_RENEGOTIATION)

    def test_alpn(self) -> None:
        """Of what the client offers, our first choice; nothing in common is no reason to hang up."""
        creator = self.contexts.creator(strict=True, protocols=(b"link", b"imap"))
        client = any_client()
        client.set_alpn_protocols(["imap", "link"])
        self.assertEqual(shake(creator, client, None).selected_alpn_protocol(), "link")
        client.set_alpn_protocols(["http/1.1"])
        self.assertIsNone(shake(creator, client, None).selected_alpn_protocol())

    def test_nothing_loaded(self) -> None:
        """A listener that opens too early is told so."""
        creator = ServerContexts().creator(strict=True)
        self.assertRaises(NoCertificate, creator.serverConnectionForTLS, None)
