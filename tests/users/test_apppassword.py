"""App passwords: their shape, how forgivingly they are read, and their SCRAM keys against RFC 7677's example."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.users import apppassword
from mailbox_appliance.users.password import generate_password


class ShapeTests(SynchronousTestCase):
    """What counts as an app password."""

    def test_generated_ones_are_read_back(self) -> None:
        """Each generated one is different, has 100 bits behind its prefix, and is read however it is typed."""
        made = {apppassword.generate() for _ in range(50)}
        self.assertEqual(len(made), 50)
        for secret in made:
            text = apppassword.canonical(secret)
            assert text is not None
            self.assertEqual((len(text), apppassword.shown(text)), (24, secret))
            for typed in (secret.upper(), secret.replace("-", " "), secret.replace("-", ""), f" {secret}\n"):
                self.assertEqual(apppassword.canonical(typed), text)

    def test_look_alikes(self) -> None:
        """The letters O, I and L are read as the digits they look like."""
        self.assertEqual(apppassword.canonical("oOiI-lL00-aaaa-bbbb-cccc-dddd"), "001111" + "00" + "aaaabbbbccccdddd")

    def test_others(self) -> None:
        """Ordinary and generated main passwords have another shape."""
        for typed in (
            "",
            "open sesame",
            "abcd-efgh-jkmn-pqrs-tvwx",
            "ü" * 24,
            "u" * 24,
            "a" * 23,
            "a" * 25,
            "a-" * 5000,
        ):
            self.assertIsNone(apppassword.canonical(typed), typed)
        for _ in range(20):
            self.assertIsNone(apppassword.canonical(generate_password()))

    @given(st.text(max_size=80))
    def test_reading_never_fails(self, typed: str) -> None:
        """Any text is read or refused; what is read has the one shape."""
        text = apppassword.canonical(typed)
        if text is not None:
            self.assertEqual(apppassword.canonical(text), text)


class ScramTests(SynchronousTestCase):
    """The keys that SCRAM-SHA-256 will need."""

    def test_rfc_7677_example(self) -> None:
        """RFC 7677 §3: StoredKey checks the client's proof, ServerKey makes the server's signature."""
        salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
        nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}".encode()
        stored, server = apppassword.scram_keys(b"pencil", salt, 4096)
        proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
        signature = hmac.digest(stored, message, "sha256")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        self.assertEqual(hashlib.sha256(client_key).digest(), stored)
        self.assertEqual(
            base64.b64encode(hmac.digest(server, message, "sha256")), b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        )

    def test_kept_keys(self) -> None:
        """What is kept fits the secret as it is shown, and no other."""
        text = apppassword.canonical(apppassword.generate())
        assert text is not None
        kept = apppassword.keys(text, b"salt" * 4, 4096)
        self.assertTrue(apppassword.fits(kept.digest, text))
        self.assertFalse(apppassword.fits(kept.digest, text[:-1] + ("0" if text[-1] != "0" else "1")))
        self.assertEqual(
            (kept.stored_key, kept.server_key),
            apppassword.scram_keys(apppassword.shown(text).encode(), b"salt" * 4, 4096),
        )
        self.assertNotIn(text[:8], repr(kept))
