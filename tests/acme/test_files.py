"""Certificates and keys on disk: what the owner is told when they are no good, and how ours are kept."""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.acme.disk import load_pair, load_pair_if_there, write_file
from mailbox_appliance.acme.pairs import key_pem, new_key, tlsa_of
from mailbox_appliance.acme.selfmade import RENEW_DAYS, SelfMade
from mailbox_appliance.acme.stored import Stored, signing_request
from mailbox_appliance.ports.certificates import CertificateTrouble

NOW = 1_790_000_000.0
DAY = 86400.0


def mode_of(path: str) -> int:
    return os.stat(path).st_mode & 0o777


class FilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.made = SelfMade(self.folder)
        self.pair = self.made.pair(("mx.example", "192.0.2.1"), NOW)
        self.certificate = os.path.join(self.folder, "certificate.pem")
        self.key = os.path.join(self.folder, "certificate.key")

    def put(self, octets: bytes) -> str:
        path = os.path.join(self.folder, "other")
        write_file(path, octets, 0o600)
        return path

    def test_good(self) -> None:
        """Names, times, issuer; the key's TLSA."""
        pair = load_pair(self.certificate, self.key)
        self.assertEqual(pair.names, ("mx.example", "192.0.2.1"))
        self.assertEqual(pair.issuer, "mailappliance on mx.example")
        self.assertEqual(len(pair.chain), 2)
        self.assertTrue(pair.covers("MX.example."))
        self.assertFalse(pair.covers("example"))
        self.assertRegex(pair.tlsa(), r"^3 1 1 [0-9a-f]{64}$")
        state = pair.state("files", "x")
        self.assertEqual((state.names, state.source, state.trouble), (pair.names, "files", "x"))
        self.assertNotIn("PRIVATE", repr(pair))

    def test_troubles(self) -> None:
        """Each fault is named with its file and its remedy."""
        locked = key_pem(new_key())
        private = ed25519.Ed25519PrivateKey.generate()
        locked_key = new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        rows = (
            (self.put, b"junk", None, "holds no certificate"),
            (None, None, b"junk", "holds no private key"),
            (None, None, locked, "does not belong to the certificate"),
            (None, None, locked_key, "passphrase"),
            (None, None, private.private_bytes_raw(), "holds no private key"),
            (None, None, key_pem(private), "kind that mail programs do not know"),
        )
        for _, certificate, key, words in rows:
            chain_path = self.put(certificate) if certificate is not None else self.certificate
            key_path = self.put(key) if key is not None else self.key
            trouble = self.assertRaises(CertificateTrouble, load_pair, chain_path, key_path)
            self.assertIn(words, trouble.what)
            self.assertIn("other", trouble.what)
            self.assertTrue(trouble.remedy)
            self.assertNotIn("secret", str(trouble))
        missing = self.assertRaises(CertificateTrouble, load_pair, self.certificate, "/nowhere/x.key")
        self.assertIn("/nowhere/x.key does not exist", missing.what)
        folder = self.assertRaises(CertificateTrouble, load_pair, self.folder, self.key)
        self.assertIn("cannot be read", folder.what)
        self.assertIsNone(load_pair_if_there(self.certificate, "/nowhere/x.key"))

    def test_rsa(self) -> None:
        """RSA keys are as good."""
        key = rsa.generate_private_key(65537, 2048)
        self.assertRegex(tlsa_of(key), r"^3 1 1 ")

    def test_modes(self) -> None:
        """Keys are for our eyes only, whatever lay there before; the authority's certificate is for everybody."""
        self.assertEqual(mode_of(self.key), 0o600)
        self.assertEqual(mode_of(os.path.join(self.folder, "ca.key")), 0o600)
        self.assertEqual(mode_of(self.made.ca_file), 0o644)
        os.chmod(self.key, 0o666)
        write_file(self.key, b"x", 0o600)
        self.assertEqual(mode_of(self.key), 0o600)

    def test_no_link_is_followed(self) -> None:
        """A link left where our draft goes is replaced, not written through."""
        target = os.path.join(self.folder, "target")
        path = os.path.join(self.folder, "file")
        os.symlink(target, path + ".new")
        write_file(path, b"x", 0o600)
        self.assertFalse(os.path.exists(target))


class SelfMadeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.made = SelfMade(self.folder)

    def test_kept_and_renewed(self) -> None:
        """The same one until its end comes near or the names change; key and authority stay."""
        first = self.made.pair(("mx.example",), NOW)
        self.assertEqual(self.made.pair(("mx.example",), NOW + 100 * DAY).leaf, first.leaf)
        later = self.made.pair(("mx.example",), first.not_after - (RENEW_DAYS - 1) * DAY)
        self.assertNotEqual(later.leaf, first.leaf)
        self.assertEqual((later.tlsa(), later.chain[1]), (first.tlsa(), first.chain[1]))
        more = self.made.pair(("mx.example", "imap.example"), NOW)
        self.assertEqual(more.names, ("mx.example", "imap.example"))
        self.assertEqual(self.made.pair(("imap.example",), NOW).leaf, more.leaf)
        self.assertNotEqual(self.made.pair(("imap.example",), NOW, True).leaf, more.leaf)

    def test_a_clock_far_off(self) -> None:
        """Made with a clock in the future or the past: made again when the clock is right."""
        ahead = self.made.pair(("mx.example",), NOW + 5000 * DAY)
        self.assertGreater(ahead.not_before, NOW)
        right = self.made.pair(("mx.example",), NOW)
        self.assertTrue(right.not_before < NOW < right.not_after)

    def test_damaged(self) -> None:
        """Damaged files are made anew."""
        self.made.pair(("mx.example",), NOW)
        for name in ("ca.pem", "ca.key", "certificate.pem", "certificate.key"):
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(b"junk")
            pair = self.made.pair(("mx.example",), NOW)
            pair.leaf.verify_directly_issued_by(pair.chain[1])


class StoredTests(SynchronousTestCase):
    def test_key_and_chain_stay_together(self) -> None:
        """One file holds both; a fresh key waits aside until its certificate has come."""
        made = SelfMade(self.mktemp()).pair(("mx.example",), NOW)
        stored = Stored(self.mktemp())
        self.assertIsNone(stored.load())
        waiting = stored.key(fresh=False)
        self.assertEqual(tlsa_of(stored.key(fresh=False)), tlsa_of(waiting))
        with open(os.path.join(os.path.dirname(stored.folder), "x"), "wb"):
            pass
        chain = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in made.chain)
        self.assertRaises(CertificateTrouble, stored.keep, chain, waiting)
        self.assertIsNone(stored.load())
        stored.keep(chain, made.key)
        loaded = stored.load()
        assert loaded is not None
        self.assertEqual(tlsa_of(stored.key(fresh=False)), made.tlsa())
        self.assertNotEqual(tlsa_of(stored.key(fresh=True)), made.tlsa())
        self.assertEqual(loaded.tlsa(), made.tlsa())
        self.assertEqual(mode_of(stored.path("current.pem")), 0o600)

    def test_request(self) -> None:
        """The CSR holds the names."""
        self.assertIn(b"CERTIFICATE REQUEST", signing_request(("mx.example",), new_key()))
