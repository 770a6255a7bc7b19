"""The pairing code and its proofs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailbox_appliance.wire.pairing import (
    Claim,
    Code,
    PairingWrong,
    is_proven,
    proof,
    read_claim,
    read_code,
)

SECRET = bytes(range(10))


class CodeTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        """What is printed can be typed, in any case of letters, with blanks around; ports and IPv6 included."""
        for host, port in (
            ("mx.example.org", 4025),
            ("mx.example.org", 14025),
            ("192.0.2.1", 4025),
            ("2001:db8::1", 4025),
        ):
            text = Code(host, port, SECRET).text(4025)
            self.assertEqual(read_code(f" {text.upper()} ", 4025), Code(host, port, SECRET), text)
        self.assertEqual(Code("mx.example.org", 4025, SECRET).text(4025), "mx.example.org/aaaq-eaye-auda-ocaj")

    def test_wrong(self) -> None:
        """A sign too few or too many, or something else altogether."""
        for text in ("", "mx.example.org", "mx.example.org/", "/aaaq-eaye-auda-ocaj", "mx.example.org/aaaq-eaye-auda-oca",
                     "mx.example.org/aaaq-eaye-auda-ocaj-aaaa", "mx.example.org:99999/aaaq-eaye-auda-ocaj",
                     "mx.example.org/aaaq-eaye-auda-oc1j", "a b/aaaq-eaye-auda-ocaj"):  # fmt: skip
            self.assertRaises(PairingWrong, read_code, text, 4025)

    def test_secret_is_not_shown(self) -> None:
        """A code in a traceback or log shows no secret."""
        self.assertNotIn("\\x", repr(Code("mx.example.org", 4025, SECRET)))

    @settings(max_examples=200, deadline=None)
    @given(some.text(max_size=80))
    def test_fuzz_code(self, text: str) -> None:
        """Anything else is PairingWrong."""
        try:
            code = read_code(text, 4025)
        except PairingWrong:
            return
        self.assertEqual(read_code(code.text(4025), 4025), code)


class ProofTests(SynchronousTestCase):
    def test_bound_to_everything(self) -> None:
        """Another secret, role, nonce, certificate or name: no proof."""
        nonce = bytes(16)
        good = ["store", nonce, b"edge's", b"store's"]
        claim = Claim(
            "pair 1",
            nonce,
            proof(SECRET, "store", nonce, b"edge's", b"store's", "home.example.org"),
            "home.example.org",
        )
        self.assertTrue(is_proven(claim, SECRET, *good))  # type: ignore[arg-type]
        for at, other in enumerate(("edge", bytes(15) + b"x", b"another's", b"another's")):
            bad = [*good[:at], other, *good[at + 1 :]]
            self.assertFalse(is_proven(claim, SECRET, *bad), bad)  # type: ignore[arg-type]
        self.assertFalse(is_proven(claim, bytes(10), *good))  # type: ignore[arg-type]
        renamed = Claim("pair 1", nonce, claim.proof, "evil.example")
        self.assertFalse(is_proven(renamed, SECRET, *good))  # type: ignore[arg-type]
        # The pieces cannot be cut anew: their lengths are hashed too.
        self.assertNotEqual(
            proof(SECRET, "store", nonce, b"ab", b"c", "n"), proof(SECRET, "store", nonce, b"a", b"bc", "n")
        )

    def test_lines(self) -> None:
        """A claim there and back; a refusal in the other side's words; nonsense refused."""
        claim = Claim("paired", bytes(16), b"0" * 64, "mx.example.org")
        self.assertEqual(read_claim(claim.line().rstrip(b"\n"), "paired"), claim)
        for line, words in (
            (b"no the code is wrong", "the code is wrong"),
            (b"pair 1 zz", "language"),
            (b"", "language"),
            (claim.line().rstrip(b"\n").replace(b"paired", b"pair 1"), "language"),
        ):
            with self.assertRaises(PairingWrong) as caught:
                read_claim(line, "paired")
            self.assertIn(words, str(caught.exception))
